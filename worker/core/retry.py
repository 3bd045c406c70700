"""When to try again what failed: an entry, a lost Redis, a process that ended."""

from collections.abc import Iterator

# A slow disk or a lost race is over in a second; a host that is down takes longer. Five attempts
# then span half a minute.
FIRST_S = 2.0
# A server that restarts is back within a second. One that stays away is asked every five seconds: a
# role that was started anew meanwhile is then at work well within 15 s of its return.
FIRST_BACK_OFF_S = 0.5
LONGEST_BACK_OFF_S = 5.0


def retry_at(now: float, *, attempt: int) -> float:
    """Return when the next attempt is due: the wait doubles with each attempt, from FIRST_S.

    Args:
        now: Unix seconds.
        attempt: the one that failed, 1 for the first.
    """
    return now + FIRST_S * 2.0 ** (attempt - 1)


def back_offs() -> Iterator[float]:
    """Yield the seconds to wait after each failure in a row: doubling, up to LONGEST_BACK_OFF_S."""
    wait = FIRST_BACK_OFF_S
    while True:
        yield wait
        wait = min(2.0 * wait, LONGEST_BACK_OFF_S)
