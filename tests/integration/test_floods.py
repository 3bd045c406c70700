"""Feeds that bring more new entries than anybody can read: claimed up to a quota, and said."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from outlet import Site, feed_of, follow, row_of, with_steps
from structlog.testing import capture_logs

from worker.core.health import Ailment, ailments
from worker.model import EntryId, FeedId
from worker.networking import PollSteps
from worker.steps.measure import measure
from worker.steps.poll import NEVER, Poller
from worker.store.ledger import FETCH
from worker.testing import Clock
from worker.wiring import Context

pytestmark = pytest.mark.usefixtures("books")

A_DAY = 10
Poll = Callable[[], Awaitable[tuple[EntryId, ...]]]


def _flooding(
    context: Context, site: Site, act: Callable[[Poll, Clock, FeedId], Awaitable[None]]
) -> None:
    """Run an act on a feed that may bring A_DAY new entries, by a clock of its own."""
    name = follow(context, site.url("/feed"))
    clock = Clock(float(int(time.time())))  # whole seconds are what is kept

    async def run(steps: PollSteps) -> None:
        poller: Poller = replace(steps.poller, clock=clock, max_new_a_day=A_DAY)

        async def poll() -> tuple[EntryId, ...]:
            (lease,) = context.feeds.due(now=NEVER, lease_s=60.0, limit=1)
            return await poller.poll(lease)

        await act(poll, clock, name)

    with_steps(context, run)


def _lists(site: Site, tag: str, *names: str) -> None:
    site.answers["/feed"] = (200, {"ETag": tag}, site.feed(*names))


def test_feed_when_it_floods_every_poll_then_claims_its_quota_and_says_so(
    context: Context, site: Site
) -> None:
    """A day's worth at once, then what each hour gives back; the log, the feed and a metric tell it."""

    async def act(poll: Poll, clock: Clock, name: FeedId) -> None:
        claimed = []
        for hour in range(24):
            _lists(site, f'"{hour}"', *(f"{hour}-{n}" for n in range(100)))
            with capture_logs() as logs:
                claimed.append(len(await poll()))
            assert ("feed_floods", 100 - claimed[-1]) in [
                (line["event"], line.get("left_out")) for line in logs
            ]
            clock.move(3_600.0)
        assert claimed[0] == A_DAY
        assert 2 * A_DAY - 1 <= sum(claimed) <= 2 * A_DAY
        feed = feed_of(context, name)
        assert feed.left_out == 100 - claimed[-1]
        assert Ailment.FLOODING in ailments(feed)
        assert len(measure(context, now=clock()).flooding) == 1
        assert context.ledger.counts()["claimed"] == sum(claimed)

    _flooding(context, site, act)


def test_entries_left_out_when_still_listed_then_are_claimed_by_later_polls(
    context: Context, site: Site
) -> None:
    """Nothing is lost by the quota but time: each entry is claimed once, in the feed's order."""
    names = [f"page-{n}" for n in range(25)]

    async def act(poll: Poll, clock: Clock, name: FeedId) -> None:
        _lists(site, '"v1"', *names)
        found = []
        for left_out in (15, 5, 0):
            found += [row_of(context, entry).entry.ref for entry in await poll()]
            assert feed_of(context, name).left_out == left_out
            clock.move(86_400.0)
        assert found == names
        assert await poll() == ()
        assert ailments(feed_of(context, name)) == ()

    _flooding(context, site, act)


def test_validators_when_entries_were_left_out_then_no_304_hides_these(
    context: Context, site: Site
) -> None:
    """What is sent are the validators of the last document that was taken whole."""

    async def act(poll: Poll, clock: Clock, name: FeedId) -> None:
        _lists(site, '"whole"', "one")
        assert len(await poll()) == 1
        assert feed_of(context, name).validators.etag == '"whole"'
        _lists(site, '"flood"', *(f"page-{n}" for n in range(25)))
        assert len(await poll()) == A_DAY - 1
        feed = feed_of(context, name)
        assert (feed.validators.etag, feed.left_out) == ('"whole"', 16)
        clock.move(86_400.0)
        await poll()
        assert site.asked[-1][1]["If-None-Match"] == '"whole"'
        clock.move(86_400.0)
        await poll()
        assert feed_of(context, name).validators.etag == '"flood"'

    _flooding(context, site, act)


def test_feed_when_it_takes_its_flood_back_then_is_well_again(context: Context, site: Site) -> None:
    """A 304 to the validators that were kept says that its document is the one before the flood."""

    async def act(poll: Poll, clock: Clock, name: FeedId) -> None:
        _lists(site, '"whole"', "one")
        await poll()
        _lists(site, '"flood"', *(f"page-{n}" for n in range(25)))
        await poll()
        assert feed_of(context, name).left_out == 16
        _lists(site, '"whole"', "one")
        site.unchanged.add("/feed")
        clock.move(3_600.0)
        assert await poll() == ()
        assert site.asked[-1][1]["If-None-Match"] == '"whole"'
        feed = feed_of(context, name)
        assert (feed.left_out, feed.validators.etag, ailments(feed)) == (0, '"whole"', ())

    _flooding(context, site, act)


def test_quota_when_a_feed_shows_two_halves_in_turn_then_is_not_used_up(
    context: Context, site: Site
) -> None:
    """Servers behind one address may differ: what is on the ledger already is not new again."""
    halves = [[f"{half}-{n}" for n in range(4)] for half in "ab"]

    async def act(poll: Poll, clock: Clock, name: FeedId) -> None:
        for turn in range(8):
            _lists(site, f'"{turn}"', *halves[turn % 2])
            new = await poll()
            assert len(new) == (4 if turn < 2 else 0)
            assert all(row_of(context, entry).stage == FETCH for entry in new)
        feed = feed_of(context, name)
        assert (feed.taken.count, feed.left_out) == (8.0, 0)

    _flooding(context, site, act)
