"""Several pollers and one host: they ask as one of them would."""

import asyncio
import socket
import time
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from conftest import until

from worker.errors import FetchError, StoreError
from worker.fetch.budget import LEASE_S, HostBudget
from worker.fetch.client import Fetcher, FetchPolicy, Scope, Terms
from worker.store.turns import LOOK_S, Turns
from worker.wiring import Context

HOST = "news.example"


@dataclass
class Agreed:
    """Turns that are always free, on a Redis that is away for the first few calls."""

    failures: int = 0
    lanes: list[str] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)

    def take(self, lane: str, token: str, *, lease_s: float) -> float:
        """Note who wants a turn."""
        self._fail()
        assert lease_s > 0.0
        self.lanes.append(lane)
        self.held[lane] = token
        return 0.0

    def give_back(self, lane: str, token: str, *, left_s: float) -> None:
        """Note that it was given back."""
        self._fail()
        assert left_s <= 0.0
        assert self.held.pop(lane) == token

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("Redis is away")


@pytest.fixture
def turns(context: Context) -> Turns:
    """The turns of the live namespace."""
    return Turns(context.client, context.keys)


def test_turn_when_another_poller_has_it_then_is_free_after_its_request_and_the_gap(
    turns: Turns,
) -> None:
    """Until then the others are told how long to wait; another host is free all the time."""
    assert turns.take(HOST, "a", lease_s=60.0) == 0.0
    assert turns.take(HOST, "b", lease_s=60.0) == LOOK_S
    assert turns.take("other.example", "b", lease_s=60.0) == 0.0
    turns.give_back(HOST, "b", left_s=0.0)  # it never had it
    assert turns.take(HOST, "b", lease_s=60.0) == LOOK_S
    turns.give_back(HOST, "a", left_s=30.0)
    assert 25.0 < turns.take(HOST, "b", lease_s=60.0) <= 30.0


def test_turn_when_its_gap_is_over_then_is_free(turns: Turns) -> None:
    """At once without a gap."""
    assert turns.take(HOST, "a", lease_s=60.0) == 0.0
    turns.give_back(HOST, "a", left_s=0.01)
    until(lambda: turns.take(HOST, "b", lease_s=60.0) == 0.0)
    turns.give_back(HOST, "b", left_s=-1.0)
    assert turns.take(HOST, "c", lease_s=60.0) == 0.0


def test_turn_when_its_holder_died_then_is_free_when_its_lease_ends(turns: Turns) -> None:
    """What the dead one would still have given back, were it only slow, changes nothing then."""
    assert turns.take(HOST, "dead", lease_s=0.01) == 0.0
    until(lambda: turns.take(HOST, "b", lease_s=60.0) == 0.0)
    turns.give_back(HOST, "dead", left_s=0.0)
    assert turns.take(HOST, "c", lease_s=60.0) == LOOK_S


def test_turn_when_its_holder_asks_again_then_is_kept_for_longer(
    turns: Turns, context: Context
) -> None:
    """A request that takes long keeps its turn for as long as its poller lives."""
    assert turns.take(HOST, "a", lease_s=1.0) == 0.0
    assert turns.take(HOST, "a", lease_s=60.0) == 0.0
    assert context.client.pttl(context.keys.turn(HOST)) > 30_000
    assert turns.take(HOST, "b", lease_s=60.0) == LOOK_S


def test_slot_when_its_request_takes_long_then_keeps_its_turn(
    turns: Turns, context: Context
) -> None:
    """The lease is renewed while the request is under way."""

    async def run() -> None:
        budget = HostBudget(0.0, time.monotonic, asyncio.sleep, turns=turns)
        key, lease_ms = context.keys.turn(HOST), LEASE_S * 1_000
        async with budget.slot(HOST):
            least = context.client.pttl(key)
            while (left := context.client.pttl(key)) <= least:  # it only falls until it is renewed
                least = left
                await asyncio.sleep(0.01)
            assert 0 < least < left <= lease_ms
        assert not context.client.exists(key)

    asyncio.run(run())


def test_pollers_when_they_ask_one_host_then_one_at_a_time_with_gaps(turns: Turns) -> None:
    """Two budgets in two pollers hand out what one would."""

    async def run() -> None:
        loop, gap_s = asyncio.get_running_loop(), 0.02
        starts: list[float] = []
        inside = 0

        async def ask(budget: HostBudget) -> None:
            nonlocal inside
            async with budget.slot(HOST):
                inside += 1
                assert inside == 1
                starts.append(loop.time())
                await asyncio.sleep(0)
                inside -= 1

        budgets = [HostBudget(gap_s, loop.time, asyncio.sleep, turns=turns) for _ in "ab"]
        await asyncio.gather(*(ask(budget) for budget in budgets for _ in range(4)))
        apart = [after - before for before, after in pairwise(starts)]
        assert len(apart) == 7
        assert min(apart) > gap_s - 0.002  # Redis counts in milliseconds

    asyncio.run(run())


def test_slot_when_redis_is_away_then_waits_for_it_and_gives_nothing_up() -> None:
    """Without Redis nobody could keep what comes; a turn that cannot be given back ends by itself."""

    async def run() -> None:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        agreed = Agreed(failures=3)
        budget = HostBudget(0.0, lambda: 0.0, sleep, turns=agreed)
        async with budget.slot(HOST):
            assert (agreed.lanes, len(slept)) == ([HOST], 3)
            agreed.failures = 1
        assert HOST in agreed.held
        with pytest.raises(ValueError, match="inside"):
            async with budget.slot(HOST):
                raise ValueError("inside")
        assert agreed.held == {}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("scope", "lane"),
    [("host", "www.news.co.uk"), ("domain", "news.co.uk"), ("feed", "0123456789ab")],
)
def test_get_when_the_scope_is_set_then_turns_are_by_it(
    monkeypatch: pytest.MonkeyPatch, scope: Scope, lane: str
) -> None:
    """By host, by registrable domain, or by the feed that a document or page belongs to."""

    def nobody(*_: object, **__: object) -> object:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    policy = FetchPolicy(
        user_agent="samestory/0",
        connect_timeout_s=1.0,
        total_timeout_s=1.0,
        max_bytes=1_000,
        host_gap_s=0.0,
        scope=scope,
    )

    async def run() -> None:
        agreed = Agreed()
        async with Fetcher(policy, agreed) as fetcher:
            terms = Terms(accept="*/*", max_bytes=1_000, timeout_s=1.0)
            with pytest.raises(FetchError):
                await fetcher.get("http://www.news.co.uk/feed", terms, feed="0123456789ab")
        assert (agreed.lanes, agreed.held) == ([lane], {})

    asyncio.run(run())
