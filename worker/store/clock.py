"""The time that leases, schedules and articles go by: Redis's, the same on every machine.

Nothing here is told by a machine's own clock, which may be wrong, be set, or jump: an hour ahead for a
moment, it would leave entries leased and feeds waiting for an hour.
"""

import time

import redis

from worker.errors import StoreError
from worker.store.client import store_errors


class RedisClock:
    """Call it for Unix seconds: what Redis said when it was asked last, and what has passed since.

    Until Redis answered once, it is this machine's time that goes on.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._ahead = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Return the time. Never asks Redis."""
        return self._ahead + time.monotonic()

    def sync(self) -> bool:
        """Ask Redis; return whether it answered. Cost: one round trip."""
        before = time.monotonic()
        try:
            with store_errors():
                seconds, micros = self._client.time()
        except StoreError:
            return False
        self._ahead = seconds + micros / 1e6 - (before + time.monotonic()) / 2
        return True
