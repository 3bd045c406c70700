"""Which pages were fetched of late, or came with a feed, so that entries of other feeds that name them do not ask again.

One job: for each article, where its page lies in the archive, for all pollers. Only saves requests:
what is forgotten here is fetched once more. Called by steps/pages.
"""

from collections.abc import Iterable

import redis

from worker.model import Entry
from worker.store.client import store_errors
from worker.store.keys import Keys

# Feeds of one site list an article within minutes of each other, and each is polled once an hour or,
# after a failure, two (poll.interval_s). A page that is much older may have been corrected since.
KEEP_S = 2 * 3_600


class Fetched:
    """The pages of one namespace that were fetched of late."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @store_errors()
    def place(self, entry: Entry) -> str:
        """Return where the page of an entry's article lies; empty when it is to be fetched.

        That which the same entry brought is not returned: an entry comes back for a newer one.
        """
        kept: bytes = self._client.get(self._keys.fetched(entry.article_id)) or b""
        place, _, by = kept.decode().partition(" ")
        return "" if by == entry.entry_id else place

    @store_errors()
    def keep(self, entry: Entry, place: str) -> None:
        """Note where the page lies that an entry brought. Cost: some 150 bytes for KEEP_S."""
        value = f"{place} {entry.entry_id}"
        self._client.set(self._keys.fetched(entry.article_id), value, ex=KEEP_S)

    @store_errors()
    def keep_contents(self, places: Iterable[tuple[Entry, str]]) -> None:
        """Note where full contents lie that feeds carry; where a page is known it stays.

        They are for every entry that names the article: also for those that they came with.
        """
        with self._client.pipeline(transaction=False) as pipe:
            for entry, place in places:
                pipe.set(self._keys.fetched(entry.article_id), place, ex=KEEP_S, nx=True)
            pipe.execute()
