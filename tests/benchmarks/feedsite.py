"""A site of feeds for benchmarks, in a process of its own: every feed on a host of its own.

    python tests/benchmarks/feedsite.py

Prints its port and serves until it is ended. The hosts are addresses of the loopback, all of them on
Linux: it listens on every one, and hangs up on who comes from elsewhere. One feed in LOUD has changed
whenever it is asked for, in its date and its tag alone: it must be read and brings nothing new. The
others answer 304 to who knows their tag. ``/counts`` says how often each status was given.
"""

import asyncio
import json
import random
from collections import Counter
from functools import cache

LOUD = 20  # so 95 % of polls meet a 304
ITEMS = 20
TAG = '"same"'
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" '
    'xmlns:content="http://purl.org/rss/1.0/modules/content/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Outlet {feed}</title>'
    "<link>{home}</link><description>News of outlet {feed}</description><language>en</language>"
)


def address(feed: int, port: int) -> str:
    """Return where the feed of a number is asked, one of 62 500."""
    return f"http://127.{1 + feed // 250}.{feed % 250}.1:{port}/feed/{feed}"


def is_loud(feed: int) -> bool:
    """Say whether a feed has changed whenever it is asked for."""
    return feed % LOUD == 0


@cache
def document(feed: int, items: int = ITEMS) -> bytes:
    """Return a feed as outlets write them: 2.5 kB an item, teaser and full text in it."""
    home = f"https://outlet{feed}.example/"
    drawn = random.Random(feed)
    return "".join(
        [_HEAD.format(feed=feed, home=home), *(_item(drawn, home, n) for n in range(items)),
         "</channel></rss>\n"],
    ).encode()  # fmt: skip


def _item(drawn: random.Random, home: str, number: int) -> str:
    def words(count: int) -> str:
        return " ".join("".join(drawn.choices("etaoinshrdlu", k=6)) for _ in range(count))

    text = "".join(f"<p>{words(55)} <a href='{home}{n}'>{words(3)}</a>.</p>" for n in range(4))
    return (
        f"<item><title>{words(9)}</title><link>{home}news/{number}.html</link>"
        f"<guid isPermaLink='false'>{home}{number}</guid><dc:creator>{words(2)}</dc:creator>"
        f"<pubDate>Mon, 02 Mar 2026 10:{number % 60:02d}:00 GMT</pubDate>"
        f"<category>{words(1)}</category><description>{words(50)}</description>"
        f"<content:encoded><![CDATA[{text}]]></content:encoded></item>\n"
    )


class Answering(asyncio.Protocol):
    """One connection."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hang up on who does not come from this machine."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not transport.get_extra_info("peername")[0].startswith("127."):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Answer a request; those of GETs come in one piece on the loopback."""
        if self._transport is not None:
            self._transport.write(self._answer(data))

    def _answer(self, request: bytes) -> bytes:
        path = request.split(b" ", 2)[1].decode()
        if path == "/counts":
            return _response("200 OK", json.dumps(self._counts).encode())
        feed = int(path.rpartition("/")[2])
        if is_loud(feed):
            self._counts["200"] += 1
            date = f"<lastBuildDate>{self._counts['200']}</lastBuildDate></channel>".encode()
            body = document(feed).replace(b"</channel>", date)
            return _response("200 OK", body, f'ETag: "{self._counts["200"]}"\r\n')
        if TAG.encode() in request:
            self._counts["304"] += 1
            return f"HTTP/1.1 304 Not Modified\r\nETag: {TAG}\r\n\r\n".encode()
        self._counts["first"] += 1
        return _response("200 OK", document(feed), f"ETag: {TAG}\r\n")


def _response(status: str, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/rss+xml\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _serve() -> None:
    counts = Counter[str]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(counts), "0.0.0.0", 0, backlog=1_024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
