"""When a feed is polled next, why, and what is wrong with it, in words."""

from collections.abc import Sequence

from worker.cli.common import iso, printable
from worker.cli.show import many, span
from worker.core.health import Ailment, ailments, missed_changes
from worker.core.redaction import public_part
from worker.core.rhythm import changes_a_day, is_known
from worker.core.websub import Subscription
from worker.model import Dates, Feed, Rhythm, Why
from worker.settings import PollSettings

MOST = 0.8  # of what comes; the hours in which so much comes are those that are named
HARDLY = 0.05  # changes a day: less than one in three weeks
_HOURS = 24


def because(feed: Feed, poll: PollSettings) -> str:
    """Say what decided when a feed is polled next."""
    if feed.why is None:
        return "it was not polled yet"
    shortest, longest = span(poll.interval_s), span(poll.unconditional_interval_s)
    return {
        Why.NEW: f"little is known of it yet: once in {shortest} (poll.interval_s)",
        Why.RHYTHM: f"its own rhythm: {habits(feed.rhythm)}",
        Why.ASKED: "its server asked to wait (Retry-After, or a rate limit that is used up)",
        Why.FRESH: "its server calls the answer fresh until then (max-age, or Expires)",
        Why.FEED: f"it asks for {span(feed.wishes.every_s)} between polls (ttl, or updatePeriod)",
        Why.SKIPPED: "it asks to leave out the hours before (skipHours, skipDays)",
        Why.FAILURES: f"back-off after {many(feed.failures, 'failure')} in a row",
        Why.UNCONDITIONAL: (
            "its server gives neither ETag nor Last-Modified, so each poll costs the whole document: "
            f"once in {longest} (poll.unconditional_interval_s)"
        ),
        Why.PUSHED: "its hub says that there is something new; sooner than that it may not be asked",
        Why.MOVED: f"it has moved to the address of feed {feed.same_as}, which is polled instead",
        Why.GONE: "its server said 410 Gone: it is never polled again",
    }[feed.why]


def habits(rhythm: Rhythm) -> str:
    """Say how often and at what hours a feed changes; empty when too little is known."""
    if not is_known(rhythm):
        return ""
    a_day = changes_a_day(rhythm)
    if a_day < HARDLY:
        return "hardly anything new"
    often = f"something new in {a_day:.1f} hours of a day"
    begin, length = _busy_hours(rhythm.changes)
    if length > _HOURS * MOST:
        return f"{often}, at any time"
    end = (begin + length) % _HOURS
    return f"{often}, most of it from {begin:02d}:00 to {end:02d}:00 UTC"


def pushes(sub: Subscription | None, now: float) -> str:
    """Say what has come of asking a feed's hub for pushes; empty where there is none to ask."""
    if sub is None:
        return ""
    hub = public_part(sub.topic.hub)
    if sub.denied:
        return f"{hub} refuses: {printable(sub.denied)}"
    if sub.lease_until > now:
        last = f"the last {span(now - sub.pushed_at)} ago" if sub.pushed_at else "none so far"
        return f"from {hub} for {span(sub.lease_until - now)} more; {last}"
    if sub.error:
        return f"{hub} is asked again: {printable(sub.error)}"
    if not sub.asked_at:
        return f"{hub} is asked for them soon"
    return f"{hub} was asked {span(now - sub.asked_at)} ago, and has not confirmed"


def complaints(feed: Feed) -> list[str]:
    """Say what is wrong with a feed, a line each; the error of a last poll that failed is one."""
    found = ailments(feed)
    lines = [_complaint(feed, ailment) for ailment in found]
    return lines if Ailment.FAILING in found or not feed.error else [printable(feed.error), *lines]


def _complaint(feed: Feed, ailment: Ailment) -> str:
    match ailment:
        case Ailment.FAILING:
            return f"failing: {printable(feed.error)}"
        case Ailment.SILENT:
            since = iso(feed.changed_at)[:10]
            return f"silent since {since}: some {missed_changes(feed):.0f} changes would have come"
        case Ailment.UNDATED:
            return "undated: its entries had dates and have none any more"
        case Ailment.FLOODING:
            return (
                f"flooding: {feed.left_out} new at its last poll were left for later ones "
                "(poll.max_new_a_day)"
            )


def facts(feed: Feed, poll: PollSettings) -> dict[str, object]:
    """Return the same for programs."""
    known = is_known(feed.rhythm)
    return {
        "why": feed.why.value if feed.why else None,
        "because": because(feed, poll),
        "conditional": feed.validators.given,
        "changes_a_day": round(changes_a_day(feed.rhythm), 2) if known else None,
        "dated": feed.dates is Dates.GIVEN,
        "left_out": feed.left_out,
        "sick": [ailment.value for ailment in ailments(feed)],
    }


def _busy_hours(changes: Sequence[float]) -> tuple[int, int]:
    """Return where the shortest run of hours begins that has MOST of the changes, and its length."""
    total = sum(changes)
    for length in range(1, _HOURS):
        sums = [
            sum(changes[(begin + step) % _HOURS] for step in range(length))
            for begin in range(_HOURS)
        ]
        if max(sums) >= MOST * total:
            return sums.index(max(sums)), length
    return 0, _HOURS
