"""Roles on hosts of their own, whose cables are pulled and whose processes are stopped."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import SERVERS, until
from hosts import Host, hosts
from outlet import PAGE
from program import command, environment

FEEDS = 3
ENTRIES = 10  # of each feed
TEXT = (
    "The council of the town number {0} met on Monday about the bridge over the river {0}x{1}. Its "
    "engineers had found rust in {2} of the cables, and lorries now take the longer way by the old "
    "mill. Mayor Quentin {1}son wants the county to pay; the county answers that the bridge was given "
    "to the town in the year {3}. A decision is expected after the harvest, the newspaper was told."
)


@dataclass
class Cluster:
    """A feed's server, Redis, a poller and the workers of two hosts, each on its own host."""

    home: Path
    site: Host
    store: Host
    poller: Host
    workers: tuple[Host, Host]
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, name: str, host: Host, *arguments: str) -> None:
        """Start a program on a host, its output in a file of its name."""
        with (self.home / name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*host.prefix, *arguments], cwd=self.home, stdout=log, stderr=log,
                env=environment(self.url), start_new_session=True,
            )  # fmt: skip

    def work(self, number: int) -> None:
        """Start the worker of a host."""
        self.start(f"work{number}.log", self.workers[number], *command("work", "--processes", "1"))

    def stop(self) -> None:
        """End all programs and what they started."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        for host in (self.site, self.store, self.poller, *self.workers):
            found = subprocess.run(
                [host.prefix[0], "netns", "pids", host.name], capture_output=True, check=False
            ).stdout
            subprocess.run(
                ["/bin/kill", "-9", *found.decode().split()], check=False, capture_output=True
            )

    @property
    def url(self) -> str:
        """Where Redis listens."""
        return f"redis://{self.store.address}:6379/0"

    def ask(self, *arguments: str) -> str:
        """Return what a command says that is given on Redis's host."""
        answer = subprocess.run(
            [*self.store.prefix, *command(*arguments)], cwd=self.home, env=environment(self.url),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return answer.stdout

    def publish(self, feed: int) -> None:
        """Put a feed and its pages onto the server, and follow it."""
        names = [f"{feed}-{number}" for number in range(ENTRIES)]
        for number, name in enumerate(names):
            text = TEXT.format(f"{feed}{number}", name.replace("-", "q"), number + 2, 1900 + number)
            (self.home / "site" / name).write_text(PAGE.format(f"Bridge {name}", text))
        items = "".join(
            f"<item><guid>{name}</guid><title>Bridge {name}</title>"
            f"<link>http://{self.site.address}/{name}</link></item>"
            for name in names
        )
        (self.home / "site" / f"feed{feed}").write_text(
            f'<rss version="2.0"><channel><title>Bridges</title>{items}</channel></rss>'
        )
        assert "added" in self.ask("feeds", "add", f"http://{self.site.address}/feed{feed}")

    def sums(self) -> dict[str, int]:
        """Return the audit's sums; empty while Redis does not answer."""
        answer = self.ask("audit", "--json")
        return dict(json.loads(answer)["sums"]) if answer else {}

    def done(self, feeds: int) -> bool:
        """Say whether every entry of so many feeds has its outcome."""
        sums = self.sums()
        return sums.get("claimed") == feeds * ENTRIES and sums["pending"] == 0

    def log(self, name: str) -> str:
        """Return what a program said."""
        return (self.home / name).read_text()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A running cluster without feeds; only the first of its workers is there."""
    (tmp_path / "site").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "samestory.toml").write_text(
        '[paths]\nvar = "var"\narchive = "archive"\n[log]\nformat = "json"\n'
        '[fetch]\nhost_gap_s = 0.0\nallow_private = ["10.77.0.1"]\n'
        "[redis]\ntimeout_s = 1.0\n[ledger]\nlease_s = 3.0\nbatch = 4\n"
    )
    with ExitStack() as stack:
        site, store, poller, *workers = stack.enter_context(hosts(5))
        made = Cluster(tmp_path, site, store, poller, (workers[0], workers[1]))
        stack.callback(made.stop)
        made.start(
            "site.log", site, sys.executable, "-m", "http.server", "80", "--directory", "site"
        )
        made.start(
            "redis.log", store, SERVERS["system"] or SERVERS["embedded"],
            "--bind", store.address, "--protected-mode", "no", "--save", "", "--appendonly", "no",
        )  # fmt: skip
        made.work(0)
        made.start("poll.log", poller, *command("poll"))
        yield made


def test_cluster_when_hosts_are_cut_off_stopped_and_brought_back_then_loses_nothing(
    cluster: Cluster,
) -> None:
    """Each article is attached once, whoever of poller, workers and Redis is away for a while."""
    first, second = cluster.workers
    cluster.publish(0)
    until(lambda: "entry_settled" in cluster.log("work0.log"), timeout_s=60)
    first.unplug()  # with entries in hand: the other one finishes them
    cluster.work(1)
    until(lambda: cluster.done(1), timeout_s=60)

    first.plug_in()
    cluster.processes["work1.log"].send_signal(signal.SIGSTOP)
    second.unplug()
    cluster.store.unplug()  # everything stands still, and nobody gives up
    until(lambda: "redis_failed" in cluster.log("poll.log"), timeout_s=60)
    cluster.store.plug_in()
    settled = cluster.log("work0.log").count("entry_settled")
    cluster.publish(1)
    until(lambda: cluster.done(2), timeout_s=90)
    assert cluster.log("work0.log").count("entry_settled") > settled

    cluster.poller.unplug()
    cluster.processes["work1.log"].send_signal(signal.SIGCONT)
    second.plug_in()
    cluster.publish(2)
    until(lambda: cluster.log("poll.log").count("redis_failed") > 1, timeout_s=60)
    cluster.poller.plug_in()
    until(lambda: cluster.done(FEEDS), timeout_s=90)

    report = json.loads(cluster.ask("audit", "--json"))
    assert (report["balanced"], report["offences"]) == (True, [])
    assert report["sums"]["attached"] == report["sums"]["articles"] == FEEDS * ENTRIES
