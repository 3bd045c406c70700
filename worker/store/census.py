"""Goes through a namespace for the audit, in steps small enough for a live server: the ledger's part.

Every look at a few things is one script, so that what moves meanwhile is never seen halfway. The same
script mends what it finds when told to, by the same rule. worker/steps/audit.py says in words what is
found here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import msgpack
import redis

from worker.model import ArticleId, EntryId, FeedId, Outcome, StoryId
from worker.store.client import store_errors
from worker.store.keys import LIVE, Keys
from worker.store.scripts import Scripts

# Things looked at by one script: about a millisecond of Redis's time, on a busy machine.
STEP = 50
SCAN = 500  # slots of Redis's table that one SCAN passes over: as long
SETTLED = (Outcome.ATTACHED.value, Outcome.DUPLICATE.value, Outcome.REJECTED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Something that does not agree: what kind of thing, about what, with what figures."""

    kind: str
    subject: str
    figures: tuple[object, ...] = ()
    mended: bool = False


class Attached(NamedTuple):
    """Where an attached entry went, as the ledger says."""

    entry: EntryId
    article: ArticleId
    story: StoryId


class Trace(NamedTuple):
    """What an attached entry still tells of its settling."""

    is_attached: bool
    reason: str
    seen_at: float
    page: str
    left_s: float  # until retention removes it


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryCensus:
    """What a look at some entries showed."""

    flaws: tuple[Flaw, ...]
    outcomes: tuple[str, ...]  # of each, in order; empty for what has none
    attached: tuple[Attached, ...]


