"""A web server of our own with feeds and pages, and the steps that read it, for tests."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from worker.core.entries import feed_id
from worker.model import EntryId, Feed, FeedId
from worker.networking import PollSteps, poll_steps
from worker.store.ledger import LedgerRow
from worker.wiring import Context

LATER_S = 100 * 86_400.0  # every feed that may ever be polled again is due by then
QUAKE = (
    "An earthquake of magnitude six shook the island of Norvale early on Sunday and damaged two "
    "bridges, the geological office reported. The governor Irma Holt sent engineers to the port "
    "of Brill, where cranes had toppled onto the quay. Ferries to the mainland stay in harbour "
    "until divers have looked at the piers. Nobody was killed, hospitals treated thirty people."
)
OPERA = (
    "The opera house of Tarnsby will close for three years from next summer, its director Paul "
    "Vane announced. The stage machinery dates from the fifties and fails once a week. The city "
    "council granted ninety million crowns for the repair, and the orchestra moves to a former "
    "tram depot in the west of the town, where seven hundred seats are being built for it."
)
PAGE = (
    "<html><head><title>{0}</title></head>"
    "<body><article><h1>{0}</h1><p>{1}</p></article></body></html>"
)
Answer = tuple[int, dict[str, str], bytes]


class Site:
    """A web server whose answers a test sets, and which keeps what it was asked.

    How often its robots.txt was asked for is counted apart: that comes before the first page.
    """

    def __init__(self) -> None:
        """Listen on a free port of the loopback."""
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/robots.txt":
                    site.robots_asked += 1
                else:
                    site.asked.append((self.path, dict(self.headers.items())))
                status, headers, body = site.answers.get(self.path, (404, {}, b"no such page"))
                if self.path in site.unchanged and "If-None-Match" in self.headers:
                    status, body = 304, b""
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 304:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.answers: dict[str, Answer] = {}
        self.unchanged: set[str] = set()  # paths that answer 304 to who has a tag
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.robots_asked = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def url(self, path: str) -> str:
        """Return an address of this site."""
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def paths(self) -> list[str]:
        """Return what was asked for but robots.txt, in order."""
        return [path for path, _ in self.asked]

    def feed(self, *names: str, summary: str = "") -> bytes:
        """Return a feed that lists these pages of the site."""
        items = "".join(
            f"<item><guid>{name}</guid><link>{self.url(f'/{name}')}</link><title>News of {name}"
            f"</title><description>{summary}</description></item>"
            for name in names
        )
        return f'<rss version="2.0"><channel><title>Own</title>{items}</channel></rss>'.encode()


@contextmanager
def running_site() -> Iterator[Site]:
    """Serve until the end of the block."""
    made = Site()
    with serving(made.server):
        yield made


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Let a server answer until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def with_steps(context: Context, act: Callable[[PollSteps], Awaitable[None]]) -> None:
    """Run a coroutine on the poll role's steps."""

    async def main() -> None:
        async with poll_steps(context) as steps:
            await act(steps)

    asyncio.run(main())


def follow(context: Context, url: str) -> FeedId:
    """Follow a feed, due at once."""
    context.feeds.add(Feed(feed_id=feed_id(url), url=url))
    return feed_id(url)


async def poll_all(context: Context, steps: PollSteps) -> tuple[EntryId, ...]:
    """Poll every feed now, whenever it would be due; return the new entries."""
    leases = context.feeds.due(now=time.time() + LATER_S, lease_s=60.0, limit=100)
    found = await asyncio.gather(*(steps.poller.poll(lease) for lease in leases))
    return tuple(entry_id for new in found for entry_id in new)


async def fetch_all(steps: PollSteps, entry_ids: Sequence[EntryId]) -> list[bool]:
    """Fetch the pages of entries; return of each whether the workers may be told."""
    return [await steps.pages.fetch(entry_id) for entry_id in entry_ids]


def feed_of(context: Context, name: FeedId) -> Feed:
    """Return a feed that is followed."""
    feed = context.feeds.get(name)
    assert feed is not None
    return feed


def row_of(context: Context, entry_id: EntryId) -> LedgerRow:
    """Return an entry that is on the ledger."""
    row = context.ledger.row(entry_id)
    assert row is not None
    return row


def poll_and_fetch(
    context: Context, site: Site, *names: str, summary: str = ""
) -> tuple[EntryId, ...]:
    """Poll a feed of these pages and fetch them; return the entries, ready for work."""
    site.answers["/feed"] = (200, {}, site.feed(*names, summary=summary))
    follow(context, site.url("/feed"))
    new: list[EntryId] = []

    async def act(steps: PollSteps) -> None:
        new.extend(await poll_all(context, steps))
        await fetch_all(steps, new)

    with_steps(context, act)
    return tuple(new)


def page(title: str, text: str) -> bytes:
    """Return a page with one article."""
    return PAGE.format(title, text).encode()
