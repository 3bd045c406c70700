"""The audit: proves on a live system that nothing was lost and nothing counted twice.

It goes through a whole namespace and tells in a line each what does not agree. What moves meanwhile
is never taken for an offence: each look is one script, or is confirmed by a second one.
docs/audit.md has the invariants, and what of each is looked at here.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from worker.model import Outcome
from worker.steps.flaws import told
from worker.store.census import SETTLED, Attached, Flaw, LedgerCensus, Trace
from worker.store.index import slack_s
from worker.store.index_census import IndexCensus
from worker.store.ledger import Ledger
from worker.store.stories import Stories
from worker.store.story_books import StoryBooks
from worker.store.story_census import StoryCensus

# An entry is taken up when its lease ends, or a restart of Redis or of the poller later; of many
# that end at once reconcile takes 200 a second.
OVERDUE_S = 60.0
TAKEN_UP_A_SECOND = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Everything that the audit goes through."""

    ledger: LedgerCensus
    stories: StoryCensus
    books: StoryBooks
    index: IndexCensus
    retention_s: float
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The sums, everything that does not agree, and what was done about it."""

    sums: dict[str, int]
    offences: tuple[str, ...]
    repairs: tuple[str, ...] = ()

    @property
    def balanced(self) -> bool:
        """Whether everything agrees."""
        return not self.offences


Restore = Callable[[Attached, Trace], Flaw]
"""Brings an entry back whose article is gone, and tells what it did."""


def audit(
    ledger: Ledger, stories: Stories, census: Census, *, restore: Restore | None = None
) -> AuditReport:
    """Return what of a namespace does not agree.

    Args:
        ledger: of the namespace.
        stories: of the namespace.
        census: of the namespace.
        restore: given, it is used and everything else is mended that can be, once.

    Raises:
        StoreError: Redis did not answer.

    Cost: O(keys of the server + index), in steps of about a millisecond of Redis's time.
    """
    flaws = list(dict.fromkeys(_Round(ledger, stories, census, restore).flaws()))
    counts, languages = ledger.counts(), stories.languages()
    sums = {
        name: counts.get(name, 0)
        for name in ("claimed", "pending", *(outcome.value for outcome in Outcome))
    }
    sums["articles"] = sum(stories.totals(lang)["articles"] for lang in languages)
    return AuditReport(
        sums=sums,
        offences=tuple(told(flaw) for flaw in flaws if not flaw.mended),
        repairs=tuple(told(flaw) for flaw in flaws if flaw.mended),
    )


class _Round:
    """One way through a namespace."""

    def __init__(
        self, ledger: Ledger, stories: Stories, census: Census, restore: Restore | None
    ) -> None:
        self._ledger = ledger
        self._stories = stories
        self._census = census
        self._restore = restore
        self._mend = restore is not None
        self._seen: dict[str, array[int]] = {outcome: array("q") for outcome in SETTLED}
        self._halves: defaultdict[str, set[str]] = defaultdict(set)  # of each language

    def flaws(self) -> Iterator[Flaw]:
        """Yield what does not agree; later parts rely on what earlier ones mended."""
        has_mended = False
        for flaw in self._of_things():
            has_mended = has_mended or flaw.mended
            yield flaw
        if not has_mended:  # what was mended just now is counted in the next round
            yield from self._of_sums()

    def _of_things(self) -> Iterator[Flaw]:
        ledger, stories, mend = self._census.ledger, self._census.stories, self._mend
        unledgered = ledger.unledgered()
        for ids in ledger.waiting():
            yield from ledger.entries(ids, now=self._census.clock(), mend=mend).flaws
        for kind, lang, ids in ledger.walk():
            yield from self._of_batch(kind, lang, ids)
        for lang in sorted(self._halves):
            for ids in stories.shown(lang):
                yield from stories.names(lang, ids, mend=mend).flaws
        for kind, lang, ids in ledger.walk():
            if kind == "story":
                yield from self._census.books.check(lang, ids, mend=mend)
        for lang, halves in sorted(self._halves.items()):
            yield from stories.counters(lang, sorted(halves, key=int, reverse=True), mend=mend)
            yield from self._census.index.check(lang, mend=mend)
        yield from self._of_waiting()
        nothing_expired = self._nothing_expired()
        for feed_id, entry_id, is_pending in unledgered:
            # One that retention removed is no offence; a pending one was not due to be.
            if is_pending or nothing_expired:
                done = mend and ledger.relist(feed_id, entry_id)
                yield Flaw(kind="unledgered", subject=entry_id, figures=(feed_id,), mended=done)

    def _of_batch(self, kind: str, lang: str, ids: list[str]) -> Iterator[Flaw]:
        """Yield what is wrong with some things of a kind."""
        ledger, stories, mend = self._census.ledger, self._census.stories, self._mend
        if kind == "entry":
            look = ledger.entries(ids, now=self._census.clock(), mend=mend)
            for entry_id, outcome in zip(ids, look.outcomes, strict=True):
                if outcome in self._seen:
                    self._seen[outcome].append(hash(entry_id))
            yield from look.flaws
            yield from self._without_article(look.attached)
            return
        known = self._halves[lang]
        if kind == "article":
            yield from stories.articles(lang, ids, mend=mend)
        elif kind == "story":
            look_at_names = stories.names(lang, ids, mend=mend)
            yield from look_at_names.flaws
            yield from stories.lost_aliases(look_at_names.aliases, mend=mend)
        else:
            known.update(half for half in ids if half.isdecimal())

    def _without_article(self, attached: Sequence[Attached]) -> Iterator[Flaw]:
        """Yield the attached entries whose article was lost, not removed by retention."""
        missing = self._census.stories.without_article(attached)
        traces = self._census.ledger.traces([one.entry for one in missing])
        for one, trace in zip(missing, traces, strict=True):
            if not trace.is_attached or self._is_past(trace):
                continue
            if self._restore:
                yield self._restore(one, trace)
            else:
                yield Flaw(kind="article_lost", subject=one.entry, figures=(one.article,))

    def _is_past(self, trace: Trace) -> bool:
        """Say whether retention may have removed the article of an attached entry.

        Both live equally long, the article from its attach and the entry from its settling: at once
        after that, or where the worker died in between ('known'), at any time after the claim.
        """
        retention_s = self._census.retention_s
        if trace.reason == "known":
            return trace.seen_at < self._census.clock() - retention_s + slack_s(retention_s)
        return 0 <= trace.left_s <= slack_s(retention_s)

    def _of_waiting(self) -> Iterator[Flaw]:
        if self._census.ledger.is_live:
            waiting_s = self._ledger.counts()["pending"] / TAKEN_UP_A_SECOND
            yield from self._census.ledger.overdue(
                now=self._census.clock(), tolerance_s=OVERDUE_S + waiting_s
            )

    def _found(self) -> dict[str, int]:
        """Return how many entries were seen with each outcome; the walk may meet one twice."""
        return {outcome: len(np.unique(np.array(ids))) for outcome, ids in self._seen.items()}

    def _nothing_expired(self) -> bool:
        """Say whether every entry that ever had an outcome is still there."""
        counts = self._ledger.counts()
        return all(counts.get(outcome, 0) == n for outcome, n in self._found().items())

    def _of_sums(self) -> Iterator[Flaw]:
        yield from self._census.ledger.counts(self._found(), mend=self._mend)
        before = self._ledger.counts()
        languages = {*self._stories.languages(), *self._halves}
        articles = sum(self._stories.totals(lang)["articles"] for lang in languages)
        after = self._ledger.counts()
        # An article is written before its entry is settled: those in between are pending or held,
        # or were dropped. One that was lost and attached again was attached twice.
        between = ("pending", "held", "rejected:dropped", "rejected:lost", "restored")
        least = before.get(Outcome.ATTACHED.value, 0)
        most = sum(after.get(name, 0) for name in (Outcome.ATTACHED.value, *between))
        if not least <= articles <= most:
            yield Flaw(kind="articles", subject="", figures=(articles, least, most))
