import asyncio
import threading
from collections.abc import Sequence
from itertools import chain

import pytest

from worker.bundles import MOST, Bundles
from worker.errors import StoreError


class Held:
    """Takes bundles, but none before it is let go."""

    def __init__(self) -> None:
        self.bundles: list[list[int]] = []
        self.go = threading.Event()

    def __call__(self, asks: Sequence[int]) -> list[int | StoreError]:
        """Answer an ask by its double, and an odd one by a failure; refuse a bundle with 13."""
        assert self.go.wait(20.0)
        self.bundles.append(list(asks))
        if 13 in asks:
            raise StoreError("away")
        return [StoreError(f"odd {ask}") if ask % 2 else 2 * ask for ask in asks]


def test_asks_when_one_is_under_way_then_go_together_after_it_in_their_order() -> None:
    """As many as fit into a bundle, and each gets its own answer."""

    async def run() -> None:
        held = Held()
        bundles = Bundles(held)
        first = bundles.ask(0)
        await asyncio.sleep(0)  # it is handed over
        others = [bundles.ask(2 * number) for number in range(1, MOST + 2)]
        held.go.set()
        assert await asyncio.gather(first, *others) == [4 * n for n in range(MOST + 2)]
        sizes = [len(bundle) for bundle in held.bundles]
        assert sizes == [1, MOST, 1]
        assert list(chain(*held.bundles)) == [2 * number for number in range(MOST + 2)]

    asyncio.run(run())


def test_asks_when_one_fails_then_the_others_are_answered() -> None:
    """A failure of all of them is told to each, and the next bundle goes on."""

    async def run() -> None:
        held = Held()
        held.go.set()
        bundles = Bundles(held)
        good, odd = await asyncio.gather(bundles.ask(4), bundles.ask(5), return_exceptions=True)
        assert (good, str(odd)) == (8, "odd 5")
        away = await asyncio.gather(bundles.ask(13), bundles.ask(4), return_exceptions=True)
        assert [str(answer) for answer in away] == ["away", "away"]
        assert await bundles.ask(6) == 12

    asyncio.run(run())


def test_ask_when_it_is_cancelled_then_was_asked_all_the_same() -> None:
    """Those with it in its bundle get their answers."""

    async def run() -> None:
        held = Held()
        bundles = Bundles(held)
        gone, waiting = bundles.ask(2), bundles.ask(4)
        await asyncio.sleep(0)
        gone.cancel()
        held.go.set()
        assert await waiting == 8
        assert held.bundles == [[2, 4]]
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(run())
