"""Feeds that carry whole articles: their content stands for the page, where the setting says so."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from outlet import OPERA, QUAKE, Site, fetch_all, follow, page, poll_all, row_of, with_steps

from worker.core.entries import entries_of
from worker.model import EntryId, Feed, ParsedEntry, ParsedFeed
from worker.networking import PollSteps
from worker.steps.contents import Contents
from worker.steps.records import Record, read_source
from worker.testing import FEED
from worker.wiring import Context

pytestmark = pytest.mark.usefixtures("books")

HTML = {"Content-Type": "text/html"}
CONTENT = "http://purl.org/rss/1.0/modules/content/"


@dataclass
class Outlet:
    """What became of a feed's entries."""

    context: Context
    site: Site
    entries: tuple[EntryId, ...] = ()

    def run(self, *paths: str, least_chars: int = 200) -> list[str]:
        """Poll these feeds one after the other, fetch and work; return which pages were asked for."""
        settings = self.context.settings
        fetch = settings.fetch.model_copy(update={"full_content_chars": least_chars})
        context = replace(self.context, settings=settings.model_copy(update={"fetch": fetch}))

        async def act(steps: PollSteps) -> None:
            for path in paths:
                follow(context, self.site.url(path))
                new = await poll_all(context, steps)
                assert all(await fetch_all(steps, new))
                self.entries += new

        with_steps(context, act)
        context.ingest().work(self.entries)
        return [path for path in self.site.paths() if path not in paths]

    def outcomes(self) -> list[str]:
        """Return the outcome of each entry."""
        return [row_of(self.context, entry).outcome for entry in self.entries]

    def archived(self) -> list[Record]:
        """Return what a replay of the whole archive reads."""
        files = Path(self.context.settings.paths.archive).iterdir()
        found = [record for file in files for record in read_source(str(file), now=0.0)]
        return [record for record in found if isinstance(record, Record)]


@pytest.fixture
def outlet(context: Context, site: Site) -> Outlet:
    """An outlet with one article, whose page and feeds say the same."""
    site.answers["/quake"] = (200, HTML, page("Quake", QUAKE))
    return Outlet(context, site)


def _feed(site: Site, content: str, *, name: str = "quake") -> bytes:
    item = (
        f"<item><guid>{name}</guid><link>{site.url(f'/{name}')}</link><title>Quake</title>"
        f"<description>Teaser.</description><content:encoded><![CDATA[{content}]]>"
        "</content:encoded></item>"
    )
    return (
        f'<rss version="2.0" xmlns:content="{CONTENT}"><channel><title>Full</title>{item}'
        "</channel></rss>"
    ).encode()


def test_content_when_long_enough_then_its_page_is_not_asked_for(
    outlet: Outlet, site: Site
) -> None:
    """The article comes from the feed by way of the archive, which a replay reads the same."""
    site.answers["/feed"] = (200, {}, _feed(site, f"<p>{QUAKE}</p><p>\u00c7a va.</p>"))
    assert outlet.run("/feed") == []
    assert outlet.outcomes() == ["attached"]
    (record,) = outlet.archived()
    assert (record.entry_id, record.draft.url) == (outlet.entries[0], site.url("/quake"))
    assert f"<p>{QUAKE}</p><p>\u00c7a va.</p>".encode() in record.draft.html


@pytest.mark.parametrize(
    ("content", "least_chars"),
    [
        (f"<p>{QUAKE}</p>", 0),  # the default: a page is always fetched
        (f"<p>{QUAKE}</p>", 1_000),
        (f"<p {'x' * 1_000}>Read on at our site.</p>", 200),  # markup is no text
    ],
    ids=["off", "short", "markup"],
)
def test_content_when_not_long_enough_then_the_page_is_fetched(
    outlet: Outlet, site: Site, content: str, least_chars: int
) -> None:
    """A teaser does not stand for an article."""
    site.answers["/feed"] = (200, {}, _feed(site, content))
    assert outlet.run("/feed", least_chars=least_chars) == ["/quake"]
    assert outlet.outcomes() == ["attached"]
    assert [record.draft.html for record in outlet.archived()] == [page("Quake", QUAKE)]


