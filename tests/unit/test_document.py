"""JSON Feeds and news sitemaps as values, and which format a document is told to be."""

import contextlib
import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.decode.document import parse_document
from worker.decode.values import MAX_ENTRIES
from worker.errors import DecodeError
from worker.model import ParsedEntry, ParsedFeed

URL = "https://daily.example/lists/feed"
VERSION = "https://jsonfeed.org/version/1.1"
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc).timestamp()
NEWS = "http://www.google.com/schemas/sitemap-news/0.9"
SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"


def _json(*items: object, **more: object) -> bytes:
    return json.dumps({"version": VERSION, "title": "Daily", "items": items, **more}).encode()


def _sitemap(*pages: str) -> bytes:
    head = f'<?xml version="1.0"?><!-- made - daily --><urlset xmlns="{SITEMAP}" xmlns:n="{NEWS}">'
    return (head + "".join(f"<url>{page}</url>" for page in pages) + "</urlset>").encode()


def _news(path: str, title: str, at: str = "2026-03-01T12:00:00Z") -> str:
    return (
        f"<loc>{path}</loc><n:news><n:publication><n:name>Daily</n:name></n:publication>"
        f"<n:publication_date>{at}</n:publication_date><n:title>{title}</n:title></n:news>"
    )


def test_parse_document_when_a_json_feed_then_reads_every_field() -> None:
    """Of several texts the longest, of several addresses the feed's own, relative ones too."""
    full = {
        "id": "7",
        "url": "/a",
        "external_url": "https://other.example/a",
        "title": "Bridge &amp; <b>river</b>",
        "summary": "Short.",
        "content_html": "<p>The bridge is <i>closed</i>.</p><p>Since Monday.</p>",
        "date_published": "2026-03-01T14:00:00+02:00",
        "date_modified": "2026-03-02T00:00:00Z",
    }
    plain = {"id": 8, "external_url": "https://other.example/b", "content_text": "1 < 2 & 3 > 2"}
    parsed = parse_document(b"\xef\xbb\xbf \n" + _json(full, plain), url=URL)
    assert parsed == ParsedFeed(
        title="Daily",
        entries=(
            ParsedEntry(
                guid="7",
                url="https://daily.example/a",
                title="Bridge & river",
                summary="The bridge is closed.\nSince Monday.",
                published_at=NOON,
                updated_at=NOON + 43_200,
            ),
            ParsedEntry(
                guid="8",
                url="https://other.example/b",
                title="",
                summary="1 < 2 & 3 > 2",
                published_at=None,
            ),
        ),
    )


def test_parse_document_when_a_json_feed_has_no_address_then_its_id_may_be_one() -> None:
    """The format wants an id that is the item's address where it has one."""
    (entry,) = parse_document(_json({"id": "https://daily.example/c"}), url=URL).entries
    assert entry.url == entry.guid == "https://daily.example/c"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"items": []}',
        b'{"version": 1, "items": []}',
        b'{"a": ' + b"[" * 100_000,
        b'{"version": "https://example.org/1", "items": []}',
        b'{"a": "\xff"}',
        b'{"a": ' + b"9" * 5_000 + b"}",
    ],
    ids=["torn", "no-version", "number", "deep", "foreign", "latin", "digits"],
)
def test_parse_document_when_json_is_no_feed_then_refuses(body: bytes) -> None:
    """Other JSON, broken JSON and JSON that would hurt the reader."""
    with pytest.raises(DecodeError, match="JSON"):
        parse_document(body, url=URL)


def test_parse_document_when_a_json_feed_is_odd_then_takes_what_it_can() -> None:
    """Values of other types count as not there; nothing hostile comes through."""
    items = (
        None,
        "text",
        {"id": ["x"], "url": "javascript:alert(1)", "title": {"a": 1}, "date_published": 5},
        {"id": "\ud800\x00a", "title": "<script>x</script>\u202eevil", "url": "//b.example/\x00"},
    )
    first, second = parse_document(_json(*items), url=URL).entries
    assert first == ParsedEntry(guid="", url="", title="", summary="", published_at=None)
    assert (second.guid, second.title, second.url) == ("a", "evil", "")
    assert parse_document(_json(items_=1), url=URL).entries == ()


