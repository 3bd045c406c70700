import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.entries import (
    article_id,
    canonical_url,
    entries_of,
    entry_id,
    feed_id,
    publisher,
)
from worker.model import Feed, ParsedEntry, ParsedFeed

NOW = 1_800_000_000.0
FEED_URL = "https://news.example.com/feed"
FEED = Feed(feed_id=feed_id(FEED_URL), url=FEED_URL)


def _record(
    *, guid: str = "", url: str = "", title: str = "t", published_at: float | None = None
) -> ParsedEntry:
    return ParsedEntry(guid=guid, url=url, title=title, summary="", published_at=published_at)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://Www.Example.COM:80/Path", "http://www.example.com/Path"),
        ("https://example.com:443", "https://example.com/"),
        ("https://example.com:8443/a", "https://example.com:8443/a"),
        ("https://example.com./a#part", "https://example.com/a"),
        ("https://example.com\u3002/a", "https://example.com/a"),
        ("https://example.com/a?utm_source=rss&b=2&a=1", "https://example.com/a?b=2&a=1"),
        ("https://example.com/a?UTM_Medium=x&fbclid=y&gclid=z", "https://example.com/a"),
        ("https://example.com/?p=12&at_medium=RSS", "https://example.com/?p=12"),
        ("https://example.com/a b?q=\u00fc", "https://example.com/a%20b?q=%C3%BC"),
        ("https://example.com/a%20b", "https://example.com/a%20b"),
        ("https://m\u00fcnchen.de/", "https://xn--mnchen-3ya.de/"),
        (" https://example.com/a\n", "https://example.com/a"),
        ("http://[2001:DB8::1]:8080/", "http://[2001:db8::1]:8080/"),
        ("http://[2001:db8:0:0::0:1]/", "http://[2001:db8::1]/"),
        ("http://outlet.localhost:8801/a", "http://outlet.localhost:8801/a"),
    ],
)
def test_canonical_url_when_spelled_differently_then_agrees(url: str, canonical: str) -> None:
    """Spellings of one address become one, and the result is canonical itself."""
    assert canonical_url(url) == canonical
    assert canonical_url(canonical) == canonical


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/etc/passwd",
        "//example.com/a",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "ftp://example.com/",
        "http://",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://127.0.0.1\\@example.com/",
        "http://exa\tmple.com/",
        "http://example.com/a\r\nHost: x",
        "http://example.com/\x00",
        "http://example.com:99999/",
        "http://example.com:0/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[v1.a:b]/",
        "http://exa mple.com/",
        "http://example..com/",
        "http://ex<am>ple.com/",
        "http://example.com/\ud800",
        "http://example.com/" + "a" * 9_000,
    ],
)
def test_canonical_url_when_unsafe_then_empty(url: str) -> None:
    """What is not a plain http(s) address is refused with an empty string."""
    assert canonical_url(url) == ""


@given(st.text(max_size=80))
def test_canonical_url_when_given_noise_then_is_stable(text: str) -> None:
    """No text raises, and a canonical address is its own canonical form."""
    once = canonical_url(f"http://{text}")
    assert once == "" or canonical_url(once) == once


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://www.bbc.co.uk/news/1", "bbc.co.uk"),
        ("https://feeds.a.example.com/x", "example.com"),
        ("http://gulfprism.localhost:8801/a", "gulfprism.localhost"),
        ("http://127.0.0.1:8000/", "127.0.0.1"),
        ("http://[::1]/", "::1"),
        ("http://wiki.corp.internal/", "wiki.corp.internal"),
        ("http://[bad/", ""),
        ("nonsense", ""),
    ],
)
def test_publisher_when_given_a_url_then_names_the_registrable_domain(url: str, name: str) -> None:
    """Subdomains count as one publisher; names without a public suffix stand for themselves."""
    assert publisher(url) == name


def test_ids_when_made_then_have_their_shape_and_stay_the_same() -> None:
    """Ids are hex of fixed length; these values are stored, so they may never change."""
    record = _record(guid="g", url="https://example.com/a")
    assert feed_id(FEED_URL) == "0ad7079a82ae"
    assert entry_id(FEED.feed_id, record) == "101a671c445f313f"
    assert article_id("https://example.com/a", entry_id(FEED.feed_id, record)) == "d0201cb58a67f38b"


