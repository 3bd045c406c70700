"""The time that leases, schedules and articles go by: Redis's, the same on every machine.

Nothing here is told by a machine's own clock, which may be wrong, be set, or jump: an hour ahead for a
moment, it would leave entries leased and feeds waiting for an hour.
"""

import math
import time

import redis

from worker.errors import StoreError
from worker.store.client import store_errors

# Between two questions; a monotonic clock drifts by some microseconds in that time.
SYNC_S = 1.0


class RedisClock:
    """Call it for Unix seconds: what Redis said when it was asked last, and what has passed since.

    Until Redis answered once, it is this machine's time that goes on.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._ahead = time.time() - time.monotonic()
        self._asked = -math.inf

    def __call__(self) -> float:
        """Return the time. Never asks Redis."""
        return self._ahead + time.monotonic()

    def sync(self) -> bool:
        """Ask Redis, unless it was asked within SYNC_S; return whether it answered.

        Cost: one round trip at most.
        """
        before = time.monotonic()
        if before - self._asked < SYNC_S:
            return True
        try:
            with store_errors():
                seconds, micros = self._client.time()
        except StoreError:
            return False
        self._ahead = seconds + micros / 1e6 - (before + time.monotonic()) / 2
        self._asked = before
        return True
