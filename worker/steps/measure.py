"""The numbers of one namespace at one moment: for `status`, the board, health and metrics.

Reads only, and never touches RQ's registries, whose look-ups change them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import redis
from rq.worker_registration import get_keys

from worker.core.admission import full, unsafe
from worker.hints import Hints
from worker.model import EntryId, Feed
from worker.settings import Settings
from worker.store.client import room_of, store_errors
from worker.store.feeds import Feeds
from worker.store.index import Index
from worker.store.keys import Keys
from worker.store.ledger import Ledger
from worker.store.stories import Stories
from worker.store.subscriptions import Subscriptions


class Parts(Protocol):
    """What looking at a namespace takes; ``wiring.Context`` has it all."""

    @property
    def settings(self) -> Settings:
        """Every setting."""

    @property
    def client(self) -> redis.Redis:
        """The connection."""

    @property
    def keys(self) -> Keys:
        """The keys of the namespace."""

    @property
    def ledger(self) -> Ledger:
        """The ledger."""

    @property
    def feeds(self) -> Feeds:
        """The feeds."""

    @property
    def index(self) -> Index:
        """The index."""

    @property
    def stories(self) -> Stories:
        """The stories."""

    @property
    def subscriptions(self) -> Subscriptions:
        """What hubs are to push."""

    @property
    def hints(self) -> Hints:
        """The queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What is in a namespace."""

    counts: Mapping[str, int]  # as Ledger.counts gives them
    languages: Mapping[str, Mapping[str, int]]  # articles and stories of each
    feeds: tuple[Feed, ...]
    waiting: int  # hints that no worker took yet
    workers: int  # RQ workers that are alive
    oldest_pending_s: float  # age of the entry whose lease ends first; 0 with none
    memory_bytes: int  # used by the whole server
    memory_limit_bytes: int  # 0: none
    subscriptions: int  # feeds whose hub is asked to push
    pushes: Mapping[str, int]  # by core.websub.Push
    paused: str  # why polling pauses; empty when it does not

    @property
    def failing(self) -> tuple[Feed, ...]:
        """The feeds whose last poll failed."""
        return tuple(feed for feed in self.feeds if feed.error)

    @property
    def flooding(self) -> tuple[Feed, ...]:
        """The feeds that listed more new entries than their quota allowed."""
        return tuple(feed for feed in self.feeds if feed.left_out)

    @property
    def stories(self) -> int:
        """The stories of all languages."""
        return sum(totals["stories"] for totals in self.languages.values())


def measure(parts: Parts, *, now: float) -> Numbers:
    """Return the numbers of a namespace.

    Raises:
        StoreError: Redis did not answer.

    Cost: O(feeds + languages); some milliseconds for a thousand feeds.
    """
    room = room_of(parts.client)
    return Numbers(
        counts=parts.ledger.counts(),
        languages={lang: parts.stories.totals(lang) for lang in parts.stories.languages()},
        feeds=parts.feeds.all(),
        waiting=parts.hints.waiting(),
        workers=live_workers(parts.hints),
        oldest_pending_s=oldest_pending_s(parts, now=now),
        memory_bytes=room.used_bytes,
        memory_limit_bytes=room.limit_bytes,
        subscriptions=parts.subscriptions.number(),
        pushes=parts.subscriptions.pushes(),
        paused=unsafe(room) or full(room),
    )


@store_errors()
def oldest_pending_s(parts: Parts, *, now: float) -> float:
    """Return how long ago the entry whose lease ends first was claimed, in seconds; 0 for none."""
    first: list[Any] = parts.client.zrange(parts.keys.pending, 0, 0)
    row = parts.ledger.row(EntryId(first[0].decode())) if first else None
    return max(0.0, now - row.entry.seen_at) if row else 0.0


@store_errors()
def live_workers(hints: Hints) -> int:
    """Return how many RQ workers of a queue are alive; a dead one's key expires."""
    keys = get_keys(queue=hints.queue)
    return int(hints.queue.connection.exists(*keys)) if keys else 0
