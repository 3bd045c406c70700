"""A raw server on the loopback that keeps what it is asked byte for byte, for tests."""

import asyncio
from collections.abc import Awaitable, Callable

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
FEED = b"<rss version='2.0'/>"


class Server:
    """A raw TCP server that records request heads and answers by path, byte for byte."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.heads: list[str] = []
        self.answers: dict[str, bytes | Answer] = {}
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            answer = self.answers[head.split(" ")[1].partition("?")[0]]
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def headers(self, index: int = -1) -> dict[str, str]:
        """Return the headers of a recorded request, names in lower case, values verbatim."""
        lines = self.heads[index].split("\r\n")[1:-2]
        return {name.lower(): value[1:] for name, _, value in (x.partition(":") for x in lines)}

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """Return an address of this server."""
        return f"http://{host}:{self.port}{path}"


def response(body: bytes = FEED, *headers: str, status: str = "200 OK") -> bytes:
    """Return a whole response that closes the connection."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
