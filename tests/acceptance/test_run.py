"""The whole program as a user runs it: real processes, signals, HTTP and Redis."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import until
from program import ask, command, environment, furnish

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "seeds"
FOUR = 4


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working directory with settings that keep every file inside it."""
    return furnish(tmp_path)


def _json(home: Path, *arguments: str) -> dict[str, object]:
    return dict(json.loads(ask(home, *arguments, "--json", env=environment()).stdout))


@pytest.fixture
def port() -> int:
    """A port that nobody uses, the same for every start of a test: it is part of addresses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _running(home: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    """Run `samestory run` on the seeds; end it as Ctrl-C does and check how it ends."""
    with (home / "log").open("a") as log:
        process = subprocess.Popen(
            command("run", "--seeds", str(SEEDS), "--seeds-port", str(port)),
            cwd=home, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        try:
            yield process
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 0
            assert time.monotonic() - started < 10
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


def _log(home: Path) -> list[dict[str, object]]:
    lines = (home / "log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def _events(home: Path, event: str) -> list[dict[str, object]]:
    return [line for line in _log(home) if line["event"] == event]


def _settled(home: Path) -> int:
    return len(_events(home, "entry_settled"))


def _children(pid: int) -> dict[int, str]:
    """Return the processes that a process started, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                command = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found[int(entry.name)] = command
    return found


def test_four_accounts_become_one_story_and_nothing_is_polled_early(home: Path, port: int) -> None:
    """`run` on the seeds: one story of four and two reprints, a clean end, a quiet new start."""
    with _running(home, port):
        until(lambda: _settled(home) == 24, timeout_s=60)
        assert _json(home, "audit")["balanced"] is True
    stories = json.loads(ask(home, "stories", "--json", env=environment()).stdout)
    (talks,) = [s for s in stories if s["articles"] == 6]
    assert (talks["reprints"], talks["sources"], talks["own_accounts"]) == (2, 6, FOUR)
    polls = len(_events(home, "feed_polled"))
    with _running(home, port):
        until(lambda: len(_events(home, "web_listening")) == 2, timeout_s=60)
        assert _json(home, "status")
    assert len(_events(home, "feed_polled")) == polls == 8
    assert _json(home, "audit")["balanced"] is True


def test_worker_killed_in_the_middle_loses_nothing(home: Path, port: int) -> None:
    """SIGKILL hits a worker while entries are in work: another one finishes, the sums agree."""
    with _running(home, port) as process:
        until(lambda: _settled(home) >= 1, timeout_s=60)
        victim = next(
            p for p, command in _children(process.pid).items() if "work" in command.split()[-2:]
        )
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(_events(home, "child_ended")) >= 1, timeout_s=20)
        until(lambda: dict(_json(home, "audit"))["sums"]["pending"] == 0, timeout_s=60)  # type: ignore[index]
        report = _json(home, "audit")
    assert (report["balanced"], report["offences"]) == (True, [])
    assert report["sums"]["claimed"] == 24  # type: ignore[index]
