"""What is learned of when a feed changes, and how long it may wait by that."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.rhythm import FADES, changes_a_day, own_wait_s, watched, watched_days
from worker.model import Rhythm

MIDNIGHT = 1_800_000_000.0 // 86_400 * 86_400
HOUR, DAY = 3_600.0, 86_400.0
BEGUN = Rhythm(since=MIDNIGHT, until=MIDNIGHT)
LONG = 60 * DAY


def _wait(rhythm: Rhythm, now: float | None = None) -> float | None:
    return own_wait_s(rhythm, now or rhythm.until, interval_s=HOUR, most_s=DAY)


def _even(a_day: float) -> Rhythm:
    """A feed that was watched for sixty days and changes as often at any hour."""
    made = Rhythm(since=MIDNIGHT - LONG, until=MIDNIGHT)
    count = a_day * watched_days(made) / 24
    return Rhythm(since=made.since, until=made.until, changes=(count,) * 24)


def test_watched_when_first_polled_then_only_begins() -> None:
    """What a feed lists when it is followed says when it changed before, not what we saw."""
    assert watched(Rhythm(), MIDNIGHT, [MIDNIGHT - HOUR, None]) == BEGUN


def test_watched_when_new_entries_have_times_then_each_hour_counts_once() -> None:
    """Ten articles in one hour are one reason to come, at the hour in which they were published."""
    new = [MIDNIGHT + 2 * HOUR + minutes * 60 for minutes in (1, 2, 59)] + [MIDNIGHT + 3.5 * HOUR]
    changes = watched(BEGUN, MIDNIGHT + 6 * HOUR, new).changes
    assert {hour: count for hour, count in enumerate(changes) if count} == {2: 1.0, 3: 1.0}


@pytest.mark.parametrize(
    "at", [None, MIDNIGHT - 9 * DAY, MIDNIGHT, MIDNIGHT + DAY, MIDNIGHT + 30 * DAY]
)
def test_watched_when_a_new_entry_has_no_believable_time_then_it_came_at_any_time_between(
    at: float | None,
) -> None:
    """Undated, long ago, ahead of time, or a midnight that stands for a day."""
    rhythm = watched(
        Rhythm(since=BEGUN.since, until=MIDNIGHT + 22.5 * HOUR), MIDNIGHT + DAY + HOUR / 2, [at]
    )
    found = {hour: count for hour, count in enumerate(rhythm.changes) if count}
    assert found == {22: pytest.approx(0.25), 23: pytest.approx(0.5), 0: pytest.approx(0.25)}


def test_watched_when_the_clock_was_set_back_then_begins_anew() -> None:
    """Hours that were not there yet cannot be counted."""
    assert watched(_even(24.0), MIDNIGHT - HOUR, [None]).changes == BEGUN.changes


@given(
    gaps=st.lists(st.floats(1.0, 40 * DAY), max_size=30),
    entries=st.lists(st.none() | st.floats(-1e12, 1e12), max_size=5),
)
def test_watched_when_polled_at_any_times_then_counts_and_days_agree(
    gaps: list[float], entries: list[float | None]
) -> None:
    """There are never more changes an hour than hours, whatever dates a feed gives."""
    rhythm, now, days = BEGUN, MIDNIGHT, 0.0
    for gap in gaps:
        whole = int((now + gap) // DAY) - int(now // DAY)
        days = days * FADES**whole + sum(_parts(now, now + gap))
        now += gap
        rhythm = watched(rhythm, now, entries)
    assert watched_days(rhythm) == pytest.approx(days, abs=1e-6)
    assert all(count >= 0.0 for count in rhythm.changes)
    assert sum(rhythm.changes) <= len(entries) * len(gaps) + len(gaps)
    wait = _wait(rhythm)
    assert wait is None or HOUR <= wait <= DAY


def _parts(begin: float, end: float) -> list[float]:
    """The parts of a time in each day, in days, faded to the last one."""
    parts, at = [], begin
    while at < end:
        step = min((at // DAY + 1) * DAY, end) - at
        parts.append(step / DAY * FADES ** (int(end // DAY) - int(at // DAY)))
        at += step
    return parts


def test_own_wait_s_when_little_is_known_then_is_none() -> None:
    """Two days have to be seen."""
    assert _wait(Rhythm(since=MIDNIGHT, until=MIDNIGHT + 2 * DAY - 1)) is None
    assert _wait(Rhythm(since=MIDNIGHT, until=MIDNIGHT + 2 * DAY)) is not None


@pytest.mark.parametrize("a_day", [0.5, 2.0, 6.0])
def test_own_wait_s_when_changes_come_evenly_then_goes_with_the_root(a_day: float) -> None:
    """Four times as many changes are worth twice as many polls."""
    one_more = 1.0 / watched_days(_even(0.0))
    assert changes_a_day(_even(a_day)) == pytest.approx(a_day)
    assert _wait(_even(a_day)) == pytest.approx(math.sqrt(HOUR * DAY / (a_day + one_more)))


def test_own_wait_s_when_changes_are_many_or_none_then_is_the_shortest_or_long() -> None:
    """A busy feed is polled once an interval; one that never changed is still looked at."""
    assert _wait(_even(24.0)) == HOUR
    quiet = _wait(Rhythm(since=MIDNIGHT - LONG, until=MIDNIGHT))
    assert quiet is not None
    assert 16 * HOUR < quiet < DAY


def test_own_wait_s_when_nothing_comes_at_night_then_waits_for_the_morning() -> None:
    """A feed that changes from eight to eight is left alone from eight to eight."""
    changes = tuple(15.0 if 8 <= hour < 20 else 0.0 for hour in range(24))
    rhythm = Rhythm(since=MIDNIGHT - LONG, until=MIDNIGHT, changes=changes)
    by_night, by_day = _wait(rhythm, MIDNIGHT - 4 * HOUR), _wait(rhythm, MIDNIGHT + 12 * HOUR)
    assert by_night is not None
    assert by_day is not None
    assert 12 * HOUR < by_night < 13.5 * HOUR
    assert by_day < 1.5 * HOUR


def test_feed_with_nights_when_followed_for_weeks_then_few_polls_see_its_news_soon() -> None:
    """A third of the polls of a fixed hour, and the mean delay of every second hour."""
    draw, end = random.Random(1), MIDNIGHT + 42 * DAY
    news = sorted(
        MIDNIGHT + day * DAY + hour * HOUR + draw.random() * HOUR
        for day in range(42)
        for hour in range(8, 20)
        if draw.random() < 0.4
    )
    rhythm, now, polls, delays = Rhythm(), MIDNIGHT, 0, []
    while now < end:
        new = [at for at in news if rhythm.until < at <= now]
        rhythm = watched(rhythm, now, new)
        if now > MIDNIGHT + 14 * DAY:
            polls, delays = polls + 1, delays + [now - at for at in new]
        now += (_wait(rhythm) or HOUR) * (1 + 0.1 * draw.random())
    assert polls / 28 < 24 / 2
    assert sum(delays) / len(delays) < HOUR