def test_parse_document_when_a_json_feed_is_long_then_keeps_the_newest() -> None:
    """Of too many items those count that were published last."""
    items = [
        {"id": str(n), "date_published": f"20{n // 100:02}-01-01T00:00:00Z"}
        for n in range(1_000, 1_000 + MAX_ENTRIES + 100)
    ]
    entries = parse_document(_json(*items), url=URL).entries
    assert len(entries) == MAX_ENTRIES
    assert {int(entry.guid) for entry in entries} == set(range(1_100, 1_100 + MAX_ENTRIES))


def test_parse_document_when_a_news_sitemap_then_lists_its_news() -> None:
    """A page that is not said to be news is none; the name is the publication's."""
    body = _sitemap(
        _news("https://daily.example/a", "Bridge &amp;amp; river", "2026-03-01T12:00Z"),
        "<loc>https://daily.example/about</loc><lastmod>2026-03-01</lastmod>",
        _news("/b?x=1&amp;y=2", "Ferry", "2026-03-01"),
    )
    for document in (body, body.decode().encode("utf-16")):
        parsed = parse_document(document, url=URL)
        assert parsed.title == "Daily"
        assert [(e.url, e.title) for e in parsed.entries] == [
            ("https://daily.example/a", "Bridge & river"),
            ("https://daily.example/b?x=1&y=2", "Ferry"),
        ]
        assert [e.published_at for e in parsed.entries] == [NOON, NOON - 12 * 3_600]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f'<sitemapindex xmlns="{SITEMAP}"><sitemap/></sitemapindex>'.encode(), "lists sitemaps"),
        (_sitemap("<loc>https://daily.example/about</loc>"), "no news"),
        (_sitemap(), "no news"),
        (b"<urlset ", "not well-formed|no news"),
    ],
)
def test_parse_document_when_a_sitemap_has_no_news_then_says_so(body: bytes, reason: str) -> None:
    """A list of sitemaps, a list of pages, an empty one, a torn one."""
    with pytest.raises(DecodeError, match=reason):
        parse_document(body, url=URL)


def test_parse_document_when_a_sitemap_refers_to_half_a_character_then_refuses() -> None:
    """What is no text in the document's own terms is an error of the document."""
    for page in (
        _news("https://daily.example/a", "&#xDFFF;"),
        _news("https://d.example/&#xD800;", "x"),
    ):
        with pytest.raises(DecodeError, match="not well-formed"):
            parse_document(_sitemap(page), url=URL)


def test_parse_document_when_a_sitemap_declares_entities_then_none_is_looked_at() -> None:
    """Neither files nor bombs: an entity of the document's own is left out."""
    body = b'<!DOCTYPE urlset [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + _sitemap(
        _news("https://daily.example/a", "x &a; y")
    )
    with pytest.raises(DecodeError):  # a document type is no part of a sitemap: read as a feed
        parse_document(body, url=URL)


def test_parse_document_when_a_feed_speaks_of_sitemaps_then_is_a_feed() -> None:
    """Only the first element tells the format."""
    item = "<item><guid>1</guid><title><![CDATA[How <urlset > works {]]></title></item>"
    body = f'<rss version="2.0"><channel>{item}</channel></rss>'.encode()
    assert parse_document(body, url=URL).entries[0].guid == "1"


@given(st.binary(max_size=200), st.sampled_from([b"{", b"<urlset ", b'{"version": "https://']))
def test_parse_document_when_given_noise_then_parses_or_refuses(noise: bytes, start: bytes) -> None:
    """Nothing but a DecodeError comes out."""
    with contextlib.suppress(DecodeError):
        parse_document(start + noise, url=URL)
