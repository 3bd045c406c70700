"""When a feed is polled next, and what decided it: its server's wishes, its own, and our patience.

Pure: the time and the jitter number are arguments. Called by steps/poll, steps/following and the
command line.
"""

from dataclasses import dataclass, field

from worker.core.rhythm import HOUR_S, own_wait_s
from worker.core.wishes import first_allowed
from worker.model import Feed, FeedWishes, Why, Wish

# 2**16 base intervals are years: past every max_interval_s, and far from overflowing a float.
_MAX_DOUBLINGS = 16
# Feeds of one reader may all come at once when he adds them: he waits for them, and each host waits its
# turn anyhow. A list that is longer makes no hour busier than any other.
FEW = 256
# A poller that keeps up is late by seconds, and one that is started anew by less than a minute.
LATE_S = 60.0
# What came due in an hour is caught up with in an hour and a quarter, so that servers, and we, see 1.8
# times the usual polls; a feed that comes due again before that is placed in .6 of its wait: 1.7 times.
_CATCH_UP, _CATCH_UP_SHARE = 1.25, 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """How often feeds are asked when their servers do not mind."""

    interval_s: float  # between polls of a feed that changes often, or of which little is known
    min_interval_s: float  # never sooner than this
    max_interval_s: float  # neither a feed's rhythm nor our back-off waits longer
    unconditional_interval_s: float  # between polls of a feed whose server gives no validators
    jitter: float  # share of the wait added at most, so that feeds drift apart; 0.1 = a tenth


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a feed when a poll has ended."""

    failures: int = 0  # failed polls in a row
    server: Wish | None = None  # what the response asked for
    feed: FeedWishes = field(default_factory=FeedWishes)
    own_s: float | None = None  # the wait by its own rhythm; None: too little is known
    unconditional: bool = False  # its last document came without validators


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The next poll."""

    at: float  # Unix seconds
    why: Why


def standing_of(feed: Feed, wish: Wish | None, now: float, policy: PollPolicy) -> Standing:
    """Return what is known of a feed after a poll whose response asked for ``wish``."""
    return Standing(
        failures=feed.failures,
        server=wish,
        feed=feed.wishes,
        own_s=own_wait_s(
            feed.rhythm, now, interval_s=policy.interval_s, most_s=policy.max_interval_s
        ),
        unconditional=feed.rhythm.until > 0.0 and not feed.validators.given,
    )


def next_poll(now: float, policy: PollPolicy, standing: Standing, *, draw: float) -> Plan:
    """Return when a feed is polled next, and what decided it: the longest of all waits.

    Args:
        now: Unix seconds.
        policy: the intervals.
        standing: what is known of the feed.
        draw: a number in [0, 1) that places this feed inside the jitter.

    The wait is never shortened, neither by jitter nor by hours that are left out, so every wish holds
    exactly as a lower bound.
    """
    own = (
        Wish(seconds=policy.interval_s, why=Why.NEW)
        if standing.own_s is None
        else Wish(seconds=standing.own_s, why=Why.RHYTHM)
    )
    waits = [own, *_asked_waits(policy, standing)]
    longest = max(waits, key=lambda wish: wish.seconds)
    at = now + max(longest.seconds, policy.min_interval_s) * (1.0 + policy.jitter * draw)
    allowed_at = _allowed_at(at, standing.feed, draw)
    return Plan(at=allowed_at, why=longest.why if allowed_at == at else Why.SKIPPED)


def soonest_poll_at(now: float, policy: PollPolicy, standing: Standing) -> float:
    """Return from when on a feed may be polled that is said to have something new.

    News shorten the wait that is a guess of ours, but none that the server or the feed asked for, nor
    those that protect them: the least interval, the back-off, the day without validators.
    """
    waits = [wish.seconds for wish in _asked_waits(policy, standing)]
    return first_allowed(now + max(policy.min_interval_s, *waits), standing.feed)


def _asked_waits(policy: PollPolicy, standing: Standing) -> list[Wish]:
    """Return the waits that are owed to a feed's server; none is a guess of ours."""
    waits = []
    if standing.failures > 0:
        doubled = policy.interval_s * 2.0 ** min(standing.failures, _MAX_DOUBLINGS)
        waits.append(Wish(seconds=min(doubled, policy.max_interval_s), why=Why.FAILURES))
    if standing.unconditional:
        waits.append(Wish(seconds=policy.unconditional_interval_s, why=Why.UNCONDITIONAL))
    waits.append(Wish(seconds=standing.feed.every_s, why=Why.FEED))
    if standing.server is not None:
        waits.append(standing.server)
    return waits


def first_poll_at(now: float, interval_s: float, *, count: int, draw: float) -> float:
    """Return when a feed is polled first that was added as one of ``count``."""
    return now if count <= FEW else spread_poll_at(now, interval_s, draw=draw)


def spread_poll_at(now: float, interval_s: float, *, draw: float) -> float:
    """Return when a feed of which nothing is known is polled first, among many others.

    Spread over one interval, as many come due at any time as when all had been polled for long.
    """
    return now + interval_s * draw


def caught_up_at(
    now: float, due_at: float, wait_s: float, wishes: FeedWishes, *, many: bool, draw: float
) -> float:
    """Return when a feed is polled that came due while nobody polled.

    Args:
        now: Unix seconds.
        due_at: when it should have been polled.
        wait_s: what it waits between polls.
        wishes: what it asks for; its hours hold for a late poll, too.
        many: whether more than ``FEW`` feeds are late: a few are asked at once.
        draw: a number in [0, 1) that places it among others.

    Of many, one that is late by l seconds waits 1.25 l more: they come in reverse, and as evenly as
    they came due.
    """
    again_s = _CATCH_UP * (now - due_at) if many else 0.0
    most_s = _CATCH_UP_SHARE * wait_s
    at = now + (again_s if again_s <= most_s else most_s * draw + 1.0)  # all must go on
    return _allowed_at(at, wishes, draw)


def _allowed_at(at: float, wishes: FeedWishes, draw: float) -> float:
    """Return when a feed may be polled: at a time, or in the first hour after it that it leaves open."""
    allowed = first_allowed(at, wishes)
    # Not all at the full hour, and none in the next one by rounding.
    return allowed + (HOUR_S - 1.0) * draw if allowed > at else at
