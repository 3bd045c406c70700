"""What is fuzzed: one function for each kind of foreign input, with what must hold of every input.

A function takes bytes and returns nothing. It lets the documented errors pass; anything else that it
raises, an AssertionError of its own included, is a finding. Called by run.py under a fuzzer, and by
test_fuzz_corpus.py on the inputs that are kept.
"""

import contextlib
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from yarl import URL

from worker.core.entries import canonical_url, entries_of, feed_id, publisher
from worker.core.redaction import public_part, redacted
from worker.core.wishes import HOURS, server_wish
from worker.decode.dates import moment
from worker.decode.document import parse_document
from worker.decode.feed import MAX_EVERY_S
from worker.decode.opml import read_opml, write_opml
from worker.decode.page import MAX_TEXT_CHARS, extract_page
from worker.decode.values import (
    MAX_ENTRIES,
    MAX_GUID_CHARS,
    MAX_PUBLIC_CHARS,
    MAX_SUMMARY_CHARS,
    MAX_TITLE_CHARS,
    clean,
    web_address,
)
from worker.errors import DecodeError, FetchError
from worker.fetch.client import FetchPolicy, _parsed, vetted
from worker.fetch.guard import is_public
from worker.model import Feed, FeedId, ParsedFeed

CORPUS = Path(__file__).parent / "corpus"
BASE = "https://news.example.com/world/feed"
NOW = 1_800_000_000.0
_FIRST_AT, _YEAR_10000 = -86_400.0, 253_402_300_800.0  # 1970 begins earlier in the east
_WEEK_S = 7 * 86_400.0
_POLICY = FetchPolicy(user_agent="x", connect_timeout_s=1.0, total_timeout_s=1.0, max_bytes=1)
# Of Unicode's categories: controls, halves of surrogate pairs, direction overrides.
_CONTROLS = frozenset({"Cc", "Cs"})
_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def feed(data: bytes) -> None:
    """A document as a feed's address answers it; the first line is the Content-Type header."""
    header, _, body = data.partition(b"\n")
    named = header.decode("latin-1").strip()
    with contextlib.suppress(DecodeError):
        _check_feed(parse_document(body, url=BASE, content_type=named, content_chars=20))


def page(data: bytes) -> None:
    """A page as a server answers it."""
    with contextlib.suppress(DecodeError):
        found = extract_page(data, url=BASE)
        _check_text(found.title, MAX_TITLE_CHARS)
        _check_text(found.text, MAX_TEXT_CHARS, lines=True)
        assert 0.0 <= found.linked <= 1.0, found.linked


def opml(data: bytes) -> None:
    """A list of feeds: what is read can be written, and is the same when it is read again."""
    with contextlib.suppress(DecodeError):
        listed = read_opml(data)
        for url, title in listed:
            assert url.lower().startswith(("http://", "https://")), url
            _check_text(title, MAX_TITLE_CHARS)
        feeds = [Feed(feed_id=FeedId(url), url=url, title=title) for url, title in listed]
        again = dict(read_opml(write_opml(feeds)))
        assert again.keys() == dict(listed).keys(), again
        assert [again[url] for url, title in listed if title] == [t for _, t in listed if t], again


def dates(data: bytes) -> None:
    """A date, wherever one is read: it may be none, but costs neither its feed nor another date."""
    text = "".join(c for c in data.decode("utf-8", "ignore") if c.isprintable())
    said = moment(text)
    assert said is None or _FIRST_AT < said < _YEAR_10000, said
    items = (
        f"<item><guid>1</guid><pubDate>{escape(text)}</pubDate></item><item><guid>2</guid></item>"
    )
    rss = f'<rss version="2.0"><channel>{items}</channel></rss>'
    parsed = parse_document(rss.encode(), url=BASE)
    assert len(parsed.entries) == 2, parsed
    _check_feed(parsed)
    for name in ("retry-after", "expires", "date", "x-ratelimit-reset"):
        fixed = {"expires": "Fri, 15 Jan 2027 09:00:00 GMT", "x-ratelimit-remaining": "0"}
        _check_wish({**fixed, name: text})


