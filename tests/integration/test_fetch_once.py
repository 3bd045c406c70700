"""A page that several feeds list: asked for once, with an outcome for each entry."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from outlet import (
    QUAKE,
    Site,
    fetch_all,
    follow,
    page,
    poll_all,
    row_of,
    with_steps,
)
from structlog.testing import capture_logs

from worker.model import Entry, EntryId
from worker.networking import PollSteps
from worker.steps.records import Record, read_source
from worker.store.fetched import KEEP_S
from worker.store.ledger import Ledger
from worker.testing import an_entry
from worker.wiring import Context

pytestmark = pytest.mark.usefixtures("books")

HTML = {"Content-Type": "text/html"}


@pytest.fixture
def two_feeds(context: Context, site: Site) -> None:
    """Two feeds that list one page."""
    site.answers["/quake"] = (200, HTML, page("Quake", QUAKE))
    for path in ("/home", "/world"):
        site.answers[path] = (200, {}, site.feed("quake"))
        follow(context, site.url(path))


class KilledError(Exception):
    """The end of a poller."""


class Dying(Ledger):
    """Of a poller that is killed when a page is archived and nothing of it noted."""

    def advance(self, *_: object, **__: object) -> bool:
        """Die."""
        raise KilledError


def _asked(site: Site) -> int:
    return site.paths().count("/quake")


def _as_attached_and_duplicate(context: Context, entries: tuple[EntryId, ...]) -> None:
    context.ingest().work(entries)
    rows = [row_of(context, entry) for entry in entries]
    assert sorted(row.outcome for row in rows) == ["attached", "duplicate"]


@pytest.mark.usefixtures("two_feeds")
def test_page_when_two_feeds_list_it_then_is_asked_for_once(context: Context, site: Site) -> None:
    """The second entry refers to the first one's page in the archive, and reads it there."""

    async def act(steps: PollSteps) -> None:
        entries = await poll_all(context, steps)
        assert await fetch_all(steps, entries) == [True, True]
        assert _asked(site) == 1
        places = [row_of(context, entry).page for entry in entries]
        assert len(set(places)) == 2
        first, again = (context.archive.read(place) for place in places)
        assert first == again
        _as_attached_and_duplicate(context, entries)

    with_steps(context, act)


@pytest.mark.usefixtures("two_feeds")
def test_page_when_two_entries_want_it_at_once_then_one_waits_for_the_other(
    context: Context, site: Site
) -> None:
    """Both are in flight in one poller: still one request."""

    async def act(steps: PollSteps) -> None:
        entries = await poll_all(context, steps)
        assert await asyncio.gather(*map(steps.pages.fetch, entries)) == [True, True]
        assert _asked(site) == 1
        _as_attached_and_duplicate(context, entries)

    with_steps(context, act)


@pytest.mark.usefixtures("two_feeds")
def test_page_when_another_poller_fetched_it_then_is_not_asked_for_again(
    context: Context, site: Site
) -> None:
    """Pollers share what they fetched by Redis and the archive, for two hours."""
    entries: list[EntryId] = []

    async def first(steps: PollSteps) -> None:
        entries.extend(await poll_all(context, steps))
        assert await steps.pages.fetch(entries[0])

    async def second(steps: PollSteps) -> None:
        assert await steps.pages.fetch(entries[1])

    with_steps(context, first)
    article = row_of(context, entries[0]).entry.article_id
    assert KEEP_S - 60 < context.client.ttl(context.keys.fetched(article)) <= KEEP_S
    with_steps(Context(settings=context.settings, redis_url=context.redis_url), second)
    assert _asked(site) == 1
    _as_attached_and_duplicate(context, tuple(entries))


@pytest.mark.usefixtures("two_feeds")
def test_page_when_the_first_fetch_fails_then_the_second_entry_asks_itself(
    context: Context, site: Site
) -> None:
    """A failure is the first entry's own: who waited asks too, and later they share what comes."""
    site.answers["/quake"] = (500, {}, b"")

    async def act(steps: PollSteps) -> None:
        entries = await poll_all(context, steps)
        assert await asyncio.gather(*map(steps.pages.fetch, entries)) == [False, False]
        assert _asked(site) == 2
        site.answers["/quake"] = (200, HTML, page("Quake", QUAKE))
        assert await fetch_all(steps, entries) == [True, True]
        assert _asked(site) == 3
        _as_attached_and_duplicate(context, entries)

    with_steps(context, act)


@pytest.mark.usefixtures("two_feeds")
def test_page_when_its_poller_died_before_noting_it_then_no_entry_is_lost(
    context: Context, site: Site
) -> None:
    """Who takes the entry up asks again; the other entry does not, and the late result is refused."""

    async def act(steps: PollSteps) -> None:
        one, two = await poll_all(context, steps)
        dying = Dying(context.client, context.keys, context.settings.ledger)
        with pytest.raises(KilledError):
            await replace(steps.pages, ledger=dying).fetch(one)
        token = context.client.hget(context.keys.entry(one), "token").decode()
        context.ledger.hand_back([one], now=time.time())
        assert await fetch_all(steps, [one, two]) == [True, True]
        assert _asked(site) == 2
        assert not context.ledger.advance(one, "late:1", now=time.time(), token=token)
        _as_attached_and_duplicate(context, (one, two))

    with_steps(context, act)


@pytest.mark.usefixtures("two_feeds")
def test_page_when_the_archive_lost_it_then_is_fetched_again(context: Context, site: Site) -> None:
    """A file that somebody deleted costs a request, not the entry."""

    async def act(steps: PollSteps) -> None:
        one, two = await poll_all(context, steps)
        assert await steps.pages.fetch(one)
        context.archive.close()
        name = row_of(context, one).page.partition(":")[0]
        (Path(context.settings.paths.archive) / name).unlink()
        with capture_logs() as logs:
            assert await steps.pages.fetch(two)
        assert [line["event"] for line in logs] == ["page_fetched_again"]
        context.ingest().work([two])
        assert row_of(context, two).outcome == "attached"
        context.ledger.give_up(one, "its page is gone", now=time.time())

    with_steps(context, act)
    assert _asked(site) == 2


@pytest.mark.usefixtures("two_feeds")
def test_archive_when_two_entries_share_a_page_then_replay_reads_both(
    context: Context, site: Site
) -> None:
    """Each entry is a record of its own in the archive, with the page that both lead to."""
    entries: list[EntryId] = []

    async def act(steps: PollSteps) -> None:
        entries.extend(await poll_all(context, steps))
        await fetch_all(steps, entries)

    with_steps(context, act)
    files = Path(context.settings.paths.archive).iterdir()
    found = [record for file in files for record in read_source(str(file), now=0.0)]
    records = [record for record in found if isinstance(record, Record)]
    assert len(found) == len(records) == 2
    assert {record.entry_id for record in records} == set(entries)
    assert {record.draft.html for record in records} == {page("Quake", QUAKE)}
    assert {record.article_id for record in records} == {
        row_of(context, entries[0]).entry.article_id
    }


def test_place_when_the_same_entry_comes_again_then_is_not_given(context: Context) -> None:
    """An entry that is fetched a second time, by itself, is there for a newer page."""
    one = an_entry("one")
    other: Entry = replace(one, entry_id=EntryId("b" * 16))
    assert context.fetched.place(other) == ""
    context.fetched.keep(one, "x.warc.gz:7")
    assert (context.fetched.place(one), context.fetched.place(other)) == ("", "x.warc.gz:7")
