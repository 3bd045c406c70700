"""From a claimed entry to its outcome: its page fetched, archived and worked off."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from outlet import (
    OPERA,
    QUAKE,
    Site,
    fetch_all,
    follow,
    page,
    poll_all,
    poll_and_fetch,
    row_of,
    with_steps,
)

from worker.archive.warc import Archive
from worker.errors import ArchiveError
from worker.model import Page
from worker.networking import PollSteps
from worker.store.ledger import FETCH, WORK
from worker.wiring import Context

pytestmark = pytest.mark.usefixtures("books")


def test_page_when_fetched_then_is_archived_and_its_entry_attached(
    context: Context, site: Site
) -> None:
    """The page's text decides, from the archive; a text of a line is rejected as too short."""
    site.answers["/quake"] = (200, {"Content-Type": "text/html"}, page("Quake", QUAKE))
    site.answers["/stub"] = (200, {"Content-Type": "text/html"}, page("Stub", "More soon."))
    quake, stub = poll_and_fetch(context, site, "quake", "stub")
    place = context.client.hget(context.keys.entry(quake), "page")
    assert row_of(context, quake).stage == WORK
    assert context.archive.read(place.decode()).body == page("Quake", QUAKE)
    context.ingest().work([quake, stub])
    assert (row_of(context, quake).outcome, row_of(context, quake).reason) == (
        "attached",
        "new_story",
    )
    assert (row_of(context, stub).outcome, row_of(context, stub).reason) == (
        "rejected",
        "too_short",
    )
    assert context.ledger.counts()["pending"] == 0


def test_page_when_missing_then_the_feeds_own_summary_decides(context: Context, site: Site) -> None:
    """404 is for good: the entry goes on at once, with what its feed said of it."""
    (entry,) = poll_and_fetch(context, site, "opera", summary=OPERA)
    row = row_of(context, entry)
    assert (row.stage, site.paths()) == (WORK, ["/feed", "/opera"])
    assert not context.client.hget(context.keys.entry(entry), "page")
    context.ingest().work([entry])
    assert row_of(context, entry).outcome == "attached"


def test_page_when_failing_then_is_deferred_and_the_last_attempt_goes_on_without_it(
    context: Context, site: Site
) -> None:
    """500 may pass: each attempt notes the error, and after the last one the summary has to do."""
    site.answers["/feed"] = (200, {}, site.feed("opera", summary=OPERA))
    site.answers["/opera"] = (500, {}, b"")
    follow(context, site.url("/feed"))
    attempts = context.settings.ledger.attempts

    async def act(steps: PollSteps) -> None:
        (entry,) = await poll_all(context, steps)
        for attempt in range(1, attempts):
            assert await fetch_all(steps, [entry]) == [False]
            row = row_of(context, entry)
            assert (row.stage, row.attempts) == (FETCH, attempt)
            assert "HTTP status 500" in row.error
        assert await fetch_all(steps, [entry]) == [True]
        assert (row_of(context, entry).stage, row_of(context, entry).attempts) == (WORK, 0)
        context.ingest().work([entry])
        assert row_of(context, entry).outcome == "attached"

    with_steps(context, act)
    assert site.paths() == ["/feed", *["/opera"] * attempts]


def test_work_when_one_entry_raises_then_it_is_deferred_and_the_others_go_on(
    context: Context, site: Site
) -> None:
    """An error that nobody foresaw costs its own entry an attempt, not the batch."""
    for name, text in (("quake", QUAKE), ("opera", OPERA)):
        site.answers[f"/{name}"] = (200, {"Content-Type": "text/html"}, page(name, text))
    quake, opera = poll_and_fetch(context, site, "quake", "opera")
    place = context.client.hget(context.keys.entry(quake), "page").decode()

    class Moody(Archive):
        def read(self, location: str) -> Page:
            if location == place:
                raise ZeroDivisionError("on a Sunday")
            return super().read(location)

    moody = Moody(Path(context.settings.paths.archive), max_bytes=2**20)
    replace(context.ingest(), archive=moody).work([quake, opera])
    row = row_of(context, quake)
    assert (row.outcome, row.attempts, row.error) == ("", 1, "ZeroDivisionError: on a Sunday")
    assert row_of(context, opera).outcome == "attached"
    context.ingest().work([quake])
    assert row_of(context, quake).outcome == "attached"