def urls(data: bytes) -> None:
    """An address out of a feed or a Location header."""
    text = data.decode("utf-8", "surrogateescape")  # as the HTTP library decodes headers
    for url in (text, web_address([text], BASE)):
        once = canonical_url(url)
        assert canonical_url(once) == once, once
        for spelling in (url, once):
            _check_address(spelling)
        if once:
            parts = urlsplit(once)
            assert once.isascii(), once
            assert parts.scheme in ("http", "https"), once
            assert parts.hostname, once
            assert parts.username is None, once
    with contextlib.suppress(ValueError, FetchError):
        _check_target(vetted(str(URL(BASE).join(_parsed(text))), _POLICY, refused="it"))


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "feed": feed, "page": page, "opml": opml, "dates": dates, "urls": urls,
}  # fmt: skip


def _check_feed(parsed: ParsedFeed) -> None:
    _check_text(parsed.title, MAX_TITLE_CHARS)
    assert len(parsed.entries) <= MAX_ENTRIES
    assert 0.0 <= parsed.wishes.every_s <= MAX_EVERY_S, parsed.wishes
    assert 0 <= parsed.wishes.skip_hours < 1 << HOURS, parsed.wishes
    for entry in parsed.entries:
        assert len(entry.guid) <= MAX_GUID_CHARS
        _check_text(
            " ".join(entry.guid.split()), MAX_GUID_CHARS
        )  # only hashed, so it may have lines
        _check_text(entry.title, MAX_TITLE_CHARS)
        _check_text(entry.summary, MAX_SUMMARY_CHARS, lines=True)
        assert not entry.url or urlsplit(entry.url).scheme in ("http", "https"), entry.url
        for at in (entry.published_at, entry.updated_at):
            assert at is None or _FIRST_AT < at < _YEAR_10000, at
        assert entry.content == clean(entry.content)
    own = Feed(feed_id=feed_id(BASE), url=BASE)
    for address in (parsed.hub, parsed.topic):
        assert not address or urlsplit(address).scheme in ("http", "https"), address
        assert len(address) <= MAX_PUBLIC_CHARS, address
        assert "@" not in urlsplit(address).netloc, address
    for kept in entries_of(parsed, own, NOW):
        assert kept.published_at is None or kept.published_at <= NOW + 600.0, kept.published_at


def _check_text(text: str, limit: int, *, lines: bool = False) -> None:
    """What is stored and shown: short, in characters, one line unless lines are allowed."""
    assert len(text) <= limit, len(text)
    odd = {c for c in text if unicodedata.category(c) in _CONTROLS} | _OVERRIDES & set(text)
    assert odd <= (set("\n") if lines else set()), odd


def _check_wish(headers: Mapping[str, str]) -> None:
    wish = server_wish(headers, NOW)
    assert wish is None or 0.0 <= wish.seconds <= _WEEK_S, wish


def _check_address(url: str) -> None:
    """Nothing but a FetchError out of the guard, no secret out of what is logged."""
    publisher(url)
    assert "@" not in public_part(url), url
    redacted(url)
    with contextlib.suppress(FetchError):
        target = vetted(url, _POLICY, refused="it")
        _check_target(target)
        if url == canonical_url(url):
            # Two parsers must agree on whom to ask, and on whom it counts for.
            assert target.raw_host == urlsplit(url).hostname, url


def _check_target(target: URL) -> None:
    """An address that may be asked: what the HTTP library takes for an IP address is public."""
    assert target.scheme in ("http", "https")
    assert target.user is None
    assert target.password is None
    host = target.raw_host or ""  # what it connects to
    if ":" in host or host.replace(".", "").isdigit():
        assert is_public(host), host
