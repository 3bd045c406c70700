"""The fetch stage of an entry: its page onto the archive, then on to the workers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import structlog

from worker.archive.warc import Archive
from worker.core.retry import retry_at
from worker.errors import ArchiveError, FetchError
from worker.fetch.client import Fetcher, Terms
from worker.fetch.robots import Robots
from worker.model import ArticleId, Entry, EntryId
from worker.store.fetched import Fetched
from worker.store.ledger import FETCH, Ledger, Started

log = structlog.get_logger()

ACCEPT_PAGE = "text/html, application/xhtml+xml, */*;q=0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Fetches the pages of claimed entries."""

    ledger: Ledger
    archive: Archive
    fetched: Fetched
    fetcher: Fetcher
    robots: Robots
    terms: Terms
    attempts: int  # after the last one the feed's own text has to do
    clock: Callable[[], float]
    # Of the articles in hand; one goes with the last who holds it.
    _locks: WeakValueDictionary[ArticleId, asyncio.Lock] = field(
        default_factory=WeakValueDictionary, init=False
    )

    async def fetch(self, entry_id: EntryId) -> bool:
        """Bring an entry to the work stage; return whether the workers may be told.

        A page that cannot be had, for good or after the last attempt, leaves the entry with what
        its feed said of it: often enough to know the story, and else rejected as too short.
        """
        started = await asyncio.to_thread(self.ledger.start, entry_id, FETCH, now=self.clock())
        if not isinstance(started, Started):
            return False
        wait_s = self.fetcher.full_for_s(started.entry.url, feed=started.entry.feed_id)
        if wait_s:
            # Its host is slower than its feeds: it must not keep the pages of others waiting.
            due_at = self.clock() + wait_s
            await asyncio.to_thread(self.ledger.put_off, started, due_at=due_at)
            log.debug("page_put_off", entry=entry_id, wait_s=round(wait_s))
            return False
        place, error = "", ""
        if started.entry.url:
            try:
                place = await self._place(started.entry)
            except (FetchError, ArchiveError) as e:
                error = str(e)
                last = started.attempt >= self.attempts
                passing = not (isinstance(e, FetchError) and e.permanent)
                if passing and not last:
                    due_at = self._due_at(started.attempt, e)
                    await asyncio.to_thread(
                        self.ledger.defer, entry_id, error, due_at=due_at, token=started.token
                    )
                    log.warning("page_deferred", entry=entry_id, error=error)
                    return False
        if error:
            log.warning("page_missing", entry=entry_id, error=error)
        return await asyncio.to_thread(
            self.ledger.advance, entry_id, place, now=self.clock(), token=started.token
        )

    async def _place(self, entry: Entry) -> str:
        """Return where an entry's page lies, fetched unless another entry has just brought it.

        Raises:
            FetchError: the page cannot be had.
            ArchiveError: nor written.
        """
        # Of entries that name one article the first asks and the others wait, for what it brought
        # or, where that is nothing, for their own turn.
        async with self._locks.setdefault(entry.article_id, asyncio.Lock()):
            if known := await asyncio.to_thread(self.fetched.place, entry):
                try:
                    place = await asyncio.to_thread(self.archive.append_again, known, entry)
                except ArchiveError as e:
                    log.warning("page_fetched_again", entry=entry.entry_id, error=str(e))
                else:
                    log.info("page_shared", entry=entry.entry_id)
                    return place
            page = await self.fetcher.get(
                entry.url, self.terms, permit=self.robots.permit, feed=entry.feed_id
            )
            place = await asyncio.to_thread(self.archive.append, page, entry)
            await asyncio.to_thread(self.fetched.keep, entry, place)
            return place

    def _due_at(self, attempt: int, error: FetchError | ArchiveError) -> float:
        """Return when to ask again: our own back-off, or later where the server wishes so."""
        wish_s = error.retry_after_s if isinstance(error, FetchError) else None
        return retry_at(self.clock(), attempt=attempt, wish_s=wish_s)
