"""When to try again what failed: an entry, a lost Redis, a process that ended."""

from collections.abc import Iterator

# A slow disk or a lost race is over in a second; a host that is down takes longer. Five attempts
# then span half a minute.
FIRST_S = 2.0
# A server may wish for a longer wait than ours, but not for one that looks like silence for ever: news
# of an hour ago with its summary beats news of tomorrow with its page.
LONGEST_WISH_S = 3_600.0
# A server that restarts is back within a second. One that stays away is asked every five seconds: a
# role that was started anew meanwhile is then at work well within 15 s of its return.
FIRST_BACK_OFF_S = 0.5
LONGEST_BACK_OFF_S = 5.0


def retry_at(now: float, *, attempt: int, wish_s: float | None = None) -> float:
    """Return when the next attempt is due: the wait doubles with each attempt, from FIRST_S.

    Args:
        now: Unix seconds.
        attempt: the one that failed, 1 for the first.
        wish_s: how long the server asked to wait; a longer wish than our own wait counts, up to
            LONGEST_WISH_S.
    """
    return now + max(FIRST_S * 2.0 ** (attempt - 1), min(wish_s or 0.0, LONGEST_WISH_S))


def back_offs() -> Iterator[float]:
    """Yield the seconds to wait after each failure in a row: doubling, up to LONGEST_BACK_OFF_S."""
    wait = FIRST_BACK_OFF_S
    while True:
        yield wait
        wait = min(2.0 * wait, LONGEST_BACK_OFF_S)
