"""Clocks that jump, and pollers that start again and again: no feed is asked too often or forgotten."""

import asyncio
import random
from dataclasses import replace

import pytest
from outlet import Site, follow, with_steps
from structlog.testing import capture_logs

from worker.core.entries import feed_id
from worker.core.schedule import PollPolicy, Standing, next_poll
from worker.daemon import PollLoop
from worker.model import Feed, FeedId
from worker.networking import PollSteps
from worker.store.feeds import poll_fields
from worker.store.ledger import FETCH, FeedClaim, Started
from worker.testing import Clock, an_entry
from worker.wiring import Context

HOUR_S, DAY_S = 3_600.0, 86_400.0
FEEDS = 30
POLICY = PollPolicy(
    interval_s=HOUR_S,
    min_interval_s=900.0,
    max_interval_s=DAY_S,
    unconditional_interval_s=DAY_S,
    jitter=0.1,
)


def _poll_due(context: Context, clock: Clock, draw: random.Random) -> list[FeedId]:
    """Poll what is due by this clock: the store's part of it."""
    leases = context.feeds.due(now=clock(), lease_s=120.0, limit=1_000)
    for lease in leases:
        feed = context.feeds.get(lease.feed_id)
        assert feed is not None
        at = next_poll(clock(), POLICY, Standing(), draw=draw.random()).at
        claim = FeedClaim(
            feed_id=lease.feed_id, token=lease.token, next_poll_at=at,
            fields=poll_fields(replace(feed, polled_at=clock())), listed_all=True,
        )  # fmt: skip
        context.ledger.claim([], now=clock(), feed=claim)
    return [lease.feed_id for lease in leases]


def _rejoin(context: Context, clock: Clock) -> int:
    return sum(context.feeds.rejoin(feed, now=clock()) for feed in context.feeds.all())


def _hours(context: Context, clock: Clock, hours: float, draw: random.Random) -> list[FeedId]:
    """Let time pass by five minutes at a time, as a running poller does; return its polls."""
    polled: list[FeedId] = []
    for step in range(int(hours * 12)):
        if step % 3 == 0:  # poll.min_interval_s
            _rejoin(context, clock)
        polled += _poll_due(context, clock, draw)
        clock.move(300)
    return polled


@pytest.fixture
def clock(context: Context) -> Clock:
    """A clock at which many feeds have been followed for two hours."""
    made, draw = Clock(), random.Random(3)
    for number in range(FEEDS):
        url = f"https://outlet{number}.example/feed"
        at = made() + HOUR_S * number / FEEDS
        context.feeds.add(Feed(feed_id=feed_id(url), url=url, next_poll_at=at))
    _hours(context, made, 2, draw)
    return made


@pytest.mark.parametrize("jump_s", [HOUR_S, DAY_S, -HOUR_S, -DAY_S])
def test_clock_when_it_jumps_then_each_feed_is_polled_as_often_as_before(
    context: Context, clock: Clock, jump_s: float
) -> None:
    """Fault F39: ahead, each feed is asked once too early at most; back, none waits for the day."""
    draw = random.Random(4)
    clock.move(jump_s)
    polled = _hours(context, clock, 5, draw)
    times = [polled.count(feed.feed_id) for feed in context.feeds.all()]
    assert min(times) >= 3
    assert max(times) <= 6
    clock.move(-jump_s)  # and there again
    polled = _hours(context, clock, 5, draw)
    assert min(polled.count(feed.feed_id) for feed in context.feeds.all()) >= 3


def test_server_that_asked_for_a_long_wait_gets_it_also_when_the_clock_is_set_back(
    context: Context, clock: Clock
) -> None:
    """What is left of a Retry-After is not forgotten with the wrong time; a right clock moves nothing."""
    assert _rejoin(context, clock) == 0
    feed = context.feeds.all()[-1]
    waits = feed.next_poll_at - feed.polled_at
    clock.move(-DAY_S)
    assert _rejoin(context, clock) == FEEDS
    assert _rejoin(context, clock) == 0
    moved = context.feeds.get(feed.feed_id)
    assert moved is not None
    assert moved.next_poll_at == pytest.approx(clock() + waits, abs=0.01)


@pytest.mark.parametrize("jump_s", [HOUR_S, DAY_S])
def test_lease_when_the_clock_jumps_ahead_then_the_entry_is_taken_up_once_more_and_goes_on(
    context: Context, jump_s: float
) -> None:
    """Fault F39 for the ledger: a jump ends every lease, which costs an attempt and no entry."""
    clock, entry = Clock(), an_entry("one")
    context.ledger.claim([entry], now=clock())
    assert isinstance(context.ledger.start(entry.entry_id, FETCH, now=clock()), Started)
    clock.move(jump_s)
    (found,) = context.ledger.overdue(now=clock(), limit=10)
    assert (found.entry_id, found.stage) == (entry.entry_id, FETCH)
    started = context.ledger.start(entry.entry_id, FETCH, now=clock())
    assert isinstance(started, Started)
    assert started.attempt == 2


def test_poller_when_started_fifty_times_then_polls_nothing_early(
    context: Context, site: Site
) -> None:
    """Fault F43: when feeds are due is in Redis, not in the poller."""
    site.answers["/feed"] = (200, {}, site.feed())
    follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        for _ in range(50):
            loop = PollLoop(context, steps)
            for step in (loop._look, loop._keep, loop._rejoin, loop._poll_due):
                await step()
            await asyncio.gather(*loop._tasks)

    with capture_logs():
        with_steps(context, act)
    assert site.paths() == ["/feed"]
