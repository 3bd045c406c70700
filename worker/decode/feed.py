"""Feed documents to values: feedparser with its doors shut.

One job: bytes of RSS, Atom or RDF in, ``ParsedFeed`` out. It never opens a file or an address (see
``_parse``), and it is to run inside decode/sandbox: some inputs cost feedparser minutes, and
some crash expat. Called by decode/document.
"""

import io
import re
import time
from collections.abc import Iterable
from typing import Any
from xml.sax import SAXException

import feedparser

from worker.core.wishes import skipping
from worker.decode.dates import moment
from worker.decode.values import (
    MAX_ENTRIES,
    MAX_GUID_CHARS,
    MAX_SUMMARY_CHARS,
    MAX_TITLE_CHARS,
    clean,
    full_content,
    plain_text,
    public_address,
    web_address,
)
from worker.errors import DecodeError
from worker.model import FeedWishes, ParsedEntry, ParsedFeed

# Of a document that lists so many, the newest would not be found within the limits of a child.
MAX_LISTED = 5_000
# Above this an expat older than 2.7.0 overflows its stack on chained entities (CVE-2024-8176).
# Real feeds declare a handful (lemon24/reader#212 has some that do).
MAX_ENTITIES = 64
MAX_EVERY_S = 7 * 86_400.0  # a feed that wishes for longer is taken at a week
MAX_LINKS = 32  # of the feed itself, that are looked through for a hub; real ones have three
MAX_SKIP_BYTES = 2_000  # 24 hours with spaces are half of it
# RSS 1.0 module Syndication. A month and a year matter only divided by updateFrequency.
_PERIODS_S = {
    "hourly": 3_600.0,
    "daily": 86_400.0,
    "weekly": 7 * 86_400.0,
    "monthly": 30 * 86_400.0,
    "yearly": 365 * 86_400.0,
}
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_DAYS = (b"monday", b"tuesday", b"wednesday", b"thursday", b"friday", b"saturday", b"sunday")

# All that feedparser has been seen to raise, and their kin: it catches SAXException only
# (feedparser/api.py:264), so a bad character reference or codec name comes out as it is.
_FEEDPARSER_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    SAXException,
    TypeError,
    ValueError,
)
_ENTITY = re.compile(rb"""<!ENTITY\s+(?:%\s+)?[^\s"'>]+\s*("[^"]*"|'[^']*')?""", re.IGNORECASE)
_ENTITY_REFERENCE = re.compile(rb"&[^#]|%[A-Za-z]")
_FEED_ROOT = re.compile(rb"<(?:\w+:)?(?:rss|feed|rdf)\b", re.IGNORECASE)
_ITEM = re.compile(rb"<(?:\w+:)?(?:item|entry)\b", re.IGNORECASE)
_HTML_ROOT = re.compile(
    # Each alternative can match in one way only, else backtracking would be exponential.
    rb"(?:<\?[^>]*>|<!--(?:[^-]|-(?!->))*-->|\s)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE,
)


def parse_feed(
    body: bytes, *, url: str, content_type: str = "", content_chars: int = 0
) -> ParsedFeed:
    """Return what a feed document says, as plain text and absolute addresses.

    Args:
        body: decoded from its Content-Encoding, not from its character set.
        url: the address that answered; relative links are resolved against it.
        content_type: the response header; names the character set.
        content_chars: full contents with as much text are kept as HTML; 0: none.

    Raises:
        DecodeError: not a feed, too dangerous to parse, or so broken that no entry is left.
    Cost: linear for real feeds (1.3 MB, 100 entries: 0.25 s); unbounded for hostile ones.
    """
    _refuse(body)
    raw = _parse(body, content_type)
    try:
        feed = ParsedFeed(
            title=plain_text(raw.feed.get("title"), MAX_TITLE_CHARS, one_line=True),
            entries=tuple(_entry(item, url, content_chars) for item in _newest(raw.entries)),
            wishes=_wishes(raw.feed, body),
            hub=_link_to("hub", raw.feed, url),
            topic=_link_to("self", raw.feed, url),
        )
    except _FEEDPARSER_FAULTS as e:
        raise DecodeError(f"the feed could not be read: {type(e).__name__}") from e
    broken = raw.bozo and isinstance(raw.get("bozo_exception"), SAXException)
    if broken and not feed.entries:
        raise DecodeError("the feed is not well-formed and has no readable entry")
    return feed


def _refuse(body: bytes) -> None:
    """Raise DecodeError for what is cheaply seen not to be a feed, or to be an attack."""
    ascii_view = body.replace(b"\0", b"")  # UTF-16 and UTF-32 markup, seen as ASCII
    start = ascii_view[:4096].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if not start:
        raise DecodeError("the document is empty")
    if b"<" not in ascii_view:
        # feedparser would take a bare path for a file to open (its api.py:118-131).
        raise DecodeError("the document has no markup: a text, a path or JSON, not a feed")
    if _HTML_ROOT.match(start):
        raise DecodeError("the document is an HTML page, not a feed")
    listed = sum(1 for _ in _ITEM.finditer(ascii_view))
    if listed > MAX_LISTED:
        raise DecodeError(f"the document lists {listed} entries, more than {MAX_LISTED}")
    root = _FEED_ROOT.search(ascii_view)
    entities = _ENTITY.findall(ascii_view, 0, root.start() if root else len(ascii_view))
    if len(entities) > MAX_ENTITIES:
        raise DecodeError(f"the document declares {len(entities)} entities")
    if any(_ENTITY_REFERENCE.search(value) for value in entities):
        raise DecodeError("the document declares an entity that refers to another")


