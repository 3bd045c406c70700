"""Whose turn it is at a host: what all pollers of a namespace agree on.

A turn is one key that ends by itself: while a request is under way its holder's token, then nothing
until the gap is over. Redis's own time counts, so pollers need no common clock.
"""

import math
from collections.abc import Sequence

import redis

from worker.errors import StoreError
from worker.model import TurnAsk
from worker.store.keys import Keys
from worker.store.scripts import Call, Scripts

# How often one looks whether another poller's request has ended: as often as most requests take.
LOOK_S = 0.25


class Turns:
    """The turns of one namespace."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._scripts = Scripts(client)
        self._keys = keys

    def ask_all(self, asks: Sequence[TurnAsk]) -> list[float | StoreError]:
        """Take, keep and give back turns, in their order.

        Returns: of each 0 when that is done, else after how many seconds to ask again. What is given
            back was done, be it that the turn was another one's by then. Or Redis's refusal.

        Raises:
            StoreError: Redis did not answer.
        Cost: one round trip.
        """
        answers = self._scripts.run_all([self._call(ask) for ask in asks])
        return [
            answer if isinstance(answer, StoreError) else _wait_s(ask, int(answer))
            for ask, answer in zip(asks, answers, strict=True)
        ]

    def _call(self, ask: TurnAsk) -> Call:
        keys = [self._keys.turn(ask.lane)]
        if ask.lease_s:
            lease_ms = int(ask.lease_s * 1_000)
            return Call("turn_take", keys, {"token": ask.token, "lease_ms": lease_ms})
        left_ms = max(math.ceil(ask.left_s * 1_000), 0)
        return Call("turn_give_back", keys, {"token": ask.token, "left_ms": left_ms})


def _wait_s(ask: TurnAsk, answer: int) -> float:
    """Return what a script's answer means."""
    if not ask.lease_s:
        return 0.0
    return LOOK_S if answer < 0 else answer / 1_000