def test_ids_when_made_of_one_text_then_differ_by_kind() -> None:
    """A feed, an entry and an article of the same text never share an id."""
    entry = entry_id(FEED.feed_id, _record(guid=FEED_URL))
    assert len({feed_id(FEED_URL), entry[:12], article_id(FEED_URL, entry)[:12]}) == 3


def test_entry_id_when_there_is_no_guid_then_falls_back_to_link_then_text() -> None:
    """The link decides without a guid, tracking apart; title and date decide without a link."""
    feed = FEED.feed_id
    link = entry_id(feed, _record(url="https://example.com/a?utm_source=x", title="one"))
    assert link == entry_id(feed, _record(url="https://example.com/a", title="two"))
    text = entry_id(feed, _record(title="one", published_at=1.0))
    assert text == entry_id(feed, _record(title="one", published_at=1.0))
    assert text != entry_id(feed, _record(title="one", published_at=2.0))
    assert text != entry_id(feed_id("https://other.example/"), _record(title="one"))


@given(st.text(max_size=40))
def test_entry_id_when_a_guid_is_any_text_then_is_sixteen_hex_digits_of_its_feed(guid: str) -> None:
    """Nothing of a guid reaches a key, and no feed can name the entries of another one."""
    record = _record(guid=guid)
    ours, theirs = (
        entry_id(FEED.feed_id, record),
        entry_id(feed_id("https://other.example"), record),
    )
    assert re.fullmatch("[0-9a-f]{16}", ours)
    assert ours != theirs


def test_article_id_when_two_feeds_list_one_page_then_is_one() -> None:
    """The article is named by its page, and by its entry only when there is no page."""
    first = entry_id(FEED.feed_id, _record(guid="a"))
    second = entry_id(FEED.feed_id, _record(guid="b"))
    assert article_id("https://example.com/a", first) == article_id("https://example.com/a", second)
    assert article_id("", first) != article_id("", second)


def test_entries_of_when_one_item_is_listed_twice_then_keeps_the_first() -> None:
    """The same guid and link twice in a document is one entry, the first."""
    records = (
        _record(guid="g", url="https://example.com/a", title="new"),
        _record(guid="g", url="https://example.com/a?utm_source=x", title="old"),
    )
    entries = entries_of(ParsedFeed(title="", entries=records), FEED, NOW)
    assert [entry.title for entry in entries] == ["new"]


def test_entries_of_when_items_share_a_guid_then_links_tell_them_apart() -> None:
    """A feed that gives every item one guid still lists distinct entries, in any order."""
    records = tuple(_record(guid="g", url=f"https://example.com/{n}") for n in range(3))
    ahead = entries_of(ParsedFeed(title="", entries=records), FEED, NOW)
    back = entries_of(ParsedFeed(title="", entries=records[::-1]), FEED, NOW)
    assert len({entry.entry_id for entry in ahead}) == 3
    assert {entry.entry_id for entry in ahead} == {entry.entry_id for entry in back}


def test_entries_of_when_built_then_fills_every_field() -> None:
    """An entry carries its canonical address, its publisher, its outside name and the time."""
    record = _record(guid="g", url="https://www.other.co.uk/a?utm_source=x#f", published_at=NOW)
    (entry,) = entries_of(ParsedFeed(title="", entries=(record,)), FEED, NOW)
    assert (entry.url, entry.source) == ("https://www.other.co.uk/a", "other.co.uk")
    assert (entry.ref, entry.seen_at, entry.feed_id) == ("g", NOW, FEED.feed_id)
    (bare,) = entries_of(ParsedFeed(title="", entries=(_record(),)), FEED, NOW)
    assert (bare.url, bare.source, bare.ref) == ("", "example.com", bare.entry_id)


@pytest.mark.parametrize(
    ("published_at", "kept"),
    [
        (NOW, True),
        (NOW + 600.0, True),
        (NOW + 601.0, False),
        (NOW - 10 * 365 * 86_400.0, True),
        (0.0, False),
        (-62_135_596_800.0, False),
    ],
)
def test_entries_of_when_the_date_is_not_believable_then_drops_it(
    published_at: float,
    kept: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A date in the future or from before the web is dropped, the entry is not."""
    parsed = ParsedFeed(title="", entries=(_record(guid="g", published_at=published_at),))
    (entry,) = entries_of(parsed, FEED, NOW)
    assert entry.published_at == (published_at if kept else None)
