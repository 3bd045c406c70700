"""The fetch stage of an entry: its page onto the archive, then on to the workers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from worker.archive.warc import Archive
from worker.core.retry import retry_at
from worker.errors import ArchiveError, FetchError
from worker.fetch.client import Fetcher, Terms
from worker.fetch.robots import Robots
from worker.model import EntryId
from worker.store.ledger import FETCH, Ledger, Started

log = structlog.get_logger()

ACCEPT_PAGE = "text/html, application/xhtml+xml, */*;q=0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Fetches the pages of claimed entries."""

    ledger: Ledger
    archive: Archive
    fetcher: Fetcher
    robots: Robots
    terms: Terms
    attempts: int  # after the last one the feed's own text has to do
    clock: Callable[[], float]

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
                page = await self.fetcher.get(
                    started.entry.url,
                    self.terms,
                    permit=self.robots.permit,
                    feed=started.entry.feed_id,
                )
                place = await asyncio.to_thread(self.archive.append, page, started.entry)
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

    def _due_at(self, attempt: int, error: FetchError | ArchiveError) -> float:
        """Return when to ask again: our own back-off, or later where the server wishes so."""
        wish_s = error.retry_after_s if isinstance(error, FetchError) else None
        return retry_at(self.clock(), attempt=attempt, wish_s=wish_s)
