"""What is wrong with a feed: it always fails, fell silent, lost its dates, or brings too much.

Pure. Called by steps/poll and the command line.
"""

from collections.abc import Iterable
from dataclasses import replace
from enum import Enum

from worker.core.rhythm import DAY_S, FADES, changes_a_day, is_known
from worker.model import Dates, Feed

# With waits that double from an hour, the fifth failure in a row comes after more than a day.
MANY_FAILURES = 5
# Changes at a rate that would bring seven fail to come by chance once in a thousand times (Poisson).
# Many feeds rest on weekends, and on the holiday beside.
MISSED, REST_S = 7.0, 3 * DAY_S


class Ailment(str, Enum):
    """What is wrong with a feed."""

    FAILING = "failing"
    SILENT = "silent"
    UNDATED = "undated"
    FLOODING = "flooding"


def ailments(feed: Feed) -> tuple[Ailment, ...]:
    """Return what is wrong with a feed; nothing for one that is well, or of which little is known."""
    found = {
        Ailment.FAILING: feed.gone or feed.failures >= MANY_FAILURES,
        Ailment.SILENT: missed_changes(feed) >= MISSED and _quiet_s(feed) >= REST_S,
        Ailment.UNDATED: feed.dates is Dates.LOST,
        Ailment.FLOODING: feed.left_out > 0,
    }
    return tuple(ailment for ailment, there in found.items() if there)


def missed_changes(feed: Feed) -> float:
    """Return how many changes would have come since the last one at the feed's pace until then.

    Polls that failed do not count as silence. A feed that is silent for a year has lost its rhythm.
    """
    then = replace(feed.rhythm, until=feed.changed_at)
    if _quiet_s(feed) <= 0.0 or not is_known(then):
        return 0.0
    faded = FADES ** (int(feed.rhythm.until // DAY_S) - int(feed.changed_at // DAY_S))
    return changes_a_day(then) / faded * _quiet_s(feed) / DAY_S


def dates_after(before: Dates, published: Iterable[float | None]) -> Dates:
    """Return whether a feed's entries carry dates, after a document with these."""
    published = tuple(published)
    if not published:
        return before
    if any(at is not None for at in published):
        return Dates.GIVEN
    return Dates.NONE if before is Dates.NONE else Dates.LOST


def _quiet_s(feed: Feed) -> float:
    return feed.rhythm.until - feed.changed_at
