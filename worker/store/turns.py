"""Whose turn it is at a host: what all pollers of a namespace agree on.

A turn is one key that ends by itself: while a request is under way its holder's token, then nothing
until the gap is over. Redis's own time counts, so pollers need no common clock.
"""

import math

import redis

from worker.store.keys import Keys
from worker.store.scripts import Scripts

# How often one looks whether another poller's request has ended: as often as most requests take.
LOOK_S = 0.25


class Turns:
    """The turns of one namespace."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._scripts = Scripts(client)
        self._keys = keys

    def take(self, lane: str, token: str, *, lease_s: float) -> float:
        """Return 0 when the turn was taken, else after how many seconds to ask again.

        Who has it keeps it so, for ``lease_s`` from now on.

        Args:
            lane: the host, or whatever shares a turn.
            token: proves the turn; another one for each request.
            lease_s: how long a holder that died keeps it.

        Raises:
            StoreError: Redis did not answer.
        """
        arguments = {"token": token, "lease_ms": int(lease_s * 1_000)}
        left_ms = int(self._scripts.run("turn_take", [self._keys.turn(lane)], arguments))
        return LOOK_S if left_ms < 0 else left_ms / 1_000

    def give_back(self, lane: str, token: str, *, left_s: float) -> None:
        """Give a turn back; the next one may be taken when ``left_s`` have passed.

        Raises:
            StoreError: Redis did not answer.
        """
        arguments = {"token": token, "left_ms": max(math.ceil(left_s * 1_000), 0)}
        self._scripts.run("turn_give_back", [self._keys.turn(lane)], arguments)