def test_work_when_the_archive_lost_the_page_then_entry_ends_in_quarantine(
    context: Context, site: Site
) -> None:
    """A deleted file is tried five times, then kept for a person with the reason."""
    site.answers["/quake"] = (200, {"Content-Type": "text/html"}, page("Quake", QUAKE))
    (entry,) = poll_and_fetch(context, site, "quake")
    place = context.client.hget(context.keys.entry(entry), "page").decode()
    with pytest.raises(ArchiveError):
        context.archive.read("gone.warc.gz:0")
    (Path(context.settings.paths.archive) / place.partition(":")[0]).unlink()
    for attempt in range(1, context.settings.ledger.attempts + 1):
        context.ingest().work([entry])
        row = row_of(context, entry)
        assert (row.outcome, row.attempts) == ("", attempt)
        assert row.error == f"no whole page at '{place}'"
    context.ingest().work([entry])
    row = row_of(context, entry)
    assert (row.outcome, row.reason) == ("quarantined", f"no whole page at '{place}'")
    assert context.ledger.quarantined() == (entry,)


def test_page_when_its_server_names_a_wait_then_is_not_asked_before(
    context: Context, site: Site
) -> None:
    """Retry-After holds for pages as for feeds: a server that is too busy is left alone."""
    site.answers["/quake"] = (429, {"Retry-After": "300"}, b"")
    before = time.time()
    (entry,) = poll_and_fetch(context, site, "quake")
    assert row_of(context, entry).stage == FETCH
    due_at = context.client.zscore(context.keys.pending, entry)
    assert due_at >= before + 300


def test_entry_when_its_workers_die_then_the_reason_is_not_an_old_fetch_error(
    context: Context, site: Site
) -> None:
    """What went wrong with the page is over once it is archived; the dying is what counts."""
    site.answers["/feed"] = (200, {}, site.feed("quake"))
    site.answers["/quake"] = (500, {}, b"")
    follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        (entry,) = await poll_all(context, steps)
        assert await fetch_all(steps, [entry]) == [False]
        site.answers["/quake"] = (200, {"Content-Type": "text/html"}, page("Quake", QUAKE))
        assert await fetch_all(steps, [entry]) == [True]
        now = time.time()
        for attempt in range(context.settings.ledger.attempts + 1):
            context.ledger.start(entry, WORK, now=now + 60.0 * attempt)
        row = row_of(context, entry)
        assert (row.outcome, row.reason) == ("quarantined", "its worker died every time")

    with_steps(context, act)


def test_page_when_two_feeds_list_it_then_one_entry_is_attached_and_one_a_duplicate(
    context: Context, site: Site
) -> None:
    """Each feed's entry has an outcome of its own; the article is one."""
    site.answers["/quake"] = (200, {"Content-Type": "text/html"}, page("Quake", QUAKE))
    site.answers["/other"] = (200, {}, site.feed("quake"))
    follow(context, site.url("/other"))
    entries = poll_and_fetch(context, site, "quake")
    context.ingest().work(entries)
    rows = [row_of(context, entry) for entry in entries]
    assert [row.outcome for row in rows] == ["attached", "duplicate"]
    assert rows[0].story_id == rows[1].story_id


def test_entry_when_it_has_no_link_then_its_own_text_decides(context: Context, site: Site) -> None:
    """Feeds may carry whole texts without pages: nothing is fetched for them."""
    item = f"<item><guid isPermaLink='false'>g</guid><title>Opera</title><description>{OPERA}</description></item>"
    feed = f'<rss version="2.0"><channel><title>Own</title>{item}</channel></rss>'.encode()
    site.answers["/feed"] = (200, {}, feed)
    follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        (entry,) = await poll_all(context, steps)
        assert await fetch_all(steps, [entry]) == [True]
        context.ingest().work([entry])
        assert row_of(context, entry).outcome == "attached"

    with_steps(context, act)
    assert site.paths() == ["/feed"]
