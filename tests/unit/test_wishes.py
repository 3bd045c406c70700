"""What servers ask for in their headers: bounded whatever they send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.wishes import (
    MAX_FRESHNESS_S,
    MAX_RETRY_AFTER_S,
    refusal_wait_s,
    retry_after_s,
    server_wish,
)
from worker.model import Why, Wish

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
USED_UP = {"x-ratelimit-remaining": "0"}


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
        ({**USED_UP, "x-ratelimit-reset": "120"}, 120.0),
        ({**USED_UP, "x-ratelimit-reset": "120", "cache-control": "max-age=9"}, 120.0),
        ({"x-ratelimit-remaining": "7", "x-ratelimit-reset": "120"}, None),
        ({"x-ratelimit-reset": "120"}, None),
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
def test_server_wish_when_headers_ask_then_reads_the_strongest(
    headers: dict[str, str], wish: float | None
) -> None:
    """Retry-After goes before max-age, max-age before Expires, and nonsense counts as silence."""
    found = server_wish(headers, NOW)
    assert (found and found.seconds) == wish


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"retry-after": "60", "cache-control": "max-age=900"}, Why.ASKED),
        ({**USED_UP, "x-ratelimit-reset": "60"}, Why.ASKED),
        ({"cache-control": "max-age=60"}, Why.FRESH),
        ({"expires": "Fri, 15 Jan 2027 08:01:00 GMT"}, Why.FRESH),
    ],
)
def test_server_wish_when_read_then_says_what_it_is(headers: dict[str, str], why: Why) -> None:
    """An operator learns which header made the feed wait."""
    assert server_wish(headers, NOW) == Wish(seconds=60.0, why=why)


@pytest.mark.parametrize(
    ("headers", "status", "wait"),
    [
        ({"x-ratelimit-reset": "300"}, 429, 300.0),
        ({"x-ratelimit-reset": "300"}, 503, 300.0),
        ({"x-ratelimit-reset": "300"}, 500, None),
        ({**USED_UP, "x-ratelimit-reset": "300"}, 403, 300.0),
        ({"x-ratelimit-remaining": "0.0", "x-ratelimit-reset": " 300.5 "}, 403, 300.5),
        ({"x-ratelimit-reset": "1800000300"}, 429, 300.0),
        ({"x-ratelimit-reset": "1799999000"}, 429, 0.0),
        # The server's clock is an hour ahead; it means five minutes.
        ({"x-ratelimit-reset": "1800003900", "date": "Fri, 15 Jan 2027 09:00:00 GMT"}, 429, 300.0),
        ({"x-ratelimit-reset": "1900000000"}, 429, MAX_RETRY_AFTER_S),
        ({"x-ratelimit-reset": "99999999"}, 429, MAX_RETRY_AFTER_S),
        ({"x-ratelimit-reset": "1800000300000"}, 429, None),
        ({"x-ratelimit-reset": "-5"}, 429, None),
        ({"x-ratelimit-reset": "60", "retry-after": "300"}, 429, 300.0),
        ({"x-ratelimit-reset": "300", "retry-after": "60"}, 429, 300.0),
        ({"retry-after": "300"}, 404, 300.0),
    ],
)
def test_refusal_wait_s_when_a_rate_limit_is_used_up_then_waits_for_its_reset(
    headers: dict[str, str], status: int, wait: float | None
) -> None:
    """Seconds or a Unix time; the longer one of the limit and Retry-After; noise is silence."""
    assert refusal_wait_s(headers, NOW, status=status) == wait


@given(
    st.lists(st.text(max_size=60), min_size=5, max_size=5), st.sampled_from([200, 403, 429, 503])
)
def test_wishes_when_headers_are_noise_then_stay_within_bounds(
    values: list[str], status: int
) -> None:
    """No header text raises or yields a wait outside the bounds."""
    names = (
        "retry-after",
        "cache-control",
        "expires",
        "x-ratelimit-reset",
        "x-ratelimit-remaining",
    )
    headers = dict(zip(names, values, strict=True))
    wish = server_wish(headers, NOW)
    assert wish is None or 0.0 <= wish.seconds <= MAX_RETRY_AFTER_S
    wait = refusal_wait_s(headers, NOW, status=status)
    assert wait is None or 0.0 <= wait <= MAX_RETRY_AFTER_S


@given(st.from_regex(r"[0-9.]{1,20}", fullmatch=True), st.sampled_from(["", "0", "0.0", "7"]))
def test_refusal_wait_s_when_any_number_is_given_then_stays_within_bounds(
    reset: str, remaining: str
) -> None:
    """Numbers of any size are a wait of at most a week, or none."""
    headers = {"x-ratelimit-reset": reset, "x-ratelimit-remaining": remaining}
    wait = refusal_wait_s(headers, NOW, status=429)
    assert wait is None or 0.0 <= wait <= MAX_RETRY_AFTER_S


def test_retry_after_s_when_absent_then_ignores_freshness() -> None:
    """The failure wait is read from Retry-After alone."""
    assert retry_after_s({"cache-control": "max-age=900"}, NOW) is None
