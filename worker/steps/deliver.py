"""Send events to one webhook: in order, one at a time, each until it is taken or given up.

At least once: what was sent but not settled when a deliverer died is sent again by the one that
takes the webhook over, under the same key.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from worker.core.redaction import public_part
from worker.core.webhooks import Letter, Settling, Webhook, letters, settled
from worker.fetch.post import Poster
from worker.store.events import Events
from worker.store.webhooks import Webhooks

log = structlog.get_logger()

BATCH = 100  # events read at once; a webhook that changes meanwhile is seen after them


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverer:
    """Sends the events of one namespace; any number of them may run."""

    webhooks: Webhooks
    events: Events
    poster: Poster
    token: str  # this deliverer's own, among all
    lease_s: float  # longer than one sending can take
    attempts: int
    clock: Callable[[], float]

    def due(self) -> tuple[Webhook, ...]:
        """Return the webhooks that there is something for, now. Cost: two commands a webhook."""
        hooks = self.webhooks.all()
        told = self.events.told() if hooks else {}
        now = self.clock()
        return tuple(
            hook
            for hook in hooks
            if not hook.stopped
            and hook.retry_at <= now
            and (hook.again > 0 or hook.cursor.behind(told) > 0)
        )

    async def deliver(self, hook: Webhook, stopping: asyncio.Event) -> None:
        """Send what there is for a webhook, unless another deliverer has it.

        Ends when nothing is left, at the first failure, which has set when the next attempt is
        due, or after the letter in hand when ``stopping`` is set.

        Raises:
            StoreError: Redis did not answer; the lease ends by itself.
        """
        try:
            while not stopping.is_set() and await self._batch(hook, stopping):
                pass
        finally:
            await asyncio.to_thread(self.webhooks.release, hook.webhook_id, token=self.token)

    async def _batch(self, hook: Webhook, stopping: asyncio.Event) -> bool:
        """Send the next letters; return whether there may be more to send at once."""
        taken = await asyncio.to_thread(
            self.webhooks.take, hook, token=self.token, lease_s=self.lease_s
        )
        if taken is None or taken.stopped or taken.retry_at > self.clock():
            return False  # another deliverer has it, or had it since it was due
        steps = await asyncio.to_thread(self._next, taken)
        for step in steps:
            if stopping.is_set():
                return False
            done = step if isinstance(step, Settling) else await self._send(taken, step)
            ours = await asyncio.to_thread(
                self.webhooks.settle, taken, done, token=self.token, lease_s=self.lease_s
            )
            if not ours:
                log.warning("webhook_lost", webhook=taken.webhook_id)
                return False
            if done.attempts or done.stopped:
                return False
            taken = replace(taken, cursor=done.cursor, attempts=0, turn=taken.turn + 1)
        return bool(steps)

    def _next(self, hook: Webhook) -> Sequence[Letter | Settling]:
        """Return what to do next: parked events that are to be sent again go first."""
        parked = self.webhooks.first_parked(hook) if hook.again > 0 else None
        if parked:
            return [parked]
        return tuple(letters(hook, self.events.read(hook.cursor, limit=BATCH)))

    async def _send(self, hook: Webhook, letter: Letter) -> Settling:
        """Send one letter and return what came of it."""
        answer = await self.poster.post(hook.url, letter.body, key=letter.event_id)
        now = self.clock()
        done = settled(hook, letter, answer, attempts=self.attempts, now=now)
        told = log.bind(webhook=hook.webhook_id, to=public_part(hook.url), event_id=letter.event_id)
        if letter.missed:
            told.warning("webhook_missed_events", missed=letter.missed)
        if done.stopped:
            told.error("webhook_stopped", why=answer.why)
        elif done.park:
            told.error("event_parked", why=answer.why, attempts=self.attempts)
        elif done.attempts:
            retry_in_s = round(done.retry_at - now, 1)
            told.warning("delivery_failed", why=answer.why, retry_in_s=retry_in_s)
        else:
            told.debug("event_delivered")
        return done
