"""Several pollers and one host: they ask as one of them would."""

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from conftest import until

from worker.errors import FetchError, StoreError
from worker.fetch.budget import LEASE_S, HostBudget
from worker.fetch.client import Fetcher, FetchPolicy, Scope, Terms
from worker.model import TurnAsk
from worker.store.turns import LOOK_S, Turns
from worker.wiring import Context

HOST = "news.example"


@dataclass
class Agreed:
    """Turns that are always free, on a Redis that is away for the first few calls."""

    failures: int = 0
    lanes: list[str] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)

    def ask_all(self, asks: Sequence[TurnAsk]) -> list[float | StoreError]:
        """Note who wants a turn, and that it was given back."""
        if self.failures:
            self.failures -= 1
            raise StoreError("Redis is away")
        for ask in asks:
            if ask.lease_s:
                self.lanes.append(ask.lane)
                self.held[ask.lane] = ask.token
            else:
                assert ask.left_s <= 0.0
                assert self.held.pop(ask.lane) == ask.token
        return [0.0] * len(asks)


def take(turns: Turns, lane: str, token: str, *, lease_s: float = 60.0) -> float | StoreError:
    """Ask for one turn."""
    (answer,) = turns.ask_all([TurnAsk(lane=lane, token=token, lease_s=lease_s)])
    return answer


def give_back(turns: Turns, lane: str, token: str, *, left_s: float) -> None:
    """Give one turn back."""
    assert turns.ask_all([TurnAsk(lane=lane, token=token, left_s=left_s)]) == [0.0]


@pytest.fixture
def turns(context: Context) -> Turns:
    """The turns of the live namespace."""
    return Turns(context.client, context.keys)


def test_turn_when_another_poller_has_it_then_is_free_after_its_request_and_the_gap(
    turns: Turns,
) -> None:
    """Until then the others are told how long to wait; another host is free all the time."""
    assert take(turns, HOST, "a") == 0.0
    assert take(turns, HOST, "b") == LOOK_S
    assert take(turns, "other.example", "b") == 0.0
    give_back(turns, HOST, "b", left_s=0.0)  # it never had it
    assert take(turns, HOST, "b") == LOOK_S
    give_back(turns, HOST, "a", left_s=30.0)
    wait_s = take(turns, HOST, "b")
    assert isinstance(wait_s, float)
    assert 25.0 < wait_s <= 30.0


def test_turn_when_its_gap_is_over_then_is_free(turns: Turns) -> None:
    """At once without a gap."""
    assert take(turns, HOST, "a") == 0.0
    give_back(turns, HOST, "a", left_s=0.01)
    until(lambda: take(turns, HOST, "b") == 0.0)
    give_back(turns, HOST, "b", left_s=-1.0)
    assert take(turns, HOST, "c") == 0.0


def test_turn_when_its_holder_died_then_is_free_when_its_lease_ends(turns: Turns) -> None:
    """What the dead one would still have given back, were it only slow, changes nothing then."""
    assert take(turns, HOST, "dead", lease_s=0.01) == 0.0
    until(lambda: take(turns, HOST, "b") == 0.0)
    give_back(turns, HOST, "dead", left_s=0.0)
    assert take(turns, HOST, "c") == LOOK_S


def test_turns_when_asked_for_in_one_bundle_then_in_their_order(turns: Turns) -> None:
    """Who asks before another one gives back waits; who asks after that does not."""
    free_again = [
        TurnAsk(lane=HOST, token="a", lease_s=60.0),
        TurnAsk(lane=HOST, token="b", lease_s=60.0),
        TurnAsk(lane=HOST, token="a"),
        TurnAsk(lane=HOST, token="c", lease_s=60.0),
    ]
    assert turns.ask_all(free_again) == [0.0, LOOK_S, 0.0, 0.0]


def test_turns_when_one_of_a_bundle_fails_then_the_others_are_answered(
    turns: Turns, context: Context
) -> None:
    """A key that is none of ours spoils no other host's turn, nor a server that forgot our scripts."""
    context.client.lpush(context.keys.turn("bad.example"), "x")
    asks = [TurnAsk(lane=lane, token="a", lease_s=60.0) for lane in ("bad.example", HOST)]
    context.client.script_flush()
    bad, good = turns.ask_all(asks)
    assert (type(bad), good) == (StoreError, 0.0)


def test_turn_when_its_holder_asks_again_then_is_kept_for_longer(
    turns: Turns, context: Context
) -> None:
    """A request that takes long keeps its turn for as long as its poller lives."""
    assert take(turns, HOST, "a", lease_s=1.0) == 0.0
    assert take(turns, HOST, "a") == 0.0
    assert context.client.pttl(context.keys.turn(HOST)) > 30_000
    assert take(turns, HOST, "b") == LOOK_S


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
