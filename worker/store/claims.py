"""The claims of several feeds in one round trip, each a step of its own (store/ledger)."""

from collections.abc import Sequence
from typing import NamedTuple

import redis

from worker.errors import StoreError
from worker.model import Entry, EntryId
from worker.store.ledger import FeedClaim, Ledger, entry_ids
from worker.store.scripts import Scripts


class Claim(NamedTuple):
    """The entries of one response, none where no document came, and what its feed is from then on."""

    entries: Sequence[Entry]
    now: float
    feed: FeedClaim


class Claims:
    """Claims for the ledger of one namespace."""

    def __init__(self, client: redis.Redis, ledger: Ledger) -> None:
        self._scripts = Scripts(client)
        self._ledger = ledger

    def make(self, claims: Sequence[Claim]) -> list[tuple[EntryId, ...] | StoreError]:
        """Make claims; return the new ids of each, or why there was none.

        Raises:
            StoreError: Redis did not answer; some may have been made, and any may be made again.
        Cost: O(entries), one round trip.
        """
        calls = [self._ledger.claiming(c.entries, now=c.now, feed=c.feed) for c in claims]
        return [
            answer if isinstance(answer, StoreError) else entry_ids(answer)
            for answer in self._scripts.run_all(calls)
        ]
