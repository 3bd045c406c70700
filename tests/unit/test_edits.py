"""What counts as an edit of an entry, and what does not."""

from dataclasses import replace

import pytest

from worker.core.edits import maybe_edited, saying
from worker.core.entries import entries_of
from worker.decode.document import parse_document
from worker.model import Entry, Feed, FeedId
from worker.testing import an_entry

NOW = 1_800_000_000.0
ENTRY = an_entry("flood")
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><entry><id>tag:a</id>
<link href="{url}"/><title>{title}</title><summary>{summary}</summary>
<published>2026-03-01T10:00:00Z</published><updated>{updated}</updated></entry></feed>"""
SAID = {
    "url": "https://a.example/flood",
    "title": "Flood in Oldtown",
    "summary": "The river rose.",
    "updated": "2026-03-01T10:00:00Z",
}


def _read(**said: str) -> Entry:
    """Return an entry as it comes out of a feed that says this of it."""
    parsed = parse_document(ATOM.format(**SAID | said).encode(), url="https://a.example/feed")
    (entry,) = entries_of(parsed, Feed(feed_id=FeedId("f"), url="https://a.example/feed"), NOW)
    return entry


@pytest.mark.parametrize(
    "said",
    [
        {"title": "Flood in Oldtown: eighty rescued"},
        {"title": "Flood in oldtown"},
        {"url": "https://a.example/flood-oldtown"},
        {"updated": "2026-03-01T10:05:00Z"},
    ],
    ids=str,
)
def test_saying_when_title_address_or_date_of_change_differ_then_is_another(
    said: dict[str, str],
) -> None:
    """These are what an article shows, or how its publisher says that it changed."""
    assert saying(_read(**said)) != saying(_read())
    assert _read(**said).entry_id == _read().entry_id


@pytest.mark.parametrize(
    "said",
    [
        {"title": "  Flood\n in   Oldtown "},
        {"title": "Flood in &#79;ldtown"},
        {"url": "https://A.example:443/flood?utm_source=feed&amp;fbclid=1#top"},
        {"updated": "2026-03-01T11:00:00+01:00"},
        {"summary": "The river rose. 17 comments."},
    ],
    ids=str,
)
def test_saying_when_only_the_spelling_differs_then_is_the_same(said: dict[str, str]) -> None:
    """White space, tracking, the zone of a date and what a summary counts are no edits."""
    assert saying(_read(**said)) == saying(_read())


def test_saying_when_parts_change_places_then_is_another() -> None:
    """A title that ends as the address begins is not the same as one that does not."""
    assert saying(replace(ENTRY, title="ab", url="c")) != saying(
        replace(ENTRY, title="a", url="bc")
    )
    assert len(saying(ENTRY)) == 4


def test_maybe_edited_when_a_document_says_something_else_then_names_those_entries() -> None:
    """New ones, and ones of which nothing is known, are for others to sort out."""
    same, other, new, unknown = (an_entry(name) for name in ("same", "other", "new", "unknown"))
    listed = {
        same.entry_id: saying(same),
        other.entry_id: saying(replace(other, title="Before")),
        unknown.entry_id: b"",
    }
    assert maybe_edited([same, other, new, unknown], listed) == (other, new, unknown)
    assert maybe_edited([], listed) == ()
