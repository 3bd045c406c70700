"""When feeds come due: the longest of all waits decides, and many feeds never come at once."""

import heapq
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.schedule import (
    LATE_S,
    PollPolicy,
    Standing,
    caught_up_at,
    next_poll,
    soonest_poll_at,
    spread_poll_at,
)
from worker.core.wishes import MAX_RETRY_AFTER_S, first_allowed, skipping
from worker.model import FeedWishes, Why, Wish

NOW = 1_800_000_000.0  # Friday 2027-01-15 08:00:00 UTC
POLICY = PollPolicy(
    interval_s=600.0,
    min_interval_s=60.0,
    max_interval_s=7_200.0,
    unconditional_interval_s=86_400.0,
    jitter=0.1,
)
ASKED = Wish(seconds=9_000.0, why=Why.ASKED)


@pytest.mark.parametrize(
    ("standing", "wait", "why"),
    [
        (Standing(), 600.0, Why.NEW),
        (Standing(own_s=1_500.0), 1_500.0, Why.RHYTHM),
        (Standing(failures=1), 1_200.0, Why.FAILURES),
        (Standing(failures=2), 2_400.0, Why.FAILURES),
        (Standing(failures=4), 7_200.0, Why.FAILURES),
        (Standing(failures=10_000), 7_200.0, Why.FAILURES),
        (Standing(failures=1, own_s=1_500.0), 1_500.0, Why.RHYTHM),
        (Standing(failures=1, server=ASKED), 9_000.0, Why.ASKED),
        (Standing(server=Wish(seconds=599.0, why=Why.FRESH)), 600.0, Why.NEW),
        (Standing(server=Wish(seconds=900.0, why=Why.FRESH)), 900.0, Why.FRESH),
        (Standing(feed=FeedWishes(every_s=700.0)), 700.0, Why.FEED),
        (Standing(feed=FeedWishes(every_s=9_999.0), server=ASKED), 9_999.0, Why.FEED),
        (Standing(unconditional=True, server=ASKED), 86_400.0, Why.UNCONDITIONAL),
    ],
)
def test_next_poll_when_several_waits_apply_then_the_longest_decides(
    standing: Standing, wait: float, why: Why
) -> None:
    """Each wait is a lower bound; what decided is told."""
    plan = next_poll(NOW, POLICY, standing, draw=0.0)
    assert (plan.at, plan.why) == (NOW + wait, why)
    assert soonest_poll_at(NOW, POLICY, standing) <= plan.at


@pytest.mark.parametrize(
    ("standing", "wait"),
    [
        (Standing(), 60.0),
        (Standing(own_s=1_500.0), 60.0),
        (Standing(failures=2), 2_400.0),
        (Standing(server=Wish(seconds=900.0, why=Why.FRESH)), 900.0),
        (Standing(server=ASKED, own_s=600.0), 9_000.0),
        (Standing(feed=FeedWishes(every_s=700.0)), 700.0),
        (Standing(unconditional=True), 86_400.0),
        (Standing(feed=FeedWishes(skip_hours=1 << 8)), 3_600.0),
    ],
)
def test_soonest_poll_at_when_there_are_news_then_only_our_guess_is_shortened(
    standing: Standing, wait: float
) -> None:
    """What its server and the feed asked for holds, and so does what spares them."""
    assert soonest_poll_at(NOW, POLICY, standing) == NOW + wait


def _bits(*places: int) -> int:
    return sum(1 << place for place in places)


STANDINGS = st.builds(
    Standing,
    failures=st.integers(0, 40),
    own_s=st.none() | st.floats(600.0, 7_200.0),
    server=st.none()
    | st.builds(Wish, seconds=st.floats(0, MAX_RETRY_AFTER_S), why=st.just(Why.ASKED)),
    unconditional=st.booleans(),
    feed=st.builds(
        lambda every_s, skipped: FeedWishes(
            every_s=every_s, skip_hours=skipped[0], skip_days=skipped[1]
        ),
        st.floats(0, 7 * 86_400.0),
        st.builds(skipping, st.sets(st.integers(0, 23)), st.sets(st.integers(0, 6))),
    ),
)


@given(standing=STANDINGS, draw=st.floats(0, 1, exclude_max=True))
def test_next_poll_when_anything_wishes_then_never_comes_sooner(
    standing: Standing, draw: float
) -> None:
    """Every wait holds as a lower bound whatever the jitter, and skipped hours are left out."""
    plan = next_poll(NOW, POLICY, standing, draw=draw)
    waits = [POLICY.interval_s, standing.own_s or 0.0, standing.feed.every_s]
    waits.append(standing.server.seconds if standing.server else 0.0)
    waits.append(POLICY.unconditional_interval_s if standing.unconditional else 0.0)
    assert plan.at >= NOW + max(waits)
    assert plan.at <= NOW + 1.1 * max(*waits, POLICY.max_interval_s) + 8 * 86_400.0
    assert first_allowed(plan.at, standing.feed) == plan.at


