"""What servers and feeds ask of those who poll: how long to wait, and which hours to leave out.

Pure: the time is an argument. All of it comes from strangers, so all of it is bounded. Called by
steps/poll, fetch/client, fetch/post and core/schedule.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

from worker.model import FeedWishes, Why, Wish

# A server that asks for more than a week has made a mistake or has gone; either way a person should
# see the feed come back. FreshRSS caps at 2 d and is criticised for it (FreshRSS#7920).
MAX_RETRY_AFTER_S = 7 * 86_400.0
# Static file servers send max-age of a month or a year for a feed that changes hourly; honouring
# that would silence it. A day is the longest wait that the politeness rules ask of a reader for a
# server without validators (rachelbythebay.com/w/feed).
MAX_FRESHNESS_S = 86_400.0
# An X-RateLimit-Reset is a number of seconds (Reddit) or a Unix time (GitHub). Seconds of more than 30
# years are times, and times after the year 5138 are noise, such as milliseconds.
_FIRST_UNIX_TIME, _LAST_UNIX_TIME = 1e9, 1e11
_BUSY = frozenset({429, 503})
HOURS, DAYS = 24, 7
_ALL_HOURS, _ALL_DAYS = (1 << HOURS) - 1, (1 << DAYS) - 1
_HOUR_S, _DAY_S = 3_600.0, 86_400.0
_FIRST_DAY = 3  # 1970-01-01 was a Thursday; day 0 is Monday


def server_wish(headers: Mapping[str, str], now: float) -> Wish | None:
    """Return how long a response that went well asks to wait, or None when it asks nothing.

    Retry-After and an exhausted rate limit come first, then Cache-Control max-age, then Expires. The
    header names must be in lower case. Source: RFC 9110 section 10.2.3, RFC 9111 section 4.2.1.
    """
    pause_s = refusal_wait_s(headers, now)
    if pause_s is not None:
        return Wish(seconds=pause_s, why=Why.ASKED)
    fresh_s = _freshness_s(headers, now)
    return None if fresh_s is None else Wish(seconds=fresh_s, why=Why.FRESH)


def refusal_wait_s(
    headers: Mapping[str, str], now: float, *, status: int | None = None
) -> float | None:
    """Return the wait that Retry-After and X-RateLimit-Reset ask for, the longer one, or None.

    The rate limit counts when it is used up: on 429 and 503, and when X-RateLimit-Remaining is 0.
    """
    waits = [retry_after_s(headers, now)]
    if status in _BUSY or _digits(headers.get("x-ratelimit-remaining", "").strip()) == 0.0:
        waits.append(_reset_s(headers, now))
    return max((wait for wait in waits if wait is not None), default=None)


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return Retry-After in seconds from now, within [0, MAX_RETRY_AFTER_S], or None."""
    value = headers.get("retry-after", "").strip()
    wait = _digits(value)
    if wait is None:
        wait = _until(value, headers, now)
    return None if wait is None else min(max(wait, 0.0), MAX_RETRY_AFTER_S)


def _reset_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return X-RateLimit-Reset in seconds from now, within [0, MAX_RETRY_AFTER_S], or None."""
    reset = _digits(headers.get("x-ratelimit-reset", "").strip())
    if reset is None or reset > _LAST_UNIX_TIME:
        return None
    wait = reset - _server_now(headers, now) if reset >= _FIRST_UNIX_TIME else reset
    return min(max(wait, 0.0), MAX_RETRY_AFTER_S)


def skipping(hours: Iterable[int], days: Iterable[int]) -> tuple[int, int]:
    """Return RSS skipHours (0 to 23) and skipDays (0 is Monday) as bits.

    What skips every hour, or every day, is a mistake and skips none.
    """
    hour_bits = sum({1 << hour for hour in hours if 0 <= hour < HOURS})
    day_bits = sum({1 << day for day in days if 0 <= day < DAYS})
    return (
        0 if hour_bits == _ALL_HOURS else hour_bits,
        0 if day_bits == _ALL_DAYS else day_bits,
    )


def first_allowed(at: float, wishes: FeedWishes) -> float:
    """Return ``at``, or the beginning of the first hour after it that the feed does not skip (GMT).

    Source: RSS 2.0, skipHours and skipDays.
    """
    for _ in range(HOURS * DAYS):
        hour, day = int(at // _HOUR_S) % HOURS, (int(at // _DAY_S) + _FIRST_DAY) % DAYS
        if not (wishes.skip_hours >> hour & 1 or wishes.skip_days >> day & 1):
            break
        at = (at // _HOUR_S + 1.0) * _HOUR_S
    return at


def _freshness_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return how long the response stays fresh, within [0, MAX_FRESHNESS_S], or None."""
    directives: dict[str, str] = {}
    for part in headers.get("cache-control", "").lower().split(","):
        name, _, value = part.strip().partition("=")
        directives[name] = value.strip('" ')
    if "no-cache" in directives or "no-store" in directives:
        return None
    max_age = _digits(directives.get("max-age", ""))
    if max_age is None:
        fresh = _until(headers.get("expires", ""), headers, now)
    else:
        # A shared cache may have held the response for a part of its life already.
        fresh = max_age - (_digits(headers.get("age", "")) or 0.0)
    return min(fresh, MAX_FRESHNESS_S) if fresh is not None and fresh > 0.0 else None


def _digits(value: str) -> float | None:
    """Return a header's non-negative number, or None; huge ones become infinity, then the cap."""
    if not (value.isascii() and value.replace(".", "", 1).isdigit()):
        return None
    return float(value) if len(value) < 300 else math.inf  # float() overflows quietly at 1e308


def _until(value: str, headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds until an HTTP date, on the server's own clock when it sent ``Date``."""
    then = _http_date(value)
    if then is None:
        return None
    return then - _server_now(headers, now)


def _server_now(headers: Mapping[str, str], now: float) -> float:
    """Return the time by the server's own clock, or ours when it does not tell."""
    server_now = _http_date(headers.get("date", ""))
    return now if server_now is None else server_now


def _http_date(value: str) -> float | None:
    """Return an HTTP date as Unix seconds, or None when it is not one."""
    try:
        when = parsedate_to_datetime(value)
        if when.tzinfo is None:  # "-0000" and missing zones: HTTP dates are UTC
            when = when.replace(tzinfo=timezone.utc)
        return when.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
