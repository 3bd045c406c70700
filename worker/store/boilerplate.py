"""The newest lines of each publisher, as one small value a publisher.

Two workers that handle one publisher at once may lose one article's lines: the next pages bring
the same boilerplate again. Safe to repeat.
"""

from typing import NamedTuple

import redis

from worker.store.client import store_errors
from worker.store.keys import Keys

LINES_TTL_S = 7 * 86_400  # a publisher that was silent for a week starts anew


class Ring(NamedTuple):
    """A publisher's newest lines, as core.boilerplate has them."""

    source: str
    lines: bytes


class Rings:
    """The rings of one namespace; core.boilerplate knows what is in them."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @store_errors()
    def get(self, source: str) -> bytes:
        """Return a publisher's ring, empty when there is none. Cost: one round trip, 8 kB."""
        return bytes(self._client.get(self._keys.lines(source)) or b"")

    @store_errors()
    def put(self, ring: Ring) -> None:
        """Keep a publisher's ring. Cost: one round trip, 8 kB."""
        self._client.set(self._keys.lines(ring.source), ring.lines, ex=LINES_TTL_S)
