"""The WebSub subscriptions of a namespace: which hubs are to push what is new, and since when they do.

A feed has one at most. Pollers share them: who takes one in hand asks its hub, and nobody else does.
"""

import secrets
from collections.abc import Mapping

import redis

from worker.core.websub import FIRST_RETRY_S, LEASE_S, Push, Subscription, Topic, Word
from worker.model import FeedId
from worker.store.client import store_errors
from worker.store.keys import Keys
from worker.store.scripts import Scripts, pairs

# Each request to a hub makes a subscription live for so long: past its lease, and past all waits.
LIVES_S = int(2 * LEASE_S)
# Of one feed's pushes so many are read in so many seconds. A hub sends one for each new entry; beyond
# a few they say the same, and each costs the reading of a document.
MOST_PUSHES, PUSHES_S = 10, 60


class Subscriptions:
    """The subscriptions of one namespace."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._keys = keys

    def offered(self, feed_id: FeedId, topic: Topic | None, *, now: float) -> bool:
        """Note which hub a feed's document names; None for none. Say whether that is news.

        A new one begins a subscription, under a callback of its own and with a secret of its own.
        """
        k = self._keys
        arguments = {
            "feed_id": feed_id,
            "hub": topic.hub if topic else "",
            "topic": topic.url if topic else "",
            "token": secrets.token_hex(16),  # nobody guesses 128 bits
            "secret": secrets.token_hex(32),  # 64 bytes: under the 200 that WebSub allows
            "now": now,
            "gap": FIRST_RETRY_S,
            "lives": LIVES_S,
        }
        keys = [k.feeds, k.subscribing, k.subscription(feed_id)]
        return bool(self._scripts.run("hub_offered", keys, arguments))

    def due(self, *, now: float, limit: int) -> tuple[Subscription, ...]:
        """Return the subscriptions whose hubs are to be asked, the longest overdue first."""
        prefix = self._keys.subscription(FeedId(""))
        arguments = {"now": now, "limit": limit, "prefix": prefix}
        found = self._scripts.run("hub_due", [self._keys.subscribing], arguments)
        return tuple(
            _subscription(FeedId(feed_id.decode()), pairs(flat)) for feed_id, flat in found
        )

    def take(self, sub: Subscription, *, now: float, retry_at: float) -> bool:
        """Take a due subscription in hand to ask its hub; False when somebody else did.

        It is due again at ``retry_at``, unless the hub confirms it.
        """
        arguments = {
            "feed_id": sub.feed_id,
            "token": sub.token,
            "now": now,
            "retry_at": retry_at,
            "lives": LIVES_S,
        }
        return bool(self._scripts.run("hub_take", self._own(sub.feed_id), arguments))

    def failed(self, sub: Subscription, error: str, *, due_at: float) -> None:
        """Note why a hub could not be asked, unless it has confirmed meanwhile."""
        self._note(sub, {"error": error}, due_at=due_at, failed=True)

    def heard(self, sub: Subscription, word: Word) -> None:
        """Note what a hub said."""
        if word.ended:
            fields: dict[str, str | float] = {}
        elif word.denied:
            fields = {"denied": word.denied, "lease_until": 0, "failures": 0}
        else:
            fields = {"lease_until": word.lease_until, "failures": 0, "error": "", "denied": ""}
        self._note(sub, fields, due_at=word.due_at)

    @store_errors()
    def get(self, feed_id: FeedId) -> Subscription | None:
        """Return a feed's subscription, or None when it has none."""
        raw = self._client.hgetall(self._keys.subscription(feed_id))
        return _subscription(feed_id, raw) if raw else None

    def hasten(self, sub: Subscription, *, now: float, at: float) -> bool:
        """Let the feed be polled at ``at``, unless it will be before; say whether it is.

        Not before what a poll that ended meanwhile found to be the soonest time.
        """
        k, name = self._keys, sub.feed_id
        keys = [k.feeds, k.feed(name), k.subscription(name)]
        arguments = {"feed_id": name, "token": sub.token, "now": now, "at": at}
        return bool(self._scripts.run("hub_push", keys, arguments))

    @store_errors()
    def may_push(self, feed_id: FeedId) -> bool:
        """Count a push, and say whether it is one of the first MOST_PUSHES within PUSHES_S."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.set(self._keys.pushing(feed_id), 0, nx=True, ex=PUSHES_S)
            pipe.incr(self._keys.pushing(feed_id))
            return int(pipe.execute()[1]) <= MOST_PUSHES

    @store_errors()
    def count(self, push: Push) -> None:
        """Count what became of a push. One whose answer was lost may count twice."""
        self._client.hincrby(self._keys.pushes, push.value, 1)

    @store_errors()
    def pushes(self) -> dict[str, int]:
        """Return how many pushes had which fate."""
        raw = self._client.hgetall(self._keys.pushes)
        return {name.decode(): int(value) for name, value in raw.items()}

    @store_errors()
    def number(self) -> int:
        """Return how many subscriptions there are, confirmed or not."""
        return int(self._client.zcard(self._keys.subscribing))

    def _own(self, feed_id: FeedId) -> list[str]:
        return [self._keys.subscribing, self._keys.subscription(feed_id)]

    def _note(
        self,
        sub: Subscription,
        fields: Mapping[str, str | float],
        *,
        due_at: float,
        failed: bool = False,
    ) -> None:
        arguments = {
            "feed_id": sub.feed_id,
            "token": sub.token,
            "fields": [part for item in fields.items() for part in item],
            "due_at": due_at,
            "failed": int(failed),
        }
        self._scripts.run("hub_note", self._own(sub.feed_id), arguments)


def _subscription(feed_id: FeedId, raw: Mapping[bytes, bytes]) -> Subscription:
    fields = {name.decode(): value.decode() for name, value in raw.items()}
    return Subscription(
        feed_id=feed_id,
        topic=Topic(hub=fields["hub"], url=fields["topic"]),
        token=fields["token"],
        secret=fields["secret"],
        leaving=fields["leaving"] == "1",
        asked_at=float(fields["asked_at"]),
        failures=int(fields["failures"]),
        lease_until=float(fields.get("lease_until", 0)),
        error=fields.get("error", ""),
        denied=fields.get("denied", ""),
        pushed_at=float(fields.get("pushed_at", 0)),
    )
