"""A Redis server of a test's own, on a TCP port, to be killed, starved, copied and broken."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from conftest import until


class OwnServer:
    """One server and its folder. It may be started again after it was killed."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        """Take a free port; nothing runs yet.

        Args:
            program: which redis-server.
            folder: its data; kept when it ends.
            options: as on its command line, e.g. ``--maxmemory 10mb``.
        """
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.program = program
        self.folder = folder
        self._command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._command += ["--dir", str(folder), "--appendonly", "yes", "--logfile", "redis.log"]
        self._command += ["--maxmemory-policy", "noeviction", *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "OwnServer":
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # It inherits that SIGXFSZ is ignored, so that a file that is too large is an error to it.
        self._process = subprocess.Popen(self._command, restore_signals=False)
        until(self._answers)
        return self

    def client(self) -> redis.Redis:
        """Return a client of the test's own."""
        return redis.Redis.from_url(self.url)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it as a crash does, if it runs."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Stop its process in its tracks; ``go_on`` lets it run again."""
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        self.signal(signal.SIGCONT)

    def tries_to_start(self) -> int:
        """Start it where it is expected to refuse, and return its exit status."""
        return subprocess.run(self._command, check=False, timeout=30).returncode

    def limit_file_size(self, size: int) -> None:
        """Let it write no file beyond this size, as on a full disk."""
        assert self._process
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def aof_file(self) -> Path:
        """Return the file that the newest writes went to."""
        files = [p for p in self.folder.rglob("appendonly.aof*") if p.is_file()]
        return max((p for p in files if not p.name.endswith(".manifest")), key=_written)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self.folder / "redis.log").read_text()
        with self.client() as client, contextlib.suppress(redis.exceptions.ConnectionError):
            return bool(client.ping())
        return False


def _written(path: Path) -> tuple[bool, int]:
    return (".incr." in path.name, path.stat().st_mtime_ns)


@contextmanager
def own_server(program: str, folder: Path, *options: str) -> Iterator[OwnServer]:
    """Give a running server; whatever state it is in at the end, it is killed."""
    made = OwnServer(program, folder, *options)
    try:
        yield made.start()
    finally:
        made.kill()