def test_description_when_long_then_is_no_full_content(outlet: Outlet, site: Site) -> None:
    """What a feed calls a description is one, however long; also where it has two of them."""
    two = site.feed("quake", summary=QUAKE).replace(
        b"</item>", f"<description>{OPERA}</description></item>".encode()
    )
    site.answers["/feed"] = (200, {}, two)
    assert outlet.run("/feed") == ["/quake"]


def test_content_when_another_feed_lists_the_article_then_is_enough_for_both(
    outlet: Outlet, site: Site
) -> None:
    """Whose content it was does not matter; each entry has its outcome and its record."""
    site.answers["/full"] = (200, {}, _feed(site, f"<p>{QUAKE}</p>"))
    site.answers["/teasers"] = (200, {}, site.feed("quake"))
    assert outlet.run("/full", "/teasers") == []
    assert outlet.outcomes() == ["attached", "duplicate"]
    assert {record.entry_id for record in outlet.archived()} == set(outlet.entries)


def test_content_when_the_page_was_fetched_before_then_the_page_stays(
    outlet: Outlet, site: Site
) -> None:
    """A page that is there is better than what a feed says of it."""
    site.answers["/teasers"] = (200, {}, site.feed("quake"))
    site.answers["/full"] = (200, {}, _feed(site, f"<p>{OPERA}</p>"))
    assert outlet.run("/teasers", "/full") == ["/quake"]
    assert {record.draft.html for record in outlet.archived()} == {page("Quake", QUAKE)}


@pytest.mark.parametrize(
    ("url", "is_kept"),
    [
        ("https://www.example.org/quake", True),
        ("https://www.example.com/quake", False),
        ("https://example.org.example.com/quake", False),
    ],
)
def test_content_when_it_is_for_another_publishers_page_then_counts_for_nothing(
    context: Context, url: str, *, is_kept: bool
) -> None:
    """Else a feed could put words into anybody's mouth, and the true page would be a duplicate."""
    feed = Feed(feed_id=FEED, url="https://feeds.example.org/rss")
    record = ParsedEntry(
        guid="1", url=url, title="", summary="", published_at=None, content=f"<p>{QUAKE}</p>"
    )
    parsed = ParsedFeed(title="", entries=(record,))
    (entry,) = entries_of(parsed, feed, 0.0)
    contents = Contents(archive=context.archive, fetched=context.fetched, least_chars=200)
    contents.keep(parsed, feed, [entry], 0.0)
    assert bool(context.fetched.place(entry)) is is_kept


def test_json_feed_when_its_content_is_long_enough_then_saves_the_page(
    outlet: Outlet, site: Site
) -> None:
    """Its content_html is what content:encoded is elsewhere."""
    item = {"id": "1", "url": site.url("/quake"), "content_html": f"<p>{QUAKE}</p>"}
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "Full", "items": [item]}
    site.answers["/feed"] = (200, {}, json.dumps(feed).encode())
    assert outlet.run("/feed") == []
    assert outlet.outcomes() == ["attached"]


def test_content_when_hostile_then_costs_what_a_hostile_page_does(
    outlet: Outlet, site: Site
) -> None:
    """It is read by the same code in the same horse: refused by its shape, the summary decides."""
    hostile = f"<p>{QUAKE}</p></article></body></html>{'<b>' * 60_000}"
    site.answers["/feed"] = (200, {}, _feed(site, hostile))
    assert outlet.run("/feed") == []
    assert outlet.outcomes() == ["attached"]
    too_long = f"<p>{QUAKE}</p>{'<b>' * 70_000}"
    site.answers["/feed"] = (200, {}, _feed(site, too_long, name="other"))
    site.answers["/other"] = (200, HTML, page("Opera", OPERA))
    assert outlet.run("/feed") == ["/other"]
