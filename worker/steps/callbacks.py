"""What hubs call us for: to confirm a subscription, to refuse one, and to push.

Anybody may call, so nothing is believed but what was asked for, under an address that only the hub
knows. A push is never parsed. Called by web/callbacks.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest

import structlog

from worker.core.websub import Push, Signature, Subscription, heard
from worker.core.wishes import first_allowed
from worker.model import FeedId
from worker.store.feeds import Feeds
from worker.store.subscriptions import Subscriptions

log = structlog.get_logger()

_FEED_ID = re.compile(r"[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """Answers the hubs of one namespace."""

    subscriptions: Subscriptions
    feeds: Feeds
    max_bytes: int  # of a pushed body that is read
    timeout_s: float  # for all of it
    clock: Callable[[], float]

    def confirm(self, feed: str, token: str, query: Mapping[str, str]) -> str | None:
        """Take a hub's word; return what it wants to hear, or None when this is not our wish.

        Raises:
            StoreError: Redis did not answer.
        """
        sub = self._known(feed, token)
        word = heard(sub, query, self.clock()) if sub else None
        if sub is None or word is None:
            return None
        self.subscriptions.heard(sub, word)
        if word.denied:
            log.warning("hub_denied", feed=sub.feed_id, why=word.denied)
        else:
            log.info("hub_confirmed", feed=sub.feed_id, leaving=sub.leaving)
        return word.echo

    async def push(self, feed: str, token: str, signature: str, body: AsyncIterator[bytes]) -> Push:
        """Take a push, and have its feed polled if it is the hub's; say what became of it.

        Args:
            feed: of the callback's address.
            token: of the same.
            signature: the header X-Hub-Signature; '' for none.
            body: read only as far as it has to be, and kept nowhere; raises ConnectionError where
                it breaks off.

        Raises:
            StoreError: Redis did not answer.
        """
        sub = await asyncio.to_thread(self._known, feed, token)
        if sub is None or sub.leaving:
            push = Push.UNKNOWN
        elif not await asyncio.to_thread(self.subscriptions.may_push, sub.feed_id):
            push = Push.LIMITED
        else:
            push = await self._judge(sub, signature, body)
            told = log.bind(feed=sub.feed_id)
            if push is Push.ACCEPTED:
                told.info("push_accepted", sooner=await asyncio.to_thread(self._hasten, sub))
            else:
                told.warning("push_ignored", why=push.value)
        await asyncio.to_thread(self.subscriptions.count, push)
        return push

    def _known(self, feed: str, token: str) -> Subscription | None:
        """Return the subscription that has this callback."""
        sub = self.subscriptions.get(FeedId(feed)) if _FEED_ID.fullmatch(feed) else None
        is_its = sub is not None and compare_digest(sub.token.encode(), token.encode())
        return sub if is_its else None

    async def _judge(self, sub: Subscription, header: str, body: AsyncIterator[bytes]) -> Push:
        """Read a body to its end and check its signature."""
        signature = Signature(header, sub.secret)

        async def read() -> Push:
            size = 0
            async for chunk in body:
                size += len(chunk)
                if size > self.max_bytes:
                    return Push.HUGE
                signature.feed(chunk)
            return signature.verdict()

        try:
            return await asyncio.wait_for(read(), self.timeout_s)
        except (asyncio.TimeoutError, ConnectionError):
            return Push.TORN

    def _hasten(self, sub: Subscription) -> bool:
        """Have a feed polled as soon as it may be; say whether that is sooner than before."""
        feed, now = self.feeds.get(sub.feed_id), self.clock()
        if feed is None:
            return False
        at = first_allowed(max(now, feed.soonest_at), feed.wishes)
        return self.subscriptions.hasten(sub, now=now, at=at)