class LedgerCensus:
    """The ledger of one namespace, gone through."""

    def __init__(self, client: redis.Redis, keys: Keys, *, lease_s: float) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._keys = keys
        self._lease_s = lease_s

    @property
    def is_live(self) -> bool:
        """Whether pollers look after this namespace; nobody does after that of a replay."""
        return self._keys.namespace == LIVE

    def walk(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield the entries, articles, stories and halves of a window that there are, STEP at a time.

        Yields: 'entry', 'article', 'story' or 'docs', the language of all but the first, and ids.
            What comes or goes meanwhile may be among them or not, and one id may come twice.
        Cost: O(keys of the server), a step at a time.
        """
        name = re.escape(self._keys.namespace)
        known = re.compile(rf"\{{{name}(?::([a-z]+))?\}}:(entry|article|story|docs):(.+)")
        found: dict[tuple[str, str], list[str]] = {}
        for key in self._scan(f"{{{self._keys.namespace}[:}}]*"):
            if match := known.fullmatch(key):
                ids = found.setdefault((match[2], match[1] or ""), [])
                ids.append(match[3])
                if len(ids) == STEP:
                    yield match[2], match[1] or "", found.pop((match[2], match[1] or ""))
        for (kind, lang), ids in found.items():
            yield kind, lang, ids

    def _scan(self, pattern: str) -> Iterator[str]:
        with store_errors():
            for raw in self._client.scan_iter(match=pattern, count=SCAN):
                yield raw.decode(errors="replace")

    def waiting(self) -> Iterator[list[str]]:
        """Yield the ids that are pending or in quarantine, whether they have a record or not."""
        for key in (self._keys.pending, self._keys.quarantine):
            ids = self._members(key)
            while step := list(islice(ids, STEP)):
                yield step

    @store_errors()
    def files_in_use(self) -> frozenset[str]:
        """Return the archive files in which pending and quarantined entries have their pages.

        Who moves from one to the other meanwhile, either way, is seen all the same; to move twice
        takes several attempts, and their waits. Cost: O(entries without an outcome), STEP a round trip.
        """
        k, found = self._keys, set[str]()
        for key in (k.quarantine, k.pending, k.quarantine):
            ids = self._members(key)
            while step := list(islice(ids, STEP)):
                with self._client.pipeline(transaction=False) as pipe:
                    for entry_id in step:
                        pipe.hget(k.entry(EntryId(entry_id)), "page")
                    places = pipe.execute()
                found.update(place.decode().partition(":")[0] for place in places if place)
        return frozenset(found)

    def _members(self, key: str) -> Iterator[str]:
        with store_errors():
            for raw, _ in self._client.zscan_iter(key, count=STEP):
                yield raw.decode(errors="replace")

    def entries(self, ids: Sequence[str], *, now: float, mend: bool) -> EntryCensus:
        """Return which entries are not in exactly one place, what became of each, and where to."""
        k = self._keys
        packed = self._scripts.run(
            "audit_entries",
            [k.pending, k.quarantine, *(k.entry(EntryId(i)) for i in ids)],
            {"ids": ids, "mend": mend, "now": now},
        )
        flaws, outcomes, attached = msgpack.unpackb(packed, raw=True)
        return EntryCensus(
            flaws=tuple(
                Flaw(kind=kind.decode(), subject=i.decode(), mended=mend) for kind, i in flaws
            ),
            outcomes=tuple(outcome.decode(errors="replace") for outcome in outcomes),
            attached=tuple(
                Attached(*(part.decode(errors="replace") for part in row)) for row in attached
            ),
        )

    @store_errors()
    def traces(self, ids: Sequence[EntryId]) -> list[Trace]:
        """Return what attached entries tell of their settling."""
        with self._client.pipeline(transaction=True) as pipe:
            for entry_id in ids:
                key = self._keys.entry(entry_id)
                pipe.hmget(key, "outcome", "reason", "seen_at", "page")
                pipe.pttl(key)
            answers = pipe.execute()
        return [
            Trace(
                is_attached=outcome == Outcome.ATTACHED.value.encode(),
                reason=(reason or b"").decode(),
                seen_at=float(seen_at or 0),
                page=(page or b"").decode(),
                left_s=left / 1_000,
            )
            for (outcome, reason, seen_at, page), left in zip(
                answers[::2], answers[1::2], strict=True
            )
        ]

    @store_errors()
    def overdue(self, *, now: float, tolerance_s: float) -> tuple[Flaw, ...]:
        """Return entries that nobody takes up, the longest overdue first."""
        before = now - self._lease_s - tolerance_s
        found: list[Flaw] = []
        while True:
            step = self._client.zrange(
                self._keys.pending, "-inf", f"({before}", byscore=True,
                offset=len(found), num=SCAN, withscores=True,
            )  # fmt: skip
            found += [
                Flaw(kind="overdue", subject=raw.decode(), figures=(int(now - due),))
                for raw, due in step
            ]
            if len(step) < SCAN:
                return tuple(found)

    def counts(self, found: dict[str, int], *, mend: bool) -> tuple[Flaw, ...]:
        """Return which counts are not the numbers of what they count.

        Args:
            found: entries seen of each settled outcome. There may be more that came since, and
                retention removes some.
            mend: correct what is certain.
        """
        k = self._keys
        answer = self._scripts.run(
            "audit_counts", [k.counts, k.pending, k.quarantine], {"mend": mend, "found": found}
        )
        return tuple(
            Flaw(
                kind=kind.decode(),
                subject=outcome.decode(),
                figures=tuple(int(figure) for figure in figures),
                mended=bool(mended),
            )
            for kind, mended, outcome, *figures in answer
        )

    @store_errors()
    def unledgered(self) -> list[tuple[FeedId, EntryId, bool]]:
        """Return the entries that feeds listed but that have no record, and whether they are pending.

        Cost: O(entries that feeds list).
        """
        found = []
        for raw in self._client.zrange(self._keys.feeds, 0, -1):
            feed_id = FeedId(raw.decode())
            listed = self._scripts.run("listed", [self._keys.listed(feed_id)], {})
            ids = (EntryId(one.decode()) for one in listed[::2])
            while step := list(islice(ids, STEP)):
                found += [(feed_id, *one) for one in self._listed(feed_id, step, mend=False)]
        return found

    def relist(self, feed_id: FeedId, entry_id: EntryId) -> bool:
        """Let a feed list an entry anew that has no record; return whether it had none."""
        return bool(self._listed(feed_id, [entry_id], mend=True))

    def _listed(
        self, feed_id: FeedId, ids: Sequence[EntryId], *, mend: bool
    ) -> list[tuple[EntryId, bool]]:
        k = self._keys
        answer = self._scripts.run(
            "audit_listed",
            [k.listed(feed_id), k.feed(feed_id), k.pending, *map(k.entry, ids)],
            {"ids": ids, "mend": mend},
        )
        return [(EntryId(raw.decode()), bool(pending)) for raw, pending in answer]
