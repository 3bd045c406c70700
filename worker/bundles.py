"""What many tasks ask at once is asked together: one thread and one round trip for all of it.

One job: collect asks, and hand them over in the order in which they came. While a bundle is under way
the next one gathers, so who asks alone waits for nobody. Called by fetch/budget
and steps/poll.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from worker.errors import StoreError

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")

# As many as there are requests in flight by default; whoever asks next waits for the whole bundle.
MOST = 64


class Bundles(Generic[Ask, Answer]):
    """Asks of one kind, in bundles."""

    def __init__(self, act: Callable[[Sequence[Ask]], Sequence[Answer | StoreError]]) -> None:
        """Set what a bundle is given to, in a thread; it returns an answer to each, in order."""
        self._act = act
        self._waiting: list[tuple[Ask, asyncio.Future[Answer]]] = []
        self._running: asyncio.Task[None] | None = None

    def ask(self, one: Ask) -> "asyncio.Future[Answer]":
        """Return what will be the answer, or what was raised. Who is cancelled has asked all the same.

        Cost: one hop to a thread and back, about .1 ms, for all that ask at the same time.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, answer))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return answer

    async def _run(self) -> None:
        """Hand over bundles until nobody waits."""
        try:
            while self._waiting:
                bundle, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._hand_over(bundle)
        finally:
            self._running = None

    async def _hand_over(self, bundle: Sequence[tuple[Ask, "asyncio.Future[Answer]"]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await asyncio.to_thread(self._act, [one for one, _ in bundle])
        except Exception as e:  # noqa: BLE001 - it is theirs who asked, and no other bundle's
            answers = [e] * len(bundle)
        for (_, waiting), answer in zip(bundle, answers, strict=True):
            if waiting.done():  # cancelled
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
