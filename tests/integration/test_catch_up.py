"""A poller that comes back after hours asks for what came due meanwhile little by little."""

import random

import pytest
from structlog.testing import capture_logs

from worker.core.entries import feed_id
from worker.core.schedule import FEW, LATE_S
from worker.core.wishes import skipping
from worker.model import Feed, FeedId, FeedWishes
from worker.steps.catch_up import AT_ONCE, CatchUp
from worker.store.feeds import poll_fields
from worker.store.ledger import FeedClaim
from worker.testing import Clock
from worker.wiring import Context

HOUR_S = 3_600.0
AWAY_S = 6 * HOUR_S


def _follow(context: Context, count: int, due_at: float, *, over_s: float = HOUR_S) -> None:
    """Follow feeds that come due one after another."""
    for number in range(count):
        url = f"https://outlet{number}.example/feed"
        at = due_at + number * over_s / count
        context.feeds.add(Feed(feed_id=feed_id(url), url=url, next_poll_at=at))


def _catch_up(context: Context) -> CatchUp:
    return CatchUp(feeds=context.feeds, interval_s=HOUR_S, draw=random.Random(1).random)


def _waits(context: Context, now: float) -> list[float]:
    return [feed.next_poll_at - now for feed in context.feeds.all()]


@pytest.mark.parametrize("away_s", [2 * HOUR_S, 600.0])
def test_feeds_when_many_are_late_then_they_come_as_evenly_as_ever(
    context: Context, away_s: float
) -> None:
    """No ten minutes see twice the polls that came due in ten minutes; what is not late stays."""
    clock, count = Clock(), AT_ONCE + 800
    _follow(context, count, clock() - away_s)
    not_late = sum(wait >= -LATE_S for wait in _waits(context, clock()))
    with capture_logs() as logs:
        spread = _catch_up(context).run(now=clock())
    assert [(line["event"], line["feeds"]) for line in logs] == [("late_feeds_spread", spread)]
    waits = _waits(context, clock())
    assert spread == count - not_late
    tenths = [sum(at <= wait < at + 600.0 for wait in waits) for at in range(-60, 7_200, 60)]
    assert max(tenths) <= 2 * count / 6
    assert _catch_up(context).run(now=clock()) == 0


def test_feeds_when_a_few_are_late_then_they_are_asked_at_once(context: Context) -> None:
    """Who restarts a small reader wants to see the news."""
    clock = Clock()
    _follow(context, FEW, clock() - AWAY_S)
    assert _catch_up(context).run(now=clock()) == 0
    assert len(context.feeds.due(now=clock(), lease_s=60.0, limit=2 * FEW)) == FEW


def test_feed_when_late_at_an_hour_that_it_leaves_out_then_waits(context: Context) -> None:
    """The skipHours of a feed hold for a late poll, too."""
    clock = Clock()
    _follow(context, 2, clock() - AWAY_S)
    night, _ = skipping({int(clock() // HOUR_S) % 24}, ())
    lease, other = context.feeds.due(now=clock() - HOUR_S, lease_s=60.0, limit=2)
    for one, wishes in ((lease, FeedWishes(skip_hours=night)), (other, FeedWishes())):
        feed = context.feeds.get(one.feed_id)
        assert feed is not None
        context.ledger.claim(
            (),
            now=clock() - AWAY_S,
            feed=FeedClaim(
                feed_id=one.feed_id,
                token=one.token,
                next_poll_at=clock() - HOUR_S,
                fields=poll_fields(Feed(feed_id=feed.feed_id, url=feed.url, wishes=wishes)),
                listed_all=True,
            ),
        )
    assert _catch_up(context).run(now=clock()) == 1
    (due,) = context.feeds.due(now=clock(), lease_s=60.0, limit=9)
    assert due.feed_id == other.feed_id


def test_feed_when_leased_since_it_was_seen_late_then_keeps_its_lease(context: Context) -> None:
    """Of two pollers that come back at once, each moves what is as it saw it."""
    clock = Clock()
    _follow(context, 1, clock() - AWAY_S)
    (late,) = context.feeds.due_before(clock(), limit=9)
    assert len(context.feeds.due(now=clock(), lease_s=60.0, limit=9)) == 1
    assert context.feeds.postpone([(late.feed_id, late.next_poll_at, clock() + HOUR_S)]) == 0
    assert context.feeds.postpone([(FeedId("nobody"), 0.0, clock())]) == 0
    assert _waits(context, clock()) == [60.0]
