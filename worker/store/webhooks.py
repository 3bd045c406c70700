"""The webhooks of a namespace: where events are sent, how far each is, and who has it in hand.

A webhook is in the hands of one deliverer at a time, by a lease in Redis that ends by itself when
the deliverer dies: that keeps the order, and lets another one take over.
"""

from collections.abc import Mapping, Sequence

import redis

from worker.core.events import Cursor
from worker.core.webhooks import Letter, Settling, Webhook, webhook_id
from worker.model import WebhookId
from worker.store.client import store_errors
from worker.store.keys import Keys
from worker.store.scripts import Scripts, pairs


class Webhooks:
    """The webhooks of one namespace."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._keys = keys

    @store_errors()
    def add(self, url: str, types: Sequence[str], *, start: Cursor) -> bool:
        """Send events to an address from ``start`` on. One that is there only gets other types.

        Returns: whether it is new.
        """
        hook = webhook_id(url)
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hsetnx(self._keys.webhooks, hook, url)
            pipe.hset(self._keys.webhook(hook), "types", ",".join(types))
            for name, value in (("cursor", str(start)), ("turn", 0), ("again", 0)):
                pipe.hsetnx(self._keys.webhook(hook), name, value)
            is_new = pipe.execute()[0]
        return bool(is_new)

    @store_errors()
    def remove(self, hook: WebhookId) -> bool:
        """Forget a webhook, its parked events too."""
        k = self._keys
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hdel(k.webhooks, hook)
            pipe.delete(k.webhook(hook), k.parked(hook), k.delivering(hook))
            was_there = pipe.execute()[0]
        return bool(was_there)

    @store_errors()
    def any(self) -> bool:
        """Say whether there is one."""
        return bool(self._client.exists(self._keys.webhooks))

    @store_errors()
    def all(self) -> tuple[Webhook, ...]:
        """Return every webhook, by id. Cost: O(webhooks), two round trips."""
        urls = {
            WebhookId(k.decode()): v for k, v in self._client.hgetall(self._keys.webhooks).items()
        }
        with self._client.pipeline(transaction=True) as pipe:
            for hook in sorted(urls):
                pipe.hgetall(self._keys.webhook(hook))
                pipe.llen(self._keys.parked(hook))
            answers = pipe.execute()
        return tuple(
            _webhook(hook, urls[hook].decode(), fields, parked)
            for hook, fields, parked in zip(sorted(urls), answers[::2], answers[1::2], strict=True)
            if fields  # removed since
        )

    @store_errors()
    def first_parked(self, hook: Webhook) -> Letter | None:
        """Return the parked event that has waited longest, to be sent again."""
        raw = self._client.lindex(self._keys.parked(hook.webhook_id), 0)
        if raw is None:
            return None
        event_id, _, body = raw.decode().partition("\n")
        return Letter(event_id=event_id, body=body, cursor=hook.cursor, was_parked=True)

    def take(self, hook: Webhook, *, token: str, lease_s: float) -> Webhook | None:
        """Take a webhook in hand for a while; return how far it is, or None when another has it."""
        flat = self._scripts.run(
            "webhook_take",
            [self._keys.webhook(hook.webhook_id), self._keys.delivering(hook.webhook_id)],
            {"token": token, "lease_ms": int(1_000 * lease_s)},
        )
        fields = pairs(flat)
        return _webhook(hook.webhook_id, hook.url, fields, hook.parked) if fields else None

    def settle(self, hook: Webhook, done: Settling, *, token: str, lease_s: float) -> bool:
        """Write what came of sending and renew the lease; False when it was lost meanwhile."""
        state = {
            "cursor": str(done.cursor),
            "attempts": done.attempts,
            "retry_at": done.retry_at,
            "error": done.error,
            "stopped": done.stopped,
        }
        k, name = self._keys, hook.webhook_id
        settled = self._scripts.run(
            "webhook_settle",
            [k.webhook(name), k.delivering(name), k.parked(name)],
            {
                "token": token,
                "lease_ms": int(1_000 * lease_s),
                "turn": hook.turn,
                "fields": [part for item in state.items() for part in item],
                "delivered": done.delivered,
                "missed": done.missed,
                "again": int(done.was_parked),
                "park": f"{done.park.event_id}\n{done.park.body}" if done.park else "",
            },
        )
        return bool(settled)

    def retry(self, hook: WebhookId) -> int:
        """Let the parked events be sent again, and a stopped webhook go on; return how many."""
        keys = [self._keys.webhook(hook), self._keys.parked(hook)]
        return max(0, int(self._scripts.run("webhook_retry", keys, {})))

    def release(self, hook: WebhookId, *, token: str) -> None:
        """Let others take a webhook at once, if it is still ours."""
        self._scripts.run("webhook_release", [self._keys.delivering(hook)], {"token": token})


def _webhook(hook: WebhookId, url: str, raw: Mapping[bytes, bytes], parked: int) -> Webhook:
    fields = {name.decode(): value.decode() for name, value in raw.items()}
    return Webhook(
        webhook_id=hook,
        url=url,
        types=tuple(name for name in fields.get("types", "").split(",") if name),
        cursor=Cursor.parse(fields.get("cursor", "")),
        attempts=int(fields.get("attempts", 0)),
        retry_at=float(fields.get("retry_at", 0)),
        delivered=int(fields.get("delivered", 0)),
        missed=int(fields.get("missed", 0)),
        parked=parked,
        again=int(fields.get("again", 0)),
        error=fields.get("error", ""),
        stopped=fields.get("stopped", ""),
        turn=int(fields.get("turn", 0)),
    )