def _parse(body: bytes, content_type: str) -> Any:
    """Return feedparser's result for a document; its dictionaries do not leave this module."""
    try:
        raw = feedparser.parse(
            io.BytesIO(body),  # bytes would be tried as a file name
            # No content-location: feedparser would resolve guids like links, and they would change
            # with every redirect of the feed. Links are resolved in _link.
            response_headers={"content-type": content_type} if content_type else {},
            sanitize_html=False,  # no markup is kept, so there is nothing to sanitize
            resolve_relative_uris=False,
        )
    except _FEEDPARSER_FAULTS as e:
        raise DecodeError(f"the feed could not be read: {type(e).__name__}") from e
    if not raw.get("version"):
        raise DecodeError("the document is neither RSS, Atom nor RDF")
    return raw


def _unread(_: str) -> time.struct_time:
    """Return any date in feedparser's form; decode/dates reads the text itself."""
    return time.gmtime(0)


# Asked before all of feedparser's own, of which one raises IndexError on 'Sun, 018/13/30 06:15:15 UT': a
# single such date would cost the whole document.
feedparser.registerDateHandler(_unread)


def _newest(items: list[Any]) -> Iterable[Any]:
    """Return at most MAX_ENTRIES items: the document's order, unless the newest must be chosen."""
    if len(items) <= MAX_ENTRIES:
        return items
    return sorted(items, key=lambda item: _published_at(item) or 0.0, reverse=True)[:MAX_ENTRIES]


def _entry(item: Any, base: str, content_chars: int) -> ParsedEntry:
    """Return one feedparser entry as a value."""
    contents = item.get("content", ())
    texts = [item.get("summary"), *(part.get("value") for part in contents)]
    # A second description is among them too, as text/plain.
    full = (part.get("value") for part in contents if part.get("type") in _HTML_TYPES)
    return ParsedEntry(
        guid=clean(str(item.get("id") or "")).strip()[:MAX_GUID_CHARS],
        url=_link(item, base),
        title=plain_text(item.get("title"), MAX_TITLE_CHARS, one_line=True),
        summary=max((plain_text(text, MAX_SUMMARY_CHARS) for text in texts), key=len),
        published_at=_published_at(item),
        content=full_content(full, content_chars),
        updated_at=_moment_of(item, "updated"),
    )


def _link(item: Any, base: str) -> str:
    """Return the address of an entry's page, absolute http(s), or ''."""
    alternates = [
        link.get("href") for link in item.get("links", ()) if link.get("rel") == "alternate"
    ]
    return web_address((item.get("link"), *alternates), base)


def _link_to(relation: str, feed: Any, base: str) -> str:
    """Return the address that a feed's first links give for a relation, or ''."""
    links = feed.get("links", ())[:MAX_LINKS]
    named = (link.get("href") for link in links if relation in str(link.get("rel")).split())
    return public_address(named, base)


def _published_at(item: Any) -> float | None:
    """Return an entry's date as Unix seconds, or None: when it was published, else when updated."""
    times = (_moment_of(item, name) for name in ("published", "updated"))
    return next((at for at in times if at is not None), None)


def _moment_of(item: Any, name: str) -> float | None:
    """Return one of an entry's dates as Unix seconds, or None."""
    # dict.get: FeedParserDict's own maps one date to the other, with a warning.
    return moment(str(dict.get(item, name) or ""))


def _wishes(feed: Any, body: bytes) -> FeedWishes:
    """Return what the document asks of those who poll it. What it does not say is no wish."""
    hours, days = _skipped(body)
    period_s = _PERIODS_S.get(str(feed.get("sy_updateperiod") or "").strip().lower(), 0.0)
    often = _number(feed.get("sy_updatefrequency")) or 1
    every_s = max(_number(feed.get("ttl")) * 60.0, period_s / often)
    skip_hours, skip_days = skipping(hours, days)
    return FeedWishes(every_s=min(every_s, MAX_EVERY_S), skip_hours=skip_hours, skip_days=skip_days)


def _number(value: Any) -> int:
    """Return a positive whole number of up to nine digits, else 0."""
    text = str(value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _skipped(body: bytes) -> tuple[list[int], list[int]]:
    """Return the hours and days that an RSS channel skips; feedparser keeps only the last ones.

    Only what stands before the first item counts: a comment that an item quotes must not silence the
    feed. RSS 0.91 counts hours to 24, which is midnight.
    """
    view = body.replace(b"\0", b"")
    first = _ITEM.search(view)
    head = view[: first.start() if first else len(view)].lower()
    hours = re.findall(rb"<hour>\s*(\d{1,2})\s*</hour>", _between(head, b"skiphours"))
    days = re.findall(rb"<day>\s*([a-z]+)\s*</day>", _between(head, b"skipdays"))
    return (
        [int(hour) % 24 for hour in hours if int(hour) <= 24],
        [_DAYS.index(day) for day in days if day in _DAYS],
    )


def _between(head: bytes, name: bytes) -> bytes:
    """Return what stands in the first element of a name, its first MAX_SKIP_BYTES."""
    inside = head.partition(b"<" + name + b">")[2][:MAX_SKIP_BYTES]
    return inside.partition(b"</" + name + b">")[0]
