"""The processes of a campaign: a Redis server, a poller and workers, as in production. Linux only.

Whoever ends is started again: workers by their own supervisors, these and the poller by `tend`.
Processes are found in /proc; orphans become children of the campaign, so that none outlives it.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import redis
from clock.sitecustomize import AHEAD

from worker.embedded import server_program

CLOCK = Path(__file__).parent / "clock"
ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))  # for programs: what tests share is beside this folder
REAP_S = 1.0
RESTART_S = 0.5  # about what a container takes to come back
START_S = 30.0
STOP_S = 15.0
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
SETTINGS = """
[redis]
timeout_s = 5.0
[paths]
var = "{home}/var"
archive = "{home}/archive"
[poll]
interval_s = 2.0
min_interval_s = 1.0
max_interval_s = 4.0
max_new_a_day = 1000000
[fetch]
allow_private = [".localhost"]
host_gap_s = 0
[ledger]
retention_days = {retention_days}
[index]
window_days = {window_days}
[work]
cpu_s = 2
[web]
port = 0
[log]
format = "json"
"""


@dataclass(slots=True)
class Role:
    """A process that the plant itself keeps alive."""

    name: str
    arguments: tuple[str, ...]
    process: "subprocess.Popen[bytes] | None" = None
    start_at: float = 0.0

    @property
    def pid(self) -> int:
        """Its process id; 0 while it does not run."""
        return self.process.pid if self.process and self.process.returncode is None else 0


@dataclass
class Plant:
    """One installation in a folder: settings, data, logs and running processes."""

    home: Path
    supervisors: int
    processes: int  # workers of each
    retention_days: float = 30.0
    window_days: float = 7.0
    redis_pid: int = 0
    roles: list[Role] = field(default_factory=list)
    _redis: "subprocess.Popen[bytes] | None" = None
    _log: IO[bytes] | None = None
    _reaped_at: float = 0.0

    def __post_init__(self) -> None:
        """Make the folder a working directory of the program."""
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for name in ("config", "clocks", "redis"):
            (self.home / name).mkdir(parents=True)
        values = {"retention_days": self.retention_days, "window_days": self.window_days}
        text = SETTINGS.format(home=self.home, **values)
        (self.home / "config" / "samestory.toml").write_text(text)
        self._log = (self.home / "log").open("ab")
        work = ("work", "--processes", str(self.processes))
        self.roles = [Role(f"work-{n + 1}", work) for n in range(self.supervisors)]
        self.roles.append(Role("poll", ("poll",)))

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return self.home / "redis" / "redis.sock"

    @property
    def url(self) -> str:
        """The server's own address, past any proxy."""
        return f"unix://{self.socket}?db=0"

    # --- Redis --------------------------------------------------------------------------------

    def start_redis(self) -> None:
        """Start the server on its append-only file, and wait until it answers."""
        program = shutil.which("redis-server") or server_program()
        options = ["--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        options += [
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--dir",
            str(self.home / "redis"),
        ]
        options += [
            "--maxmemory-policy",
            "noeviction",
            "--logfile",
            str(self.home / "redis" / "log"),
        ]
        self._redis = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        self.redis_pid = self._redis.pid
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._redis.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{program} did not start: see {self.home}/redis/log")
            time.sleep(0.01)

    def kill_redis(self) -> None:
        """SIGKILL the server."""
        if self._redis:
            self._redis.kill()
            self._redis.wait()

    def _answers(self) -> bool:
        try:
            with redis.Redis(unix_socket_path=str(self.socket), retry=None) as client:
                return bool(client.ping())
        except redis.exceptions.ConnectionError:
            return False

    # --- roles --------------------------------------------------------------------------------

    def environment(self, redis_url: str) -> dict[str, str]:
        """Return the environment of the program: the server, a movable clock, no other setting."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SAMESTORY_")}
        path = os.pathsep.join([str(CLOCK), str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
        clocks = str(self.home / "clocks")
        mine = {"SAMESTORY_REDIS_URL": redis_url, "CHAOS_CLOCKS": clocks, "PYTHONPATH": path}
        return {**kept, **mine}

    def ask(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run one command of the program, past any proxy."""
        return subprocess.run(
            [sys.executable, "-m", "worker", *arguments],
            cwd=self.home,
            env=self.environment(self.url),
            capture_output=True,
            text=True,
            check=False,
        )

    def tend(self, redis_url: str) -> None:
        """Start what is to run and does not, and let go of what has ended."""
        now = time.monotonic()
        for role in self.roles:
            if role.process and role.process.poll() is not None:
                role.process, role.start_at = None, now + RESTART_S
            if role.process is None and now >= role.start_at:
                role.process = subprocess.Popen(
                    [sys.executable, "-m", "worker", *role.arguments],
                    cwd=self.home,
                    env=self.environment(redis_url),
                    stdin=subprocess.DEVNULL,
                    stdout=self._log,
                    stderr=self._log,
                    start_new_session=True,
                )
        if now > self._reaped_at + REAP_S:
            self._reap()

    def stop(self) -> None:
        """End everything: SIGTERM, then SIGKILL, orphans included; the server last."""
        own = [role for role in self.roles if role.pid]
        for role in own:
            os.kill(role.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for role in own:
            with suppress(subprocess.TimeoutExpired):
                if role.process:
                    role.process.wait(max(0.0, deadline - time.monotonic()))
        for pid in descendants(os.getpid()):
            if pid != self.redis_pid:
                send(pid, signal.SIGKILL)
        self._reap()

    def close(self) -> None:
        """End what still runs, whatever happened before."""
        for pid in descendants(os.getpid()):
            send(pid, signal.SIGKILL)
        if self._log:
            self._log.close()

    def _reap(self) -> None:
        """Wait for orphans that ended: they were given to us."""
        self._reaped_at = time.monotonic()
        own = {role.pid for role in self.roles} | {self.redis_pid}
        for pid in children().get(os.getpid(), ()):
            if pid not in own:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    # --- who is who ---------------------------------------------------------------------------

    def poller(self) -> int:
        """Return the process id of the poller, 0 while there is none."""
        return next(role.pid for role in self.roles if role.name == "poll")

    def tops(self) -> list[int]:
        """Return the supervisors that run."""
        return [role.pid for role in self.roles if role.pid and role.name != "poll"]

    def workers(self) -> dict[int, list[int]]:
        """Return the RQ workers under supervisors, each with its horse, if it has one."""
        family = children()
        return {pid: family.get(pid, []) for top in self.tops() for pid in family.get(top, ())}

    def set_clock(self, pid: int, ahead_s: float) -> None:
        """Move the clock of a process."""
        path = self.home / "clocks" / str(pid)
        if path.exists():
            with path.open("rb+") as file:
                file.write(AHEAD.pack(ahead_s))

    def reset_clocks(self) -> None:
        """Let all clocks be right."""
        for path in (self.home / "clocks").iterdir():
            self.set_clock(int(path.name), 0.0)


def children() -> dict[int, list[int]]:
    """Return the living children of every process of this machine."""
    family: defaultdict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                stat = (folder / "stat").read_text()
                state, parent = stat.rpartition(")")[2].split()[:2]
                if state != "Z" or int(parent) == os.getpid():
                    family[int(parent)].append(int(folder.name))
    return family


def descendants(pid: int) -> list[int]:
    """Return a process's children, their children and so on, parents first."""
    family = children()
    found: list[int] = []
    ask: Sequence[int] = family.get(pid, [])
    while ask:
        found += ask
        ask = [child for parent in ask for child in family.get(parent, [])]
    return found


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal, if the process is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process, 0 when it is gone."""
    with suppress(OSError):
        pages = int(Path("/proc", str(pid), "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0
