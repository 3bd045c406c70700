"""When to try a failed entry again."""

# A slow disk or a lost race is over in a second; a host that is down takes longer. Five attempts
# then span half a minute.
FIRST_S = 2.0


def retry_at(now: float, *, attempt: int) -> float:
    """Return when the next attempt is due: the wait doubles with each attempt, from FIRST_S.

    Args:
        now: Unix seconds.
        attempt: the one that failed, 1 for the first.
    """
    return now + FIRST_S * 2.0 ** (attempt - 1)
