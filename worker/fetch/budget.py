"""Patience with hosts: one request in flight to each, and a gap between starts.

One job: make a thousand feeds on one host as polite as one. Called by fetch/client.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_SWEEP_AT = 256  # hosts remembered before the first look for idle ones


@dataclass(slots=True)
class _Lane:
    """What is known of one host."""

    gap_s: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0  # requests in flight or waiting
    started_at: float = -math.inf  # the last one

    @property
    def free_at(self) -> float:
        """When the next request may start."""
        return self.started_at + self.gap_s


class HostBudget:
    """Hands out turns, host by host, first come first served."""

    def __init__(
        self,
        gap_s: float,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Set the least gap between starts in seconds; ``clock`` must not run backwards."""
        self._gap_s = gap_s
        self._clock = clock
        self._sleep = sleep
        self._lanes: dict[str, _Lane] = {}
        self._sweep_at = _SWEEP_AT

    def __len__(self) -> int:
        """Return the number of hosts remembered."""
        return len(self._lanes)

    @asynccontextmanager
    async def slot(self, host: str, wish_s: float | None = None) -> AsyncIterator[None]:
        """Wait for the host's turn, and hold it for the body of the ``async with``.

        Args:
            host: whose turn.
            wish_s: the gap that the host asks for; None for what it asked for last.
        """
        self._forget_idle()
        lane = self._lanes.setdefault(host, _Lane(self._gap_s))
        lane.users += 1
        if wish_s is not None:
            lane.gap_s = max(self._gap_s, wish_s)
        try:
            async with lane.lock:
                wait = lane.free_at - self._clock()
                if wait > 0.0:
                    await self._sleep(wait)
                lane.started_at = self._clock()
                yield
        finally:
            lane.users -= 1

    def _forget_idle(self) -> None:
        """Drop hosts that nobody waits for and whose gap is over.

        Cost: O(1) amortised: the next look comes when the number has doubled.
        """
        if len(self._lanes) < self._sweep_at:
            return
        now = self._clock()
        self._lanes = {
            host: lane for host, lane in self._lanes.items() if lane.users or lane.free_at > now
        }
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._lanes))
