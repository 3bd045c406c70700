"""One poll of one feed: ask, decode, and claim its new entries together with its new state."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from worker.archive.warc import Archive
from worker.core.entries import entries_of
from worker.core.redaction import origin
from worker.core.retry import back_offs
from worker.core.schedule import PollPolicy, next_poll_at, server_wish_s
from worker.decode.sandbox import Sandbox
from worker.errors import ArchiveError, DecodeError, FetchError, StoreError
from worker.fetch.client import Fetcher
from worker.model import Entry, EntryId, Feed, Page, ParsedFeed, Validators
from worker.store.feeds import Feeds, Lease, poll_fields
from worker.store.ledger import FeedClaim, Ledger

log = structlog.get_logger()

ACCEPT_FEED = (
    "application/atom+xml, application/rss+xml, application/rdf+xml;q=0.9, application/xml;q=0.8, "
    "text/xml;q=0.8, */*;q=0.1"
)
NOT_MODIFIED = 304
GONE = 410
NEVER = 253_402_300_799.0  # the last second of the year 9999
CLAIM_WITHIN_S = 120.0  # a response that Redis does not take for longer is asked for again


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLimits:
    """What one feed response may cost."""

    max_bytes: int
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Poller:
    """Polls feeds of one namespace."""

    feeds: Feeds
    ledger: Ledger
    archive: Archive
    fetcher: Fetcher
    sandbox: Sandbox
    policy: PollPolicy
    limits: FeedLimits
    clock: Callable[[], float]
    draw: Callable[[], float]  # a number in [0, 1), for the jitter

    async def poll(self, lease: Lease) -> tuple[EntryId, ...]:
        """Poll a leased feed once; return the entries that are new.

        A failure is noted on the feed, whose validators stay as they were, and costs the others
        nothing.
        """
        feed = await asyncio.to_thread(self.feeds.get, lease.feed_id)
        if feed is None or feed.gone:
            return ()
        try:
            page = await self.fetcher.get(
                feed.url,
                validators=feed.validators,
                max_bytes=self.limits.max_bytes,
                timeout_s=self.limits.timeout_s,
                accept=ACCEPT_FEED,
            )
            if page.status == NOT_MODIFIED:
                return await self._unchanged(lease, feed, page)
            return await self._changed(lease, feed, page)
        except (FetchError, DecodeError, ArchiveError) as e:
            return await self._failed(lease, feed, e)

    async def _changed(self, lease: Lease, feed: Feed, page: Page) -> tuple[EntryId, ...]:
        parsed = await self.sandbox.parse_feed(
            page.body, page.final_url, page.headers.get("content-type", "")
        )
        await asyncio.to_thread(self.archive.append, page)
        now = self.clock()
        entries = entries_of(parsed, feed, now)
        seen = replace(
            feed,
            title=parsed.title or feed.title,
            validators=_validators(page),
            polled_at=now,
            error="",
            failures=0,
        )
        wish_s = _longer(server_wish_s(page.headers, now), parsed)
        new = await self._claim(lease, seen, entries, wish_s=wish_s)
        log.info(
            "feed_polled",
            feed=feed.feed_id,
            at=origin(feed.url),
            entries=len(entries),
            new=len(new),
        )
        return new

    async def _unchanged(self, lease: Lease, feed: Feed, page: Page) -> tuple[EntryId, ...]:
        now = self.clock()
        given = _validators(page)
        kept = Validators(  # a 304 may bring new validators (RFC 9111 section 4.3.4)
            etag=given.etag or feed.validators.etag,
            last_modified=given.last_modified or feed.validators.last_modified,
        )
        seen = replace(feed, validators=kept, polled_at=now, error="", failures=0)
        log.info("feed_unchanged", feed=feed.feed_id, at=origin(feed.url))
        return await self._claim(lease, seen, None, wish_s=server_wish_s(page.headers, now))

    async def _failed(
        self, lease: Lease, feed: Feed, error: FetchError | DecodeError | ArchiveError
    ) -> tuple[EntryId, ...]:
        gone = isinstance(error, FetchError) and error.status == GONE
        wish_s = error.retry_after_s if isinstance(error, FetchError) else None
        seen = replace(
            feed, polled_at=self.clock(), error=str(error), failures=feed.failures + 1, gone=gone
        )
        log.warning(
            "feed_failed",
            feed=feed.feed_id,
            at=origin(feed.url),
            error=str(error),
            failures=seen.failures,
        )
        return await self._claim(lease, seen, None, wish_s=wish_s)

    async def _claim(
        self, lease: Lease, feed: Feed, entries: Sequence[Entry] | None, *, wish_s: float | None
    ) -> tuple[EntryId, ...]:
        """Store the entries and the feed's state in one step; None means no document came."""
        now = self.clock()
        due_at = next_poll_at(
            now, self.policy, wish_s=wish_s, failures=feed.failures, draw=self.draw()
        )
        if feed.gone:
            due_at = NEVER
        claim = FeedClaim(
            feed_id=feed.feed_id,
            token=lease.token,
            next_poll_at=due_at,
            fields=poll_fields(replace(feed, interval_s=due_at - now)),
            listed_all=entries is not None,
        )
        waits = back_offs()
        while True:
            try:
                return await asyncio.to_thread(
                    self.ledger.claim, entries or (), now=now, feed=claim
                )
            except StoreError as e:
                # A Redis that is away or full for a while costs no second request to the feed.
                wait_s = next(waits)
                if self.clock() + wait_s > now + CLAIM_WITHIN_S:
                    raise
                log.warning(
                    "claim_waits",
                    feed=feed.feed_id,
                    at=origin(feed.url),
                    error=str(e),
                    retry_in_s=wait_s,
                )
                await asyncio.sleep(wait_s)


def _validators(page: Page) -> Validators:
    return Validators(
        etag=page.headers.get("etag", ""), last_modified=page.headers.get("last-modified", "")
    )


def _longer(wish_s: float | None, parsed: ParsedFeed) -> float | None:
    """Return the longer of the server's and the feed's own wish."""
    wishes = [wish for wish in (wish_s, parsed.ttl_s) if wish is not None]
    return max(wishes) if wishes else None
