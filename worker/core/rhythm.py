"""When a feed changes: how often, and at what time of day.

Pure. Counted are the hours in which something new came, by hour of day (UTC), older ones less. An entry
with a believable time of its own counts in its hour, so that what is learned does not depend on when
we asked. Called by steps/poll and core/health.
"""

from collections.abc import Iterable, Iterator

from worker.model import Rhythm

HOUR_S, DAY_S, DAY_HOURS = 3_600.0, 86_400.0, 24
# What was a day ago counts by so much less: half after a fortnight, so that both halves of a week
# weigh alike and a new habit is known within a month. 7 and 28 days did as well (docs/decisions.md).
FADES = 0.5 ** (1 / 14)
# In less than two whole days nobody has seen a night twice.
KNOWN_S = 2 * DAY_S


def watched_days(rhythm: Rhythm) -> float:
    """Return how long a feed was watched, in days that fade as its changes do."""
    whole = int(rhythm.until // DAY_S) - int(rhythm.since // DAY_S)
    if whole <= 0:
        return max(0.0, rhythm.until - rhythm.since) / DAY_S
    first, last = 1.0 - rhythm.since / DAY_S % 1.0, rhythm.until / DAY_S % 1.0
    between = FADES * (1.0 - FADES ** (whole - 1)) / (1.0 - FADES)
    return last + between + FADES**whole * first


def is_known(rhythm: Rhythm) -> bool:
    """Say whether a feed was watched for long enough to tell its habits."""
    return rhythm.until - rhythm.since >= KNOWN_S


def changes_a_day(rhythm: Rhythm) -> float:
    """Return in how many hours of a day something new came."""
    days = watched_days(rhythm)
    return sum(rhythm.changes) / days if days else 0.0


def watched(rhythm: Rhythm, now: float, new: Iterable[float | None]) -> Rhythm:
    """Return the rhythm after a poll that went well.

    Args:
        rhythm: what was known before.
        now: Unix seconds.
        new: when the entries that were not listed before were published; None where it is not said.

    What the first response lists is old news: it only begins the watch. A time before the last poll
    or after this one tells nothing, and neither does midnight, which stands for a day: without others,
    the change may have come at any time between the polls.
    """
    if not rhythm.since or now < rhythm.until:  # a clock that was set back begins anew
        return Rhythm(since=now, until=now)
    new = tuple(new)
    fade = FADES ** (int(now // DAY_S) - int(rhythm.until // DAY_S))
    changes = [count * fade for count in rhythm.changes]
    told = {int(at // HOUR_S) for at in new if at and rhythm.until < at <= now and at % DAY_S}
    for hour in told:
        changes[hour % DAY_HOURS] += 1.0
    if new and not told:
        for hour, share in _hours(max(rhythm.until, now - DAY_S), now):
            changes[hour] += share
    return Rhythm(since=rhythm.since, until=now, changes=tuple(changes))


def own_wait_s(rhythm: Rhythm, now: float, *, interval_s: float, most_s: float) -> float | None:
    """Return how long a feed may wait by its own rhythm, within [interval_s, most_s].

    The poll comes when all that is new since ``now`` has waited to be seen, in sum and as far as can be
    expected, for half of ``interval_s``: as long as what comes once an interval waits when it is asked
    for once an interval. At an even rate r that is after sqrt(interval_s / r), which shares a number of
    polls among feeds so that the sum of all delays is least; and in hours in which nothing comes, there
    is no poll. Source: Sia, Cho and Cho, Efficient monitoring algorithm for fast news alerts (2007).

    Args:
        rhythm: what was seen.
        now: Unix seconds, of the last poll.
        interval_s: the shortest wait.
        most_s: the longest.
    Returns: seconds; None when too little is known.
    Cost: O(most_s in hours).
    """
    if not is_known(rhythm):
        return None
    days = watched_days(rhythm)
    left, unseen, wait = 0.5 * interval_s, 0.0, 0.0  # of the sum; new and not seen; since now
    while wait < most_s:
        hour = int((now + wait) // HOUR_S) % DAY_HOURS
        # One change more than were seen, at any hour: what never changed may still do so.
        rate = (rhythm.changes[hour] + 1.0 / DAY_HOURS) / days / HOUR_S
        step = min(HOUR_S - (now + wait) % HOUR_S, most_s - wait)
        delay = unseen * step + 0.5 * rate * step * step
        if delay >= left:
            wait += ((unseen * unseen + 2.0 * rate * left) ** 0.5 - unseen) / rate
            break
        left, unseen, wait = left - delay, unseen + rate * step, wait + step
    return min(max(wait, interval_s), most_s)


def _hours(begin: float, end: float) -> Iterator[tuple[int, float]]:
    """Yield the hours of day between two times, at most a day apart, each with its share."""
    at = begin
    while at < end:
        next_at = min((at // HOUR_S + 1.0) * HOUR_S, end)
        yield int(at // HOUR_S) % DAY_HOURS, (next_at - at) / (end - begin)
        at = next_at
