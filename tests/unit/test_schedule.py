import heapq
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.schedule import (
    MAX_FRESHNESS_S,
    MAX_RETRY_AFTER_S,
    PollPolicy,
    next_poll_at,
    retry_after_s,
    server_wish_s,
    spread_poll_at,
)

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
POLICY = PollPolicy(interval_s=600.0, min_interval_s=60.0, max_interval_s=7200.0, jitter=0.1)


def test_next_poll_at_when_all_is_well_then_adds_the_interval() -> None:
    """A healthy feed with a silent server is asked again after the base interval."""
    assert next_poll_at(NOW, POLICY, wish_s=None, failures=0, draw=0.0) == NOW + 600.0


@pytest.mark.parametrize(
    ("failures", "wait"), [(1, 1200.0), (2, 2400.0), (4, 7200.0), (10_000, 7200.0)]
)
def test_next_poll_at_when_polls_fail_then_doubles_up_to_the_cap(
    failures: int, wait: float
) -> None:
    """Each failure in a row doubles the wait until the longest interval."""
    assert next_poll_at(NOW, POLICY, wish_s=None, failures=failures, draw=0.0) == NOW + wait


@given(
    wish=st.floats(0, MAX_RETRY_AFTER_S),
    failures=st.integers(0, 40),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_next_poll_at_when_the_server_wishes_then_never_comes_sooner(
    wish: float, failures: int, draw: float
) -> None:
    """A server's wish and the shortest interval are lower bounds whatever the jitter."""
    at = next_poll_at(NOW, POLICY, wish_s=wish, failures=failures, draw=draw)
    assert at >= NOW + max(wish, POLICY.min_interval_s)
    assert at <= NOW + 1.1 * max(wish, POLICY.max_interval_s) + 1e-3


@pytest.mark.parametrize(
    ("headers", "wish"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": " 120 "}, 120.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 400}, MAX_RETRY_AFTER_S),
        ({"retry-after": "Fri, 15 Jan 2027 08:02:00 GMT"}, 120.0),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        (
            # The server's clock is an hour ahead; it means two minutes.
            {
                "retry-after": "Fri, 15 Jan 2027 09:02:00 GMT",
                "date": "Fri, 15 Jan 2027 09:00:00 GMT",
            },
            120.0,
        ),
        ({"retry-after": "60", "cache-control": "max-age=900"}, 60.0),
        ({"cache-control": "public, max-age=900"}, 900.0),
        ({"cache-control": 'Max-Age="900"'}, 900.0),
        ({"cache-control": "max-age=900", "age": "300"}, 600.0),
        ({"cache-control": "max-age=900", "age": "1000"}, None),
        ({"cache-control": "max-age=0"}, None),
        ({"cache-control": "max-age=31536000"}, MAX_FRESHNESS_S),
        ({"cache-control": "no-cache, max-age=900"}, None),
        ({"cache-control": "no-store", "expires": "Fri, 15 Jan 2027 09:00:00 GMT"}, None),
        ({"cache-control": "max-age=60", "expires": "Fri, 15 Jan 2027 09:00:00 GMT"}, 60.0),
        ({"expires": "Fri, 15 Jan 2027 09:00:00 GMT"}, 3600.0),
        ({"expires": "Fri, 15 Jan 2027 07:00:00 GMT"}, None),
        ({"expires": "0"}, None),
        ({"expires": "-1"}, None),
        ({"expires": "Fri, 99 Jan 99999 09:00:00 +9999"}, None),
    ],
)
def test_server_wish_s_when_headers_ask_then_reads_the_strongest(
    headers: dict[str, str], wish: float | None
) -> None:
    """Retry-After goes before max-age, max-age before Expires, and nonsense counts as silence."""
    assert server_wish_s(headers, NOW) == wish


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_server_wish_s_when_headers_are_noise_then_stays_within_bounds(
    retry: str, control: str, expires: str
) -> None:
    """No header text raises or yields a wait outside the bounds."""
    headers = {"retry-after": retry, "cache-control": control, "expires": expires}
    wish = server_wish_s(headers, NOW)
    assert wish is None or 0.0 <= wish <= MAX_RETRY_AFTER_S


def test_retry_after_s_when_absent_then_ignores_freshness() -> None:
    """The failure wait is read from Retry-After alone."""
    assert retry_after_s({"cache-control": "max-age=900"}, NOW) is None


FEEDS, HOUR_S, BIN_S = 3_600, 3_600.0, 60.0
HOURLY = PollPolicy(interval_s=HOUR_S, min_interval_s=900.0, max_interval_s=86_400.0, jitter=0.1)
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
        at = next_poll_at(now, HOURLY, wish_s=None, failures=failures, draw=draw.random())
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
