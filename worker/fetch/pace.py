"""How slowly a body may come in before its connection is given up.

One job: judge sizes and times. A server that lets a byte fall now and then would else hold a turn at its
host, and one of the requests in flight, until the wall clock ends it. Called by fetch/client.
"""

from worker.errors import FetchError

# dnf gives up at the same speed (dnf.conf, minrate). What is all there within a stretch may come at any
# speed, and what is larger than 30 kB would at this one not come within `fetch.feed_timeout_s` anyway.
LEAST_BYTES_PER_S = 1_000
STRETCH_S = 10.0  # a third of that; a shorter pause is no drip


class Pace:
    """The pace of one body, judged over one stretch of time after the other."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._taken = 0

    def took(self, size: int, now: float) -> None:
        """Note that so many bytes, as they were sent, came in at a time in seconds, of any steady clock.

        Silence before the first ones is not counted: a server that thinks is the wall clock's business.

        Raises:
            FetchError: since the stretch began, at least STRETCH_S ago, they came too slowly.
        """
        if self._since is None:
            self._since = now
            return
        self._taken += size
        lasted_s = now - self._since
        if lasted_s < STRETCH_S:
            return
        if self._taken < LEAST_BYTES_PER_S * lasted_s:
            raise FetchError(f"the body comes at {self._taken / lasted_s:.0f} bytes a second")
        self._since, self._taken = now, 0
