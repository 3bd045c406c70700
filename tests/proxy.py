"""A TCP proxy in front of a server, which loses, delays and swallows what a test tells it to."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from urllib.parse import urlsplit

AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, as a crashed host's peer sees it
PIECE = 65_536


class Fate(Enum):
    """What becomes of one request."""

    PASS = "passed on"
    LOST_REQUEST = "the connection breaks before the server sees it"
    LOST_REPLY = "the connection breaks when the server has done it"


class Proxy:
    """Stands between clients and one server; what it does may be changed at any time."""

    def __init__(self, upstream: str) -> None:
        """Listen on a free port of the loopback.

        Args:
            upstream: redis:// or unix:// address.
        """
        self.fate: Callable[[bytes], Fate] = lambda _: Fate.PASS
        self.delay_s = 0.0  # each request waits so long
        self.swallows = False  # what the server says is read and thrown away
        self.seen = dict.fromkeys(Fate, 0)
        self.upstream = upstream  # where the next connection leads
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._open: set[socket.socket] = set()
        self._stopped = threading.Event()
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def close(self) -> None:
        """Break every connection and take no more."""
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for one in list(self._open):
            self._break(one)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                continue  # stopped
            try:
                server = _connected(self.upstream)
            except OSError:
                self._break(client)  # the server is away
                continue
            self._open |= {client, server}
            losing = threading.Event()
            for act in (self._requests, self._replies):
                threading.Thread(target=act, args=(client, server, losing), daemon=True).start()

    def _requests(
        self, client: socket.socket, server: socket.socket, losing: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := client.recv(PIECE):
                self._stopped.wait(self.delay_s)
                fate = self.fate(piece)
                self.seen[fate] += 1
                if fate is Fate.LOST_REQUEST:
                    break
                if fate is Fate.LOST_REPLY:
                    losing.set()
                server.sendall(piece)
        self._break(client, server)

    def _replies(
        self, client: socket.socket, server: socket.socket, losing: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while (piece := server.recv(PIECE)) and not losing.is_set():
                if not self.swallows:
                    client.sendall(piece)
        self._break(client, server)

    def _break(self, *ends: socket.socket) -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                end.shutdown(socket.SHUT_RDWR)
            end.close()
            self._open.discard(end)


def _connected(upstream: str) -> socket.socket:
    parts = urlsplit(upstream)
    is_unix = parts.scheme == "unix"
    made = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET)
    try:
        made.connect(parts.path if is_unix else (parts.hostname or "", parts.port or 6379))
    except OSError:
        made.close()
        raise
    return made


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """Give a proxy in front of a server until the end of the block."""
    made = Proxy(upstream)
    try:
        yield made
    finally:
        made.close()
