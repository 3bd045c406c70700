"""Patience with hosts: one request in flight to each, and a gap between starts.

One job: make a thousand feeds on one host as polite as one, and several pollers as polite as one of
them. Called by fetch/client.
"""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from worker.bundles import Bundles
from worker.core.retry import back_offs
from worker.errors import StoreError
from worker.model import TurnAsk

_SWEEP_AT = 256  # hosts remembered before the first look for idle ones
# A poller that died keeps its turns for so long, about what it takes to start it anew; one that lives
# renews them thrice as often.
LEASE_S = 3.0
# So long, and so many, wait here for one host. One that is slower than it has feeds must not fill what a
# poller can hold, of which this is an eighth; one that is fast is done with as many in seconds.
MOST_WAIT_S = 60.0
MOST_WAITING = 512
_LATEST_S = 86_400.0  # nobody is sent away for longer


class Turns(Protocol):
    """What pollers agree on: who may ask a host now."""

    def ask_all(self, asks: Sequence[TurnAsk]) -> Sequence[float | StoreError]:
        """Return of each ask, in their order, 0 when it is done, else when to ask again, in seconds."""


_Asked = Bundles[TurnAsk, float]


@dataclass(slots=True)
class _Lane:
    """What is known here of one host."""

    gap_s: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0  # requests in flight or waiting
    started_at: float = -math.inf  # the last one
    turn_s: float = 0.1  # what the last one took; of most requests
    booked_to: float = -math.inf  # the last time that somebody was sent away to

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
        *,
        turns: Turns | None = None,
    ) -> None:
        """Begin with no host known.

        Args:
            gap_s: the least gap between starts in seconds.
            clock: seconds; must not run backwards.
            sleep: waits.
            turns: shared with other pollers; None where there are none.
        """
        self._gap_s = gap_s
        self._clock = clock
        self._sleep = sleep
        self._turns = None if turns is None else Bundles(turns.ask_all)
        self._held: dict[str, str] = {}  # the token of each turn in hand
        self._keeping: asyncio.Task[None] | None = None
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
                async with self._agreed(host, lane):
                    yield
                lane.turn_s = self._clock() - lane.started_at
        finally:
            lane.users -= 1

    def full_for_s(self, host: str) -> float:
        """Return 0 when one more may wait here for the host's turn, else in how many seconds to come again.

        Who is sent away has a time booked: a thousand that come together come again one by one.
        """
        lane = self._lanes.get(host)
        if lane is None:
            return 0.0
        now, turn_s = self._clock(), max(lane.gap_s, lane.turn_s)
        if lane.users < MOST_WAITING and lane.users * turn_s < MOST_WAIT_S:
            return 0.0
        lane.booked_to = max(lane.booked_to, now + lane.users * turn_s) + turn_s
        return min(lane.booked_to - now, _LATEST_S)

    @asynccontextmanager
    async def _agreed(self, host: str, lane: _Lane) -> AsyncIterator[None]:
        """Hold the turn that all pollers share, too."""
        if self._turns is None:
            lane.started_at = self._clock()
            yield
            return
        token = secrets.token_hex(4)
        await self._take(self._turns, host, token)
        lane.started_at = self._clock()
        self._held[host] = token
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(self._turns))
        try:
            yield
        finally:
            del self._held[host]  # what _keep asked for stands before this in the bundles
            left_s = lane.free_at - self._clock()
            with suppress(StoreError):  # its lease ends by itself
                await self._turns.ask(TurnAsk(lane=host, token=token, left_s=left_s))

    async def _take(self, turns: _Asked, host: str, token: str) -> None:
        waits = back_offs()
        while True:
            try:
                wait_s = await turns.ask(TurnAsk(lane=host, token=token, lease_s=LEASE_S))
            except StoreError:
                wait_s = next(waits)  # without Redis, nothing could be done with the answer
            if wait_s <= 0.0:
                return
            await self._sleep(wait_s)

    async def _keep(self, turns: _Asked) -> None:
        """Keep the turns in hand while there are any; who took one after a lost lease has it."""
        while self._held:
            await asyncio.sleep(LEASE_S / 3)
            asks = [TurnAsk(lane=h, token=t, lease_s=LEASE_S) for h, t in self._held.items()]
            await asyncio.gather(*map(turns.ask, asks), return_exceptions=True)
        self._keeping = None

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
