"""A TCP proxy in front of Redis that loses replies, resets requests and delays both, when told to."""

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 65_536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: the peer sees a reset


@dataclass(slots=True)
class Proxy:
    """Forwards connections on a loopback port to the socket of a server.

    ``drop`` and ``reset`` hold what the next requests to be hit contain: with ``drop`` the server
    gets the request and the client never its reply, with ``reset`` the server never gets it.
    """

    target: Path
    port: int = 0
    drop: deque[bytes] = field(default_factory=deque)
    reset: deque[bytes] = field(default_factory=deque)
    delay_s: float = 0.0
    dropped: int = 0
    resets: int = 0

    @contextmanager
    def running(self) -> Iterator[str]:
        """Forward during the block; give the address for clients."""
        ready, stop = threading.Event(), asyncio.Event()
        loop = asyncio.new_event_loop()

        async def main() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await stop.wait()
            server.close()
            pumps = asyncio.all_tasks() - {asyncio.current_task()}
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

        thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
        thread.start()
        ready.wait()
        try:
            yield f"redis://127.0.0.1:{self.port}/0"
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()

    def quiet(self) -> None:
        """Forward everything from now on."""
        self.drop.clear()
        self.reset.clear()
        self.delay_s = 0.0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        losing = asyncio.Event()
        with suppress(OSError):
            server_reader, server_writer = await asyncio.open_unix_connection(str(self.target))
            pumps = [
                asyncio.create_task(self._requests(reader, server_writer, losing)),
                asyncio.create_task(self._replies(server_reader, writer, losing)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            server_writer.transport.abort()
        raw = writer.get_extra_info("socket")
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.reset and self.reset[0] in data:
                self.reset.popleft()
                self.resets += 1
                return
            if self.drop and self.drop[0] in data:
                self.drop.popleft()
                losing.set()
            writer.write(data)
            await writer.drain()

    async def _replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            if losing.is_set():
                self.dropped += 1
                return
            writer.write(data)
            await writer.drain()