@pytest.mark.parametrize(
    ("hours", "days", "wait"),
    [
        ((), (), 0.0),
        ((9,), (), 0.0),
        ((8, 9, 11), (), 7_200.0),  # at 10:00
        ((), (4, 5), 2 * 86_400.0 - 8 * 3_600.0),  # on Sunday at 0:00
        (tuple(range(1, 24)), (4,), 86_400.0 - 8 * 3_600.0),
        (tuple(range(24)), (), 0.0),
        ((), tuple(range(7)), 0.0),
    ],
)
def test_first_allowed_when_hours_or_days_are_skipped_then_is_the_next_that_is_not(
    hours: tuple[int, ...], days: tuple[int, ...], wait: float
) -> None:
    """What skips everything skips nothing."""
    skip_hours, skip_days = skipping(hours, days)
    wishes = FeedWishes(skip_hours=skip_hours, skip_days=skip_days)
    assert first_allowed(NOW, wishes) == NOW + wait


def test_next_poll_when_hours_are_skipped_then_feeds_spread_over_the_first_allowed_one() -> None:
    """Not all feeds that wake at seven come at seven sharp."""
    wishes = FeedWishes(skip_hours=_bits(8, 9))
    plans = [next_poll(NOW, POLICY, Standing(feed=wishes), draw=draw) for draw in (0.0, 0.5)]
    assert [plan.at - NOW for plan in plans] == [7_200.0, 8_999.5]
    assert {plan.why for plan in plans} == {Why.SKIPPED}


FEEDS, HOUR_S, BIN_S = 3_600, 3_600.0, 60.0
HOURLY = PollPolicy(
    interval_s=HOUR_S,
    min_interval_s=900.0,
    max_interval_s=86_400.0,
    unconditional_interval_s=86_400.0,
    jitter=0.1,
)
NORMAL = FEEDS * BIN_S / HOUR_S  # polls a minute


def _polls(
    hours: float, first: Callable[[random.Random], float], fails: Callable[[float], bool]
) -> Counter[int]:
    """Poll many feeds by a virtual clock; return how many polls each minute had."""
    draw, polls = random.Random(7), Counter[int]()
    schedule = [(first(draw), 0) for _ in range(FEEDS)]
    heapq.heapify(schedule)
    while schedule[0][0] < hours * HOUR_S:
        now, failures = heapq.heappop(schedule)
        polls[int(now // BIN_S)] += 1
        failures = failures + 1 if fails(now) else 0
        at = next_poll(now, HOURLY, Standing(failures=failures), draw=draw.random()).at
        heapq.heappush(schedule, (at, failures))
    return polls


@pytest.mark.parametrize("down_hours", [1, 6, 24])
def test_all_feeds_when_down_for_long_and_back_then_there_is_no_stampede(down_hours: int) -> None:
    """Fault F42: an uplink that comes back meets at most twice the usual number of polls a minute."""
    begin, end = 4 * HOUR_S, (4 + down_hours) * HOUR_S
    polls = _polls(
        2 * down_hours + 30,
        first=lambda draw: spread_poll_at(0.0, HOUR_S, draw=draw.random()),
        fails=lambda now: begin <= now < end,
    )
    assert max(polls.values()) <= 2 * NORMAL


def test_feeds_when_restored_all_at_once_then_come_due_as_they_always_do() -> None:
    """Fault F26: the first hours after an emptied Redis are like all others."""
    polls = _polls(
        6, first=lambda draw: spread_poll_at(0.0, HOUR_S, draw=draw.random()), fails=lambda _: False
    )
    assert max(polls.values()) <= 2 * NORMAL


def test_feeds_when_added_all_at_once_then_drift_apart() -> None:
    """Feeds imported together are due together the first time; jitter spreads them within a day."""
    polls = _polls(48, first=lambda _: 0.0, fails=lambda _: False)
    assert max(count for minute, count in polls.items() if minute > 24 * 60) <= 4 * NORMAL


@pytest.mark.parametrize(
    ("late_s", "many", "wait"),
    [
        (70.0, False, 0.0),
        (40_000.0, False, 0.0),
        (100.0, True, 125.0),
        (1_728.0, True, 2_160.0),
        (1_800.0, True, 541.0),  # .6 of its wait would be over: placed by the draw
        (86_400.0, True, 541.0),
    ],
)
def test_caught_up_at_when_late_then_many_wait_for_their_turn(
    *, late_s: float, many: bool, wait: float
) -> None:
    """A few are asked at once; of many, one waits by how late it is, and less than its own wait."""
    at = caught_up_at(NOW, NOW - late_s, HOUR_S, FeedWishes(), many=many, draw=0.25)
    assert at == NOW + wait


def test_caught_up_at_when_its_hours_are_left_out_then_waits_for_the_next() -> None:
    """To be late is no reason to come at night."""
    wishes = FeedWishes(skip_hours=_bits(8, 9))
    assert caught_up_at(NOW, NOW - 90.0, HOUR_S, wishes, many=False, draw=0.5) == NOW + 8_999.5


@given(
    late_s=st.floats(LATE_S, 1e8),
    wait_s=st.floats(900.0, 86_400.0),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_caught_up_at_when_one_of_many_then_goes_on_and_never_waits_for_its_whole_interval(
    late_s: float, wait_s: float, draw: float
) -> None:
    """Each look must find fewer late feeds than the last."""
    at = caught_up_at(NOW, NOW - late_s, wait_s, FeedWishes(), many=True, draw=draw)
    assert NOW < at <= NOW + 0.6 * wait_s + 1.0
