"""Replay: run records through the same steps as live articles, with the clock moved to their time.

Preparing runs on several cores; attaching follows the event order in one place, so that the
answer does not depend on how many workers there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from worker.model import Article, ArticleId, Outcome, Rejected, StoryId
from worker.steps.attach import Attacher, Attachment
from worker.steps.boilerplate import Boilerplate
from worker.steps.pool import PreparePool, Result
from worker.steps.prepare import Prepared
from worker.steps.records import Record
from worker.store.boilerplate import Ring
from worker.store.ledger import Ledger
from worker.store.replays import Replays, Settled
from worker.store.stories import StoredArticle, Stories

# One claim script of this many entries takes about 3 ms.
CLAIM = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of one record."""

    record: Record
    outcome: Outcome
    story_id: StoryId | None
    copy_of: str | int | None  # the name of the record that it copies
    score: float
    reason: str


@dataclass(slots=True, kw_only=True)
class Replay:
    """Replays records, already in event order, into one namespace.

    One that was cut off goes on: what has its outcome keeps it, and the record that was in hand is decided
    on what it was decided on before. So running it twice changes nothing.
    """

    ledger: Ledger
    replays: Replays
    attacher: Attacher
    boilerplate: Boilerplate
    stories: Stories
    pool: PreparePool

    def run(self, records: Sequence[Record]) -> Iterator[Replayed]:
        """Yield what became of each record, in the order given.

        Of records that share a name the first counts; the others are duplicates.
        """
        first: dict[ArticleId, Replayed] = {}
        unique: dict[ArticleId, Record] = {}
        for record in records:
            unique.setdefault(record.article_id, record)
        before = self._before(list(unique.values()))
        results = self.pool.map(r.draft for r in unique.values() if r.article_id not in before)
        for at, record in enumerate(records):
            if at % CLAIM == 0:
                ahead = records[at : at + CLAIM]
                self.ledger.claim([r.entry() for r in ahead], now=ahead[0].at or 0.0)
            if record.article_id in first:
                yield self._again(record, first[record.article_id])
                continue
            if record.article_id in before:
                done = self._as_before(record, *before[record.article_id], first)
            else:
                done = self._one(record, next(results), first)
            first[record.article_id] = done
            yield done

    def in_the_end(self, done: Sequence[Replayed]) -> list[Replayed]:
        """Return the same with the story of each as it is now: later ones may merge or part stories."""
        members = {r.record.article_id: r.story_id for r in done if r.story_id}
        now = self.stories.stories_of(members)
        return [
            replace(r, story_id=now.get(r.record.article_id, r.story_id)) if r.story_id else r
            for r in done
        ]

    def _before(
        self, records: Sequence[Record]
    ) -> dict[ArticleId, tuple[Settled, StoredArticle | None]]:
        """Return what an earlier run settled, with the article where there is one.

        An article that was attached and is gone is left out, and so attached again.
        """
        if not self.ledger.counts().get("claimed"):
            return {}
        settled = self.replays.settled([record.entry_id for record in records])
        by_article = {r.article_id: settled[r.entry_id] for r in records if r.entry_id in settled}
        stored = self.stories.articles({i: s.story_id for i, s in by_article.items() if s.story_id})
        return {
            i: (one, stored.get(i))
            for i, one in by_article.items()
            if one.story_id is None or i in stored
        }

    def _again(self, record: Record, first: Replayed) -> Replayed:
        """Give a record of an article that came before its outcome: a duplicate, or what that one was."""
        attached = first.story_id is not None
        again = Replayed(
            record=record,
            outcome=Outcome.DUPLICATE if attached else first.outcome,
            story_id=first.story_id,
            copy_of=None,
            score=1.0 if attached else 0.0,
            reason="known" if attached else first.reason,
        )
        if record.entry_id == first.record.entry_id:
            return again  # the entry has its outcome
        if again.outcome is Outcome.QUARANTINED:
            self.ledger.give_up(record.entry_id, again.reason, now=record.at or 0.0)
        else:
            self.ledger.settle(
                record.entry_id, again.outcome, reason=again.reason, story_id=again.story_id
            )
        return again

    def _as_before(
        self,
        record: Record,
        settled: Settled,
        stored: StoredArticle | None,
        done: Mapping[ArticleId, Replayed],
    ) -> Replayed:
        return Replayed(
            record=record,
            outcome=settled.outcome,
            story_id=settled.story_id,
            copy_of=self._name_of(stored.copy_of if stored else None, done),
            score=stored.score if stored else 0.0,
            reason=settled.reason,
        )

    def _one(self, record: Record, result: Result, done: Mapping[ArticleId, Replayed]) -> Replayed:
        ring = None
        if isinstance(result, Prepared):
            repeated, ring = self.boilerplate.look(result, record.source, record.article_id)
            if repeated:
                result = self.pool.again(record.draft, repeated)
        if isinstance(result, Prepared):
            return self._attached(record, result, ring, done)
        if isinstance(result, Rejected):
            outcome = Outcome.REJECTED
            self.ledger.settle(record.entry_id, outcome, reason=result.reason, ring=ring)
        else:
            outcome = Outcome.QUARANTINED
            if ring:
                self.boilerplate.rings.put(ring)
            self.ledger.give_up(record.entry_id, result.reason, now=record.at or 0.0)
        return Replayed(
            record=record,
            outcome=outcome,
            story_id=None,
            copy_of=None,
            score=0.0,
            reason=result.reason,
        )

    def _attached(
        self,
        record: Record,
        prepared: Prepared,
        ring: Ring | None,
        done: Mapping[ArticleId, Replayed],
    ) -> Replayed:
        at = record.at or 0.0
        attachment = self.attacher.attach(
            _article(record, prepared, at), prepared.sketch, entry_id=record.entry_id, now=at
        )
        self.ledger.settle(
            record.entry_id,
            attachment.outcome,
            reason=attachment.reason,
            story_id=attachment.story_id,
            ring=ring,
        )
        copy_of, score = self._as_stored(record, attachment)
        return Replayed(
            record=record,
            outcome=attachment.outcome,
            story_id=attachment.story_id,
            copy_of=self._name_of(copy_of, done),
            score=score,
            reason=attachment.reason,
        )

    def _as_stored(self, record: Record, attachment: Attachment) -> tuple[ArticleId | None, float]:
        """Return copy and score as decided, also where an earlier run decided them."""
        if attachment.reason != "known":
            return attachment.copy_of, attachment.score
        stored = self.stories.article(record.article_id)
        return (stored.copy_of, stored.score) if stored else (None, 0.0)

    def _name_of(
        self, article: ArticleId | None, done: Mapping[ArticleId, Replayed]
    ) -> str | int | None:
        if article is None:
            return None
        if article in done:
            return done[article].record.name
        stored = self.stories.article(article)
        return stored.ref if stored else article


def _article(record: Record, prepared: Prepared, at: float) -> Article:
    return Article(
        article_id=record.article_id,
        ref=str(record.name),
        url=record.draft.url,
        source=record.source,
        title=prepared.title,
        lang=prepared.lang,
        published_at=at,
        at=at,
        seen_at=at,
    )
