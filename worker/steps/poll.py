"""One poll of one feed: ask, decode, and claim its new entries together with its new state."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import structlog

from worker.archive.warc import Archive
from worker.bundles import Bundles
from worker.core import quota
from worker.core.edits import maybe_edited
from worker.core.entries import entries_of, feed_id
from worker.core.health import dates_after
from worker.core.moving import PROBATION_S, address, answered
from worker.core.redaction import public_part
from worker.core.retry import back_offs
from worker.core.rhythm import watched
from worker.core.schedule import Plan, PollPolicy, next_poll, soonest_poll_at, standing_of
from worker.core.websub import Topic
from worker.core.wishes import server_wish
from worker.decode.hubs import topic_of
from worker.decode.sandbox import Sandbox
from worker.errors import ArchiveError, DecodeError, FetchError, StoreError
from worker.fetch.client import Fetcher, Terms
from worker.model import Entry, EntryId, Feed, FeedId, Page, Validators, Why, Wish
from worker.steps.contents import Contents
from worker.store.claims import Claim
from worker.store.edits import Edits
from worker.store.feeds import Feeds, Lease, poll_fields
from worker.store.ledger import FeedClaim, Ledger
from worker.store.subscriptions import Subscriptions

log = structlog.get_logger()
T = TypeVar("T")

ACCEPT_FEED = (
    "application/atom+xml, application/rss+xml, application/rdf+xml;q=0.9, "
    "application/feed+json;q=0.9, application/xml;q=0.8, text/xml;q=0.8, */*;q=0.1"
)
NOT_MODIFIED = 304
GONE = 410
NEVER = 253_402_300_799.0  # the last second of the year 9999
CLAIM_WITHIN_S = 120.0  # a response that Redis does not take for longer is asked for again


@dataclass(frozen=True, slots=True, kw_only=True)
class Poller:
    """Polls feeds of one namespace."""

    feeds: Feeds
    ledger: Ledger
    claims: Bundles[Claim, tuple[EntryId, ...]]
    edits: Edits
    archive: Archive
    fetcher: Fetcher
    sandbox: Sandbox
    policy: PollPolicy
    terms: Terms
    contents: Contents
    max_new_a_day: int  # entries of one feed
    clock: Callable[[], float]
    draw: Callable[[], float]  # a number in [0, 1), for the jitter
    subscriptions: Subscriptions | None = None  # None: hubs cannot reach us

    async def poll(self, lease: Lease) -> tuple[EntryId, ...]:
        """Poll a leased feed once; return the entries that are new.

        A failure is noted on the feed, whose validators stay as they were, and costs the others
        nothing. One whose host has a long queue is put off until its turn has come nearer.
        """
        feed = lease.feed
        if feed.gone:
            return ()
        with structlog.contextvars.bound_contextvars(feed=feed.feed_id, at=public_part(feed.url)):
            url = address(feed, self.clock())
            other = await asyncio.to_thread(self.feeds.at, url) if url != feed.url else None
            if other and other.feed_id != feed.feed_id and not other.gone:
                return await self._left_to(lease, feed, other)
            if wait_s := self.fetcher.full_for_s(url, feed=feed.feed_id):
                # Its host has more feeds than it has turns: they must not keep the others waiting.
                at = self.clock() + wait_s
                await asyncio.to_thread(self.feeds.put_back, lease, at)
                log.debug("feed_put_off", wait_s=round(wait_s))
                return ()
            return await self._poll(lease, replace(feed, same_as=FeedId("")), url)

    async def _poll(self, lease: Lease, feed: Feed, url: str) -> tuple[EntryId, ...]:
        try:
            page = await self._ask(feed, url)
            seen = answered(feed, url, page.moved_to, self.clock())
            act = self._unchanged if page.status == NOT_MODIFIED else self._changed
            new = await act(lease, seen, page)
        except (FetchError, DecodeError, ArchiveError) as e:
            # A look at where it has moved to that fails begins the probation anew.
            return await self._failed(
                lease, feed if url == feed.url else replace(feed, move=None), e
            )
        if seen.url != feed.url:
            log.info("feed_moved", to=public_part(seen.url))
        return new

    async def _left_to(self, lease: Lease, feed: Feed, other: Feed) -> tuple[EntryId, ...]:
        """Ask nothing: the other feed is asked where this one has moved to."""
        left = replace(feed, same_as=other.feed_id, error="", failures=0)
        log.info("feed_left_to", other=other.feed_id)
        await self._note_hub(feed, None)
        return await self._claim(lease, left, None, wish=Wish(seconds=PROBATION_S, why=Why.MOVED))

    async def _ask(self, feed: Feed, url: str) -> Page:
        """Return what a server says of a feed; a 304 only where it is about what we have."""
        ask = partial(self.fetcher.get, url, self.terms, feed=feed.feed_id)
        page = await ask(validators=feed.validators)
        if page.status == NOT_MODIFIED and feed.validators.url not in ("", page.final_url):
            # Tags and dates are those of one address (RFC 9110 section 8.8): when a redirect leads
            # elsewhere than before, what is there may be older than our date and new to us.
            page = await ask()
        return page

    async def _changed(self, lease: Lease, feed: Feed, page: Page) -> tuple[EntryId, ...]:
        parsed = await self.sandbox.parse_feed(
            page.body,
            page.final_url,
            page.headers.get("content-type", ""),
            content_chars=self.contents.least_chars,
        )
        await asyncio.to_thread(self.archive.append, page)
        now = self.clock()
        entries = entries_of(parsed, feed, now)
        listed = await self._insist(partial(self.feeds.listed, feed.feed_id))
        unlisted = [entry.entry_id for entry in entries if entry.entry_id not in listed]
        new = await self._insist(partial(self.ledger.unknown, unlisted))
        # Before the claim: once the feed's new validators are stored, a 304 would hide an edit.
        said = [one for one in maybe_edited(entries, listed) if one.entry_id not in new]
        edited = await self._insist(partial(self.edits.edit, said, now=now))
        most = quota.left(feed.taken, now, a_day=self.max_new_a_day)
        within, taken = quota.within(entries, new, most)
        brought = [entry for entry in within if entry.entry_id in taken]
        left_out = len(new) - len(taken)
        if left_out:
            log.warning("feed_floods", left_out=left_out, a_day=self.max_new_a_day)
        seen = replace(
            feed,
            title=parsed.title or feed.title,
            # Those of the last document that was taken whole: a 304 to them hides nothing.
            validators=feed.validators if left_out else _validators(page),
            wishes=parsed.wishes,
            rhythm=watched(feed.rhythm, now, [entry.published_at for entry in brought]),
            dates=dates_after(feed.dates, (entry.published_at for entry in entries)),
            polled_at=now,
            changed_at=now if taken else feed.changed_at,
            error="",
            failures=0,
            taken=quota.after(feed.taken, len(taken), now, a_day=self.max_new_a_day),
            left_out=left_out,
        )
        # Before the claim, as the entries are: the answer after this one may be a 304.
        if self.contents.least_chars and brought:
            await self._insist(partial(self.contents.keep, parsed, feed, brought, now))
        await self._note_hub(feed, topic_of(page, parsed))
        claimed = await self._claim(lease, seen, within, wish=server_wish(page.headers, now))
        log.info("feed_polled", entries=len(entries), new=len(claimed), edited=edited)
        return claimed

    async def _unchanged(self, lease: Lease, feed: Feed, page: Page) -> tuple[EntryId, ...]:
        now = self.clock()
        given = _validators(page)
        kept = Validators(  # a 304 may bring new validators (RFC 9111 section 4.3.4)
            etag=given.etag or feed.validators.etag,
            last_modified=given.last_modified or feed.validators.last_modified,
            url=page.final_url,
        )
        rhythm = watched(feed.rhythm, now, ())
        seen = replace(
            feed, validators=kept, rhythm=rhythm, polled_at=now, error="", failures=0, left_out=0
        )
        log.debug("feed_unchanged")  # 95 of 100 lines would be this one
        return await self._claim(lease, seen, None, wish=server_wish(page.headers, now))

    async def _failed(
        self, lease: Lease, feed: Feed, error: FetchError | DecodeError | ArchiveError
    ) -> tuple[EntryId, ...]:
        gone = isinstance(error, FetchError) and error.status == GONE
        asked_s = error.retry_after_s if isinstance(error, FetchError) else None
        wish = None if asked_s is None else Wish(seconds=asked_s, why=Why.ASKED)
        seen = replace(
            feed, polled_at=self.clock(), error=str(error), failures=feed.failures + 1, gone=gone
        )
        log.warning("feed_failed", error=str(error), failures=seen.failures)
        if gone:
            await self._note_hub(feed, None)
        return await self._claim(lease, seen, None, wish=wish)

    async def _note_hub(self, feed: Feed, topic: Topic | None) -> None:
        """Keep which hub a feed names, to be asked for pushes."""
        if self.subscriptions is not None:
            now = self.clock()
            await self._insist(partial(self.subscriptions.offered, feed.feed_id, topic, now=now))

    async def _claim(
        self, lease: Lease, feed: Feed, entries: Sequence[Entry] | None, *, wish: Wish | None
    ) -> tuple[EntryId, ...]:
        """Store the entries and the feed's state in one step; None means no document came."""
        now = self.clock()
        standing = standing_of(feed, wish, now, self.policy)
        plan = next_poll(now, self.policy, standing, draw=self.draw())
        soonest_at = soonest_poll_at(now, self.policy, standing)
        if feed.gone:
            plan, soonest_at = Plan(at=NEVER, why=Why.GONE), NEVER
        has_moved = feed.url != lease.feed.url
        polled = replace(feed, interval_s=plan.at - now, why=plan.why, soonest_at=soonest_at)
        claim = FeedClaim(
            feed_id=feed.feed_id,
            token=lease.token,
            next_poll_at=plan.at,
            fields=poll_fields(polled),
            listed_all=entries is not None,
            url=feed.url if has_moved else "",
            address=feed_id(feed.url) if has_moved else "",
        )
        return await self._until_answered(
            partial(self.claims.ask, Claim(entries or (), now=now, feed=claim))
        )

    async def _insist(self, ask: Callable[[], T]) -> T:
        """Return what Redis answers to a call, made in a thread."""
        return await self._until_answered(partial(asyncio.to_thread, ask))

    async def _until_answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what Redis answers: one that is away for a while costs no second request to the feed."""
        waits, begun_at = back_offs(), self.clock()
        while True:
            try:
                return await ask()
            except StoreError as e:
                wait_s = next(waits)
                if self.clock() + wait_s > begun_at + CLAIM_WITHIN_S:
                    raise
                log.warning(
                    "claim_waits",
                    error=str(e),
                    retry_in_s=wait_s,
                )
                await asyncio.sleep(wait_s)


def _validators(page: Page) -> Validators:
    return Validators(
        etag=page.headers.get("etag", ""),
        last_modified=page.headers.get("last-modified", ""),
        url=page.final_url,
    )
