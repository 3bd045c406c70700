"""Polling feeds of a server of our own: what is stored, and what is noted when they fail."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from outlet import (
    LATER_S,
    Site,
    feed_of,
    follow,
    poll_all,
    row_of,
    with_steps,
)

from worker.store.ledger import FETCH
from worker.wiring import Context, PollSteps

pytestmark = pytest.mark.usefixtures("books")

ETAG = 'W/"a, b c-gzip"'
MODIFIED = "Sun, 01 Mar 2026 10:00:00 GMT"


def test_feed_when_good_then_entries_are_claimed_and_its_state_is_stored(
    context: Context, site: Site
) -> None:
    """One poll puts each entry on the ledger once, with validators and the next poll."""
    headers = {"ETag": ETAG, "Last-Modified": MODIFIED, "Cache-Control": "max-age=7200"}
    site.answers["/feed"] = (200, headers, site.feed("one", "two", "one"))
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        new = await poll_all(context, steps)
        rows = [row_of(context, entry_id) for entry_id in new]
        assert [(row.stage, row.entry.title) for row in rows] == [
            (FETCH, "News of one"),
            (FETCH, "News of two"),
        ]

    before = time.time()
    with_steps(context, act)
    feed = feed_of(context, name)
    assert (feed.validators.etag, feed.validators.last_modified) == (ETAG, MODIFIED)
    assert (feed.title, feed.error, feed.failures, feed.gone) == ("Own", "", 0, False)
    assert before + 7_200 <= feed.next_poll_at <= time.time() + 7_200 * 1.1
    assert context.ledger.counts()["claimed"] == 2


def test_feed_when_not_modified_then_only_its_times_change(context: Context, site: Site) -> None:
    """The validators go out as they came in, and a 304 adds no entry and loses none."""
    site.answers["/feed"] = (200, {"ETag": ETAG, "Last-Modified": MODIFIED}, site.feed("one"))
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        assert len(await poll_all(context, steps)) == 1
        before, counts = feed_of(context, name), context.ledger.counts()
        site.answers["/feed"] = (304, {}, b"")
        assert await poll_all(context, steps) == ()
        after = feed_of(context, name)
        sent = site.asked[-1][1]
        assert (sent["If-None-Match"], sent["If-Modified-Since"]) == (ETAG, MODIFIED)
        assert after.polled_at > before.polled_at
        times = {"polled_at": 0.0, "next_poll_at": 0.0, "interval_s": 0.0}
        assert replace(after, **times) == replace(before, **times)
        assert context.ledger.counts() == counts

    with_steps(context, act)


@pytest.mark.parametrize(
    "body",
    [
        b"<!doctype html><html><body>We have moved</body></html>",
        b"",
        b"/etc/passwd",
        b"<rss version='2.0'><channel><title>cut",
        b"\xff\xfe\x00\x01",
    ],
    ids=["html", "empty", "path", "torn", "noise"],
)
def test_feed_when_it_becomes_no_feed_then_the_error_is_noted_and_others_go_on(
    context: Context, site: Site, body: bytes
) -> None:
    """A broken document costs its own feed one failure, not its validators nor another feed."""
    site.answers["/a"] = (200, {"ETag": ETAG}, site.feed("one"))
    site.answers["/b"] = (200, {}, site.feed("two"))
    bad, good = (follow(context, site.url(path)) for path in ("/a", "/b"))

    async def act(steps: PollSteps) -> None:
        await poll_all(context, steps)
        site.answers["/a"] = (200, {"ETag": '"newer"'}, body)
        for failures in (1, 2):
            site.answers["/b"] = (200, {}, site.feed("two", f"three-{failures}"))
            (new,) = await poll_all(context, steps)
            assert row_of(context, new).entry.feed_id == good
            feed = feed_of(context, bad)
            assert (feed.failures, feed.validators.etag) == (failures, ETAG)
            assert feed.error
            assert feed.next_poll_at > time.time() + 3_600 * 2**failures - 60
            assert feed_of(context, good).failures == 0
        site.answers["/a"] = (200, {"ETag": '"newer"'}, site.feed("one", "four"))
        assert len(await poll_all(context, steps)) == 1
        feed = feed_of(context, bad)
        assert (feed.failures, feed.error, feed.validators.etag) == (0, "", '"newer"')

    with_steps(context, act)


def test_feed_when_latin_1_without_declaration_then_is_read_or_refused(
    context: Context, site: Site
) -> None:
    """Bytes that are no UTF-8 end in entries or in a noted error, never in a crash."""
    latin = site.feed("one").replace(b"News of", "Caf\xe9 of".encode("latin-1"))
    site.answers["/feed"] = (200, {"Content-Type": "application/rss+xml"}, latin)
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        new = await poll_all(context, steps)
        assert bool(new) is not bool(feed_of(context, name).error)
        assert all(row_of(context, e).entry.title.startswith("Caf") for e in new)

    with_steps(context, act)


def test_feed_when_gone_then_is_never_asked_again(context: Context, site: Site) -> None:
    """410 is an answer for good: the feed stays listed as gone and its server is left alone."""
    site.answers["/feed"] = (410, {}, b"")
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        for _ in range(3):
            assert await poll_all(context, steps) == ()

    with_steps(context, act)
    assert feed_of(context, name).gone
    assert context.feeds.due(now=time.time() + LATER_S, lease_s=60.0, limit=1) == ()
    assert "410" in feed_of(context, name).error
    assert site.paths() == ["/feed"]


@pytest.mark.parametrize("status", [429, 503])
def test_feed_when_server_names_a_wait_then_is_not_due_before(
    context: Context, site: Site, status: int
) -> None:
    """Retry-After is a lower bound also where it is longer than our own longest wait."""
    site.answers["/feed"] = (status, {"Retry-After": "200000"}, b"later")
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        before = time.time()
        await poll_all(context, steps)
        feed = feed_of(context, name)
        assert feed.next_poll_at >= before + 200_000
        assert (feed.failures, feed.gone) == (1, False)
        assert str(status) in feed.error

    with_steps(context, act)


def test_poll_when_the_disk_is_full_then_the_error_is_noted_and_nothing_claimed(
    context: Context, site: Site
) -> None:
    """An archive that cannot be written is a failure of the poll: noted, and asked again politely."""
    Path(context.settings.paths.archive).write_text("not a folder")
    site.answers["/feed"] = (200, {"ETag": ETAG}, site.feed("one"))
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        assert await poll_all(context, steps) == ()

    with_steps(context, act)
    feed = feed_of(context, name)
    assert "archive" in feed.error
    assert (feed.validators.etag, feed.failures) == ("", 1)
    assert context.ledger.counts() == {"pending": 0, "held": 0}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_feed_when_it_redirects_inside_then_the_failure_is_noted_and_its_address_stays(
    context: Context, site: Site, status: int
) -> None:
    """A redirect into our network is neither followed nor remembered, however permanent it says it is."""
    site.answers["/feed"] = (status, {"Location": "http://10.0.0.1/feed"}, b"")
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        assert await poll_all(context, steps) == ()

    with_steps(context, act)
    feed = feed_of(context, name)
    assert (feed.url, feed.failures) == (site.url("/feed"), 1)
    assert "'10.0.0.1' has no public address" in feed.error
