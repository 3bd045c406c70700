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

from worker.model import Feed, FeedId, FeedWishes, Rhythm
from worker.networking import PollSteps
from worker.steps.poll import NEVER, Poller
from worker.store.ledger import FETCH
from worker.testing import Clock
from worker.wiring import Context

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
        assert (before.changed_at, after.rhythm.changes) == (before.polled_at, (0.0,) * 24)
        times = {"polled_at": 0.0, "next_poll_at": 0.0, "interval_s": 0.0, "soonest_at": 0.0}
        times |= {"rhythm": Rhythm()}
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


def test_feed_when_it_asks_for_an_interval_then_that_holds_after_a_304_too(
    context: Context, site: Site
) -> None:
    """What the document wished for is kept with the feed: a 304 brings no document."""
    document = site.feed("one").replace(b"<item>", b"<ttl>600</ttl><item>", 1)
    site.answers["/feed"] = (200, {"ETag": ETAG}, document)
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        for answer in (site.answers["/feed"], (304, {}, b"")):
            site.answers["/feed"] = answer
            before = time.time()
            await poll_all(context, steps)
            assert feed_of(context, name).next_poll_at >= before + 36_000

    with_steps(context, act)
    assert feed_of(context, name).wishes == FeedWishes(every_s=36_000.0)


def test_feed_when_its_server_gives_no_validators_then_is_asked_once_a_day(
    context: Context, site: Site
) -> None:
    """Each poll of such a feed costs the whole document, so there is one in 24 hours."""
    site.answers["/feed"] = (200, {}, site.feed("one"))
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        before = time.time()
        await poll_all(context, steps)
        assert feed_of(context, name).next_poll_at >= before + 86_400
        site.answers["/feed"] = (200, {"ETag": ETAG}, site.feed("one"))
        await poll_all(context, steps)
        assert feed_of(context, name).next_poll_at < before + 86_400

    with_steps(context, act)


def test_feed_when_it_has_a_rhythm_then_is_polled_by_it_also_after_a_new_start(
    context: Context, site: Site
) -> None:
    """A feed that was quiet for days waits longer; what it brings, and when, is kept with it."""
    site.answers["/feed"] = (200, {"ETag": ETAG}, site.feed("one"))
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        clock = Clock()
        poller = replace(steps.poller, clock=clock, draw=lambda: 0.0)
        waits = []
        for pages in (["one"], ["one"], ["one", "two"], ["one", "two"]):
            site.answers["/feed"] = (200, {"ETag": ETAG}, site.feed(*pages))
            feed = await poll_at(context, poller, name, clock)
            waits.append(feed.next_poll_at - clock())
            clock.move(1.5 * 86_400)
        assert waits[:2] == [3_600.0, 3_600.0]
        assert 3_600.0 < waits[3] < 86_400.0
        assert sum(feed.rhythm.changes) == pytest.approx(1.0, abs=0.1)
        assert feed.changed_at == clock() - 3 * 86_400

    with_steps(context, act)


async def poll_at(context: Context, poller: Poller, name: FeedId, clock: Clock) -> Feed:
    """Poll the only feed now, by a clock of the test's own; return it as it is stored."""
    (lease,) = context.feeds.due(now=NEVER, lease_s=60.0, limit=1)
    await poller.poll(lease)
    return feed_of(context, name)


def test_feed_when_polled_then_what_is_kept_of_it_is_small(context: Context, site: Site) -> None:
    """With its validators, wishes and rhythm a feed takes less than 2 kB, the list of its entries apart."""
    document = site.feed(*(f"page-{n}" for n in range(30)))
    site.answers["/feed"] = (200, {"ETag": ETAG, "Last-Modified": MODIFIED}, document)
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        await poll_all(context, steps)

    with_steps(context, act)
    assert context.client.memory_usage(context.keys.feed(name)) < 1_000
    assert context.client.object("ENCODING", context.keys.feed(name)) in {b"listpack", b"ziplist"}


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
