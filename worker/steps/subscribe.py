"""Ask the hubs that feeds name to push what is new, to go on pushing, or to stop.

A hub answers when it likes, by a call of its own (steps/callbacks); until then a request counts as
failed, and is made again after a growing wait. Polling goes on all the while. Called by the poll
loop.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog

from worker.core.redaction import public_part
from worker.core.websub import Subscription, request, retry_at
from worker.fetch.post import Poster
from worker.store.subscriptions import Subscriptions

log = structlog.get_logger()

AT_ONCE = 8  # hubs asked at the same time, each for one feed after the other
# Looked at in one go, and of them asked of one hub: what follows the first waits for a next look, so
# that a hub which takes the whole timeout each time holds the others up for a minute or two only.
MOST_DUE = 256
MOST_A_HUB = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """Asks the hubs of one namespace; any number of pollers may."""

    subscriptions: Subscriptions
    poster: Poster
    public_url: str  # where hubs reach us, without a slash at the end
    clock: Callable[[], float]
    _at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def look(self) -> None:
        """Ask the hubs whose time has come.

        Raises:
            StoreError: Redis did not answer.
        """
        now = self.clock()
        due = await asyncio.to_thread(self.subscriptions.due, now=now, limit=MOST_DUE)
        hubs: defaultdict[str, list[Subscription]] = defaultdict(list)
        for sub in due:
            hubs[urlsplit(sub.topic.hub).netloc].append(sub)
        await asyncio.gather(*(self._ask_all(subs[:MOST_A_HUB]) for subs in hubs.values()))

    async def _ask_all(self, subs: Sequence[Subscription]) -> None:
        """Ask one hub for several feeds, until it gives no answer."""
        async with self._at_once:
            for sub in subs:
                if not await self._ask(sub):
                    return

    async def _ask(self, sub: Subscription) -> bool:
        """Ask a hub for one feed; return whether it answers at all."""
        now = self.clock()
        again_at = retry_at(sub, now)
        if not await asyncio.to_thread(self.subscriptions.take, sub, now=now, retry_at=again_at):
            return True  # another poller asks, or the feed names another hub by now
        answer = await self.poster.submit(sub.topic.hub, request(sub, self.public_url))
        told = log.bind(feed=sub.feed_id, hub=public_part(sub.topic.hub), leaving=sub.leaving)
        if answer.taken:
            told.info("hub_asked")
            return True
        due_at = retry_at(sub, now, wish_s=answer.retry_after_s)
        told.warning("hub_failed", why=answer.why, retry_in_s=round(due_at - now))
        await asyncio.to_thread(self.subscriptions.failed, sub, answer.why, due_at=due_at)
        return answer.status is not None
