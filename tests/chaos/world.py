"""A news world whose truth is known: outlets with feeds that grow, pages, and some that fail.

Everything is drawn from a seed: which entries are listed in which order, by which outlet, and which
of them tell one story. Pages are made when they are asked for, so that a world of any length is small.
"""

import hashlib
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from texts import text_of

from worker.core.entries import article_id, canonical_url, entry_id, feed_id
from worker.model import ArticleId, EntryId, Outcome, ParsedEntry

OUTLETS = 20
NEWEST = 10  # entries that a feed lists at least; those without an outcome stay listed anyhow
STORY_GROWS = 0.7  # chance that the next article is one more copy of a story that still grows
SIZES = (1, 1, 1, 1, 2, 2, 3, 4, 6, 10)  # copies of a story; all at different outlets
FEED_FAILS = 0.01  # of the answers
SHORT = "No more than a line on this is given here."  # too short for an article
RSS = '<rss version="2.0"><channel><title>{0}</title>{1}</channel></rss>'
ITEM = (
    "<item><guid>{0}</guid><link>{1}</link><title>{2}</title><description>{3}</description>"
    "<pubDate>{4}</pubDate></item>"
)
PAGE = "<html><head><title>{0}</title></head><body><article><h1>{0}</h1>{1}</article></body></html>"
# Paragraphs that are all link: below the 5 MiB that a page may have, some six seconds of extraction.
_WORDS = " ".join(f"word{n}" for n in range(400))
POISON = "".join(f"<div><p><a href='/{n}'>{_WORDS} {n}</a></p></div>" for n in range(1_600))


class Kind(Enum):
    """What becomes of an entry, whatever else happens."""

    WELL = "well"  # an article on a page
    AGAIN = "again"  # a page that another entry led to before
    FLAKY = "flaky"  # a page that answers 500 once or twice, then as it should
    GONE = "gone"  # no page, but the feed carries the text
    TEASER = "teaser"  # a page with a line of text
    BROKEN = "broken"  # a page that answers 500 for ever
    POISON = "poison"  # a page that costs its reader's life


