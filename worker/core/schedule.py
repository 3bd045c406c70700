"""When a feed may be asked again: reading the server's wishes and adding our own patience.

Pure: the time and the jitter number are arguments. Called by steps/poll and fetch/client.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime

# A server that asks for more than a week has made a mistake or has gone; either way a person should
# see the feed come back. FreshRSS caps at 2 d and is criticised for it (FreshRSS#7920).
MAX_RETRY_AFTER_S = 7 * 86_400.0
# Static file servers send max-age of a month or a year for a feed that changes hourly; honouring
# that would silence it. A day is the longest wait that the politeness rules ask of a reader for a
# server without validators (rachelbythebay.com/w/feed).
MAX_FRESHNESS_S = 86_400.0
# 2**16 base intervals are years: past every max_interval_s, and far from overflowing a float.
_MAX_DOUBLINGS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """How often feeds are asked when their servers do not mind."""

    interval_s: float  # between polls of a healthy feed
    min_interval_s: float  # never sooner than this
    max_interval_s: float  # our own back-off stops growing here
    jitter: float  # share of the wait added at most, so that feeds drift apart; 0.1 = a tenth


def next_poll_at(
    now: float, policy: PollPolicy, *, wish_s: float | None, failures: int, draw: float
) -> float:
    """Return the Unix time of the next poll.

    Args:
        now: Unix seconds.
        policy: the intervals.
        wish_s: seconds that the server or the feed asked to wait; a lower bound, None when silent.
        failures: failed polls in a row; each doubles the interval.
        draw: a number in [0, 1) that places this feed inside the jitter.

    The wait is never shortened by jitter, so a server's wish holds exactly as a lower bound.
    """
    doubled = policy.interval_s * 2.0 ** min(max(failures, 0), _MAX_DOUBLINGS)
    wait = max(policy.min_interval_s, min(doubled, policy.max_interval_s), wish_s or 0.0)
    return now + wait * (1.0 + policy.jitter * draw)


def spread_poll_at(now: float, interval_s: float, *, draw: float) -> float:
    """Return when a feed of which nothing is known is polled first, among many others.

    Spread over one interval, as many come due at any time as when all had been polled for long.
    """
    return now + interval_s * draw


def server_wish_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a response asks to wait, or None when it asks nothing.

    Retry-After comes first (429 and 503 carry it), then Cache-Control max-age, then Expires. The
    header names must be in lower case. Source: RFC 9110 section 10.2.3, RFC 9111 section 4.2.1.
    """
    retry = retry_after_s(headers, now)
    return retry if retry is not None else _freshness_s(headers, now)


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return Retry-After in seconds from now, within [0, MAX_RETRY_AFTER_S], or None."""
    value = headers.get("retry-after", "").strip()
    wait = _digits(value)
    if wait is None:
        wait = _until(value, headers, now)
    return None if wait is None else min(max(wait, 0.0), MAX_RETRY_AFTER_S)


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
    server_now = _http_date(headers.get("date", ""))
    return then - (now if server_now is None else server_now)


def _http_date(value: str) -> float | None:
    """Return an HTTP date as Unix seconds, or None when it is not one."""
    try:
        when = parsedate_to_datetime(value)
        if when.tzinfo is None:  # "-0000" and missing zones: HTTP dates are UTC
            when = when.replace(tzinfo=timezone.utc)
        return when.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
