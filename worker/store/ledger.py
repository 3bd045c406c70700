"""The ledger: every entry from its claim to its one outcome.

The ledger is the truth and the queue is not: a hint may be lost, late or doubled (RQ loses jobs
under SIGKILL), and an entry still ends in exactly one outcome. Each method is one atomic script
and may run twice.
"""

import math
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import redis

from worker.core.edits import saying
from worker.model import Entry, EntryId, FeedId, Outcome, StoryId
from worker.settings import DAY_S, LedgerSettings
from worker.store.boilerplate import LINES_TTL_S, Ring
from worker.store.client import store_errors
from worker.store.fields import Fields, entry_fields, entry_of, flat, text_map
from worker.store.keys import Keys, story_lang
from worker.store.scripts import Call, Scripts

FETCH = "fetch"  # claimed; its page is to be fetched
WORK = "work"  # its page is archived (or cannot be had); to be extracted and attached


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The lease of one stage of one entry."""

    entry: Entry
    attempt: int  # 1 for the first
    page: str  # its place in the archive; empty when it has none
    token: str  # of this lease: once another worker has begun, what comes under it is late


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """An entry whose lease ran out, leased again for its finder."""

    entry_id: EntryId
    stage: str
    attempts: int  # of this stage so far


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """An entry as the ledger has it, for people to read."""

    entry: Entry
    stage: str
    outcome: str  # empty while pending
    reason: str
    story_id: str
    attempts: int
    page: str  # its place in the archive, once it has one
    error: str  # of the last attempt
    trace: str  # where that came from, when nobody foresaw it


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedClaim:
    """What a claim writes about the feed that listed the entries."""

    feed_id: FeedId
    token: str  # of the lease to poll it
    next_poll_at: float
    fields: Fields
    listed_all: bool  # the response was a whole document, not a 304
    url: str = ""  # where it is asked from now on; empty: where it was
    address: str = ""  # the id of that address, as a feed would have it


class Ledger:
    """The entries of one namespace."""

    def __init__(self, client: redis.Redis, keys: Keys, settings: LedgerSettings) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._keys = keys
        self._lease_s = settings.lease_s
        self._attempts = settings.attempts
        self._ttl_s = int(settings.retention_days * DAY_S)

    def claim(
        self, entries: Sequence[Entry], *, now: float, feed: FeedClaim | None = None
    ) -> tuple[EntryId, ...]:
        """Put the entries that are new on the ledger; with a feed, store its state after them.

        Returns: the ids of the new ones, in order. Cost: O(entries).
        """
        return entry_ids(self._scripts.run(*self.claiming(entries, now=now, feed=feed)))

    def claiming(self, entries: Sequence[Entry], *, now: float, feed: FeedClaim | None) -> Call:
        """Return the call that makes a claim."""
        feed_id = feed.feed_id if feed else FeedId("")
        k = self._keys
        keys = [k.counts, k.pending, k.feeds, k.feed(feed_id), k.listed(feed_id), k.moved]
        arguments = {
            "now": now,
            "lease": self._lease_s,
            "entries": [(e.entry_id, flat(entry_fields(e)), saying(e)) for e in entries],
            "listed_all": feed is not None and feed.listed_all,
            "feed_id": feed_id,
            "token": feed.token if feed else "",
            "next_poll_at": feed.next_poll_at if feed else 0.0,
            "feed": flat(feed.fields) if feed else [],
            "url": feed.url if feed else "",
            "address": feed.address if feed else "",
        }
        return Call("claim", [*keys, *(k.entry(e.entry_id) for e in entries)], arguments)

    def start(self, entry_id: EntryId, stage: str, *, now: float) -> Started | Outcome | None:
        """Take the lease of one stage, counting the attempt.

        Returns: the lease; ``Outcome.QUARANTINED`` when this was one attempt too many; None when
            there is nothing to do (settled, in another stage, or somebody else's).
        """
        k, token = self._keys, secrets.token_hex(4)
        answer = self._scripts.run(
            "start",
            [k.entry(entry_id), k.pending, k.counts, k.quarantine],
            {
                "id": entry_id,
                "stage": stage,
                "now": now,
                "lease": self._lease_s,
                "attempts": self._attempts,
                "token": token,
            },
        )
        if answer[0] == b"quarantined":
            return Outcome.QUARANTINED
        if answer[0] != b"started":
            return None
        fields = text_map(answer[2:])
        return Started(
            entry=entry_of(entry_id, fields),
            attempt=int(answer[1]),
            page=fields.get("page", ""),
            token=token,
        )

    def advance(self, entry_id: EntryId, page: str, *, now: float, token: str = "") -> bool:
        """Note that the page is archived (or, when empty, cannot be had): on to the next stage.

        Args:
            entry_id: of the entry.
            page: its place in the archive.
            now: Unix seconds.
            token: of the lease under which this was done; empty for none.

        Returns: False when that lease is another one's by now, or the entry has its outcome.
        """
        fields: Fields = {
            "stage": WORK, "attempts": 0, "page": page, "told": now, "again": 0,
            "error": "", "trace": "",
        }  # fmt: skip
        return self._note(entry_id, now + self._lease_s, fields, token)

    def defer(
        self, entry_id: EntryId, error: str, *, due_at: float, trace: str = "", token: str = ""
    ) -> bool:
        """Note why an attempt failed and when reconcile may try again; the rest as for advance."""
        return self._note(entry_id, due_at, {"error": error, "trace": trace}, token)

    def put_off(self, started: Started, *, due_at: float) -> bool:
        """Give the lease of a stage back unused, the attempt uncounted; the rest as for advance."""
        fields: Fields = {"attempts": started.attempt - 1}
        return self._note(started.entry.entry_id, due_at, fields, started.token)

    def settle(
        self,
        entry_id: EntryId,
        outcome: Outcome,
        *,
        reason: str = "",
        story_id: StoryId | None = None,
        token: str = "",
        ring: Ring | None = None,
    ) -> str:
        """Give an entry its outcome, unless it has one.

        Args:
            entry_id: of the entry.
            outcome: which one.
            reason: why, in one word.
            story_id: where it is attached, if it is.
            token: of the lease under which this was done; empty for none.
            ring: to be kept in the same act, if there is one.

        Returns: the outcome that it has now; empty for an unknown entry, and for a late result of one
            that has none yet.
        """
        k = self._keys
        answer: bytes = self._scripts.run(
            "settle",
            [
                *(k.entry(entry_id), k.pending, k.counts, k.langs),
                *([k.lines(ring.source)] if ring else []),
            ],
            {
                "id": entry_id,
                "token": token,
                "lines": ring.lines if ring else "",
                "lines_ttl": LINES_TTL_S,
                "outcome": outcome.value,
                "reason": reason,
                "fields": ["story", story_id] if story_id else [],
                "lang": story_lang(story_id) if story_id else "",
                "ttl": self._ttl_s,
            },
        )
        return answer.decode()

    def give_up(self, entry_id: EntryId, reason: str, *, now: float) -> bool:
        """Put an entry into quarantine at once; return False when it has its outcome already."""
        k = self._keys
        keys = [k.entry(entry_id), k.pending, k.counts, k.quarantine]
        return bool(
            self._scripts.run("give_up", keys, {"id": entry_id, "now": now, "reason": reason})
        )

    @store_errors()
    def renew(self, entry_ids: Iterable[EntryId], *, now: float) -> None:
        """Keep the leases of entries that somebody is busy with. Never shortens a wait."""
        due = {str(entry_id): now + self._lease_s for entry_id in entry_ids}
        if due:
            self._client.zadd(self._keys.pending, due, xx=True, gt=True)

    def hand_back(
        self, entry_ids: Sequence[EntryId], *, now: float, back_off_s: float = 0.0
    ) -> int:
        """End the leases of entries that a worker will not finish: they are due at once.

        Args:
            entry_ids: of the entries.
            now: Unix seconds.
            back_off_s: where the work itself may be to blame, the one that was being worked on
                waits for this after its first attempt, and twice as long after each further one,
                but no longer than a lease.

        Returns: how many. Those with an outcome, or waiting longer for an attempt, are left alone.
        """
        keys = [self._keys.pending, *(self._keys.entry(entry_id) for entry_id in entry_ids)]
        arguments = {
            "now": now,
            "lease": self._lease_s,
            "ids": list(entry_ids),
            "back_off": back_off_s,
        }
        return int(self._scripts.run("hand_back", keys, arguments))

    def overdue(
        self,
        *,
        now: float,
        limit: int,
        stage: str = "",
        told_since: tuple[float, float] = (math.inf, math.inf),
    ) -> tuple[Overdue, ...]:
        """Return entries whose lease ran out, leased again for the caller.

        Args:
            now: Unix seconds.
            limit: leases looked at.
            stage: only entries of this one; empty for all.
            told_since: when the oldest hints were sent that wait, new ones and those told again.
                What they tell of is leased again and not returned.
        """
        found = self._scripts.run(
            "overdue",
            [self._keys.pending],
            {
                "now": now,
                "lease": self._lease_s,
                "limit": limit,
                "stage": stage,
                "entry_prefix": self._keys.entry_prefix,
                "told_since": told_since,
            },
        )
        return tuple(
            Overdue(entry_id=EntryId(raw.decode()), stage=stage.decode(), attempts=int(attempts))
            for raw, stage, attempts in found
        )

    def release(self, entry_id: EntryId, *, now: float, drop: bool = False) -> bool:
        """Take an entry out of quarantine: for another round of attempts, or dropped for good."""
        k = self._keys
        return bool(
            self._scripts.run(
                "release",
                [k.entry(entry_id), k.pending, k.counts, k.quarantine],
                {"id": entry_id, "now": now, "drop": drop, "ttl": self._ttl_s},
            )
        )

    def restore(
        self, entry_id: EntryId, entry: Entry | None, *, now: float, hold: str = ""
    ) -> bool:
        """Take an attached entry back whose article is gone, to be attached again.

        Args:
            entry_id: of the entry, which still has its page.
            entry: what was claimed; None when nothing tells any more.
            now: when it is due.
            hold: why it goes into quarantine instead; empty when it does not.

        Returns: False when it is not attached by now.
        """
        k = self._keys
        fields = flat(entry_fields(entry)) if entry else []
        return bool(
            self._scripts.run(
                "restore",
                [k.entry(entry_id), k.pending, k.counts, k.quarantine],
                {"id": entry_id, "now": now, "fields": fields, "hold": hold},
            )
        )

    @store_errors()
    def row(self, entry_id: EntryId) -> LedgerRow | None:
        """Return one entry as the ledger has it."""
        raw = self._client.hgetall(self._keys.entry(entry_id))
        if not raw:
            return None
        fields = {name.decode(): value.decode() for name, value in raw.items()}
        return LedgerRow(
            entry=entry_of(entry_id, fields),
            stage=fields.get("stage", ""),
            outcome=fields.get("outcome", ""),
            reason=fields.get("reason", ""),
            story_id=fields.get("story", ""),
            attempts=int(fields.get("attempts", "0")),
            page=fields.get("page", ""),
            error=fields.get("error", ""),
            trace=fields.get("trace", ""),
        )

    @store_errors()
    def unknown(self, entry_ids: Sequence[EntryId]) -> frozenset[EntryId]:
        """Return which of these entries are not on the ledger. Cost: O(entries), one round trip."""
        if not entry_ids:
            return frozenset()
        with self._client.pipeline(transaction=False) as pipe:
            for entry_id in entry_ids:
                pipe.exists(self._keys.entry(entry_id))
            found = zip(entry_ids, pipe.execute(), strict=True)
        return frozenset(entry_id for entry_id, known in found if not known)

    @store_errors()
    def quarantined(self) -> tuple[EntryId, ...]:
        """Return the entries given up, oldest first."""
        return entry_ids(self._client.zrange(self._keys.quarantine, 0, -1))

    @store_errors()
    def counts(self) -> dict[str, int]:
        """Return claimed, pending, held (in quarantine) and each outcome, read at one moment."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self._keys.counts)
            pipe.zcard(self._keys.pending)
            pipe.zcard(self._keys.quarantine)
            raw, pending, held = pipe.execute()
        counts = {name.decode(): int(value) for name, value in raw.items()}
        return {**counts, "pending": pending, "held": held}

    def _note(self, entry_id: EntryId, due_at: float, fields: Fields, token: str) -> bool:
        return bool(
            self._scripts.run(
                "advance",
                [self._keys.entry(entry_id), self._keys.pending],
                {"id": entry_id, "token": token, "due": due_at, "fields": flat(fields)},
            )
        )


def entry_ids(raw: Iterable[bytes]) -> tuple[EntryId, ...]:
    """Return ids that Redis gave."""
    return tuple(EntryId(one.decode()) for one in raw)