ARTICLES = frozenset({Kind.WELL, Kind.AGAIN, Kind.FLAKY, Kind.GONE})
# Those that take long to fail come in the first half, so that a campaign does not wait for them.
RARE = {Kind.AGAIN: 0.05, Kind.FLAKY: 0.04, Kind.GONE: 0.02, Kind.TEASER: 0.02, Kind.BROKEN: 0.005}
PLANNED = {
    Kind.TEASER: {Outcome.REJECTED},
    # Its fifth attempt may end with the poller that makes it: given up, instead of read as too short.
    Kind.BROKEN: {Outcome.REJECTED, Outcome.QUARANTINED},
    Kind.POISON: {Outcome.QUARANTINED},
}


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the world. ``page`` is the number of the entry that first led to its page."""

    number: int
    kind: Kind
    story: int
    copy: int
    outlet: int  # that lists it
    page: int
    page_outlet: int

    @property
    def planned(self) -> set[Outcome]:
        """The outcomes that are right."""
        return PLANNED.get(self.kind, {Outcome.ATTACHED, Outcome.DUPLICATE})


def plan(seed: int, entries: int, *, poison: int) -> list[Item]:
    """Return the entries of a world in the order in which they are listed."""
    draw = random.Random(seed)
    growing: list[list[int]] = []  # story, its first outlet, copies so far, copies in the end
    items: list[Item] = []
    stories = 0
    poisoned = set(draw.sample(range(entries // 10, entries // 2), poison))
    for number in range(entries):
        kind = Kind.POISON if number in poisoned else _kind(draw, early=number < entries / 2)
        if kind is Kind.AGAIN:
            known = [item for item in items[-100:] if item.kind is Kind.WELL]
            if known:
                first = draw.choice(known)
                outlet = (first.outlet + draw.randrange(1, OUTLETS)) % OUTLETS
                page = (first.page, first.page_outlet)
                items.append(Item(number, kind, first.story, first.copy, outlet, *page))
                continue
            kind = Kind.WELL
        if not growing or draw.random() > STORY_GROWS:
            growing.append([stories, draw.randrange(OUTLETS), 0, draw.choice(SIZES)])
            stories += 1
        told = draw.choice(growing)
        story, first_outlet, copy, size = told
        outlet = (first_outlet + copy) % OUTLETS
        items.append(Item(number, kind, story, copy, outlet, number, outlet))
        told[2] += 1
        if told[2] == size:
            growing.remove(told)
    return items


def _kind(draw: random.Random, *, early: bool) -> Kind:
    chance = draw.random()
    for kind, share in RARE.items():
        if chance < share and (early or kind is not Kind.BROKEN):
            return kind
        chance -= share
    return Kind.WELL


class World:
    """Serves a planned world on the loopback; ``publish`` lets it grow."""

    def __init__(self, seed: int, items: list[Item]) -> None:
        world = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def handle(self) -> None:
                with suppress(ConnectionError):  # the poller was killed
                    super().handle()

            def do_GET(self) -> None:
                status, headers, body = world.answer(self.headers["Host"], self.path, self.headers)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.seed = seed
        self.items = items
        self.published: list[float] = []  # when
        self._listed: defaultdict[int, list[int]] = defaultdict(list)
        self._retired: set[int] = set()
        self._asked: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._chance = random.Random(seed)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port

    @contextmanager
    def served(self) -> Iterator[None]:
        """Serve during the block."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def publish(self, count: int) -> list[Item]:
        """List so many entries in all; return those that are new."""
        with self._lock:
            new = self.items[len(self.published) : count]
            for item in new:
                self._listed[item.outlet].append(item.number)
                self.published.append(time.time())
            return new

    def end(self) -> None:
        """List nothing more: the world is what is listed by now."""
        with self._lock:
            del self.items[len(self.published) :]

    def retire(self, number: int) -> None:
        """Let an entry's feed drop it: it has its outcome."""
        with self._lock:
            self._retired.add(number)

    def feed_url(self, outlet: int) -> str:
        """Return the address of an outlet's feed."""
        return f"http://outlet{outlet}.localhost:{self.port}/feed"

    def feed_urls(self) -> list[str]:
        """Return the addresses of all feeds."""
        return [self.feed_url(outlet) for outlet in range(OUTLETS)]

    def url(self, item: Item) -> str:
        """Return the address of an entry's page."""
        return f"http://outlet{item.page_outlet}.localhost:{self.port}/{item.page}"

    def entry_id(self, item: Item) -> EntryId:
        """Return the id that the ledger knows an entry by."""
        record = ParsedEntry(guid=_guid(item), url="", title="", summary="", published_at=None)
        return entry_id(feed_id(self.feed_url(item.outlet)), record)

    def article_id(self, item: Item) -> ArticleId:
        """Return the id of the article behind an entry."""
        return article_id(canonical_url(self.url(item)), self.entry_id(item))

    def answer(
        self, host: str, path: str, asked: "dict[str, str] | object"
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of a response."""
        if path == "/robots.txt":
            return 404, {}, b""
        outlet = int(host.partition(".")[0].removeprefix("outlet"))
        if path != "/feed":
            return self._page(int(path[1:]))
        with self._lock:
            if self._chance.random() < FEED_FAILS:
                return 500, {}, b""
            listed = self._listed[outlet]
            kept = [n for n in listed[:-NEWEST] if n not in self._retired] + listed[-NEWEST:]
            self._listed[outlet] = kept
        etag = '"' + hashlib.md5(repr(kept).encode(), usedforsecurity=False).hexdigest() + '"'
        if asked["If-None-Match"] == etag:  # type: ignore[index]
            return 304, {"ETag": etag}, b""
        items = "".join(self._listing(self.items[number]) for number in reversed(kept))
        body = RSS.format(f"Outlet {outlet}", items).encode()
        return 200, {"ETag": etag, "Content-Type": "application/rss+xml"}, body

    def _listing(self, item: Item) -> str:
        text = text_of(self.seed, item.story, item.copy)
        summary = " ".join(text.paragraphs) if item.kind is Kind.GONE else SHORT
        date = formatdate(self.published[item.number])
        parts = (_guid(item), self.url(item), text.title, summary, date)
        return ITEM.format(*map(escape, parts))

    def _page(self, number: int) -> tuple[int, dict[str, str], bytes]:
        if not 0 <= number < len(self.items):
            return 404, {}, b""
        item = self.items[number]
        with self._lock:
            self._asked[number] += 1
            often = self._asked[number]
        if item.kind is Kind.GONE:
            return 404, {}, b""
        if item.kind is Kind.BROKEN or (item.kind is Kind.FLAKY and often <= 1 + number % 2):
            return 500, {}, b""
        text = text_of(self.seed, item.story, item.copy)
        paragraphs = (SHORT,) if item.kind is Kind.TEASER else text.paragraphs
        body = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
        if item.kind is Kind.POISON:
            body = POISON
        html = PAGE.format(escape(text.title), body).encode()
        return 200, {"Content-Type": "text/html; charset=utf-8"}, html


def _guid(item: Item) -> str:
    return f"item-{item.number}"
