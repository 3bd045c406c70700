"""The work stage of an entry: its archived page in, its outcome out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from worker.archive.warc import Archive
from worker.core.retry import retry_at
from worker.errors import SamestoryError
from worker.model import Article, Entry, EntryId, IndexParams, MatchPolicy, Outcome
from worker.steps.attach import Attacher
from worker.steps.boilerplate import Boilerplate
from worker.steps.pool import Result
from worker.steps.prepare import Draft, Prepared, prepare
from worker.store.ledger import WORK, Ledger, Started

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """Works off entries. One of them may fail without the others."""

    ledger: Ledger
    archive: Archive
    attacher: Attacher
    boilerplate: Boilerplate
    params: IndexParams
    policy: MatchPolicy
    clock: Callable[[], float]

    def work(self, entry_ids: Sequence[EntryId]) -> None:
        """Bring each entry to its outcome, or note why not and when to try again."""
        for at, entry_id in enumerate(entry_ids):
            self.ledger.renew(entry_ids[at + 1 :], now=self.clock())
            with structlog.contextvars.bound_contextvars(entry=entry_id):
                self._one(entry_id)

    def _one(self, entry_id: EntryId) -> None:
        now, attempt = self.clock(), 1
        try:
            started = self.ledger.start(entry_id, WORK, now=now)
            if isinstance(started, Started):
                attempt = started.attempt
                self._settle(started, now)
            elif started is Outcome.QUARANTINED:
                log.error("entry_quarantined")
        except Exception as e:  # noqa: BLE001 - the job's boundary: no entry may take the others along
            due_at = retry_at(self.clock(), attempt=attempt)
            reason = str(e) if isinstance(e, SamestoryError) else f"{type(e).__name__}: {e}"
            self.ledger.defer(entry_id, reason, due_at=due_at)
            log.warning("entry_deferred", error=reason, attempt=attempt)

    def _settle(self, started: Started, now: float) -> None:
        entry = started.entry
        draft = self._draft(entry, started.page)
        again = partial(prepare, draft, self.params, self.policy)
        prepared: Result = again()
        if isinstance(prepared, Prepared):
            prepared = self.boilerplate.cut(prepared, entry.source, entry.article_id, again)
        if not isinstance(prepared, Prepared):
            self.ledger.settle(entry.entry_id, Outcome.REJECTED, reason=prepared.reason)
            log.info("entry_settled", outcome="rejected", reason=prepared.reason)
            return
        attachment = self.attacher.attach(
            article_of(entry, prepared, self.params.window_s),
            prepared.sketch,
            entry_id=entry.entry_id,
            now=now,
        )
        self.ledger.settle(
            entry.entry_id,
            attachment.outcome,
            reason=attachment.reason,
            story_id=attachment.story_id,
            lang=prepared.lang,
        )
        log.info(
            "entry_settled",
            outcome=attachment.outcome.value,
            reason=attachment.reason,
            story=attachment.story_id,
            latency_s=round(self.clock() - entry.seen_at, 3),
        )

    def _draft(self, entry: Entry, page: str) -> Draft:
        html, url = b"", entry.url
        if page:
            archived = self.archive.read(page)
            html, url = archived.body, archived.final_url
        return Draft(title=entry.title, text=entry.summary, html=html, url=url, lang="")


def article_of(entry: Entry, prepared: Prepared, window_s: float) -> Article:
    """Return the article behind an entry.

    An undated one counts as published when first seen, and so does one from before the index
    window as far as matching goes: a page of years ago that a feed lists today is news of today.
    """
    published_at = entry.seen_at if entry.published_at is None else entry.published_at
    is_recent = published_at >= entry.seen_at - window_s
    return Article(
        article_id=entry.article_id,
        ref=entry.ref,
        url=entry.url,
        source=entry.source,
        title=prepared.title,
        lang=prepared.lang,
        published_at=published_at,
        at=min(published_at, entry.seen_at) if is_recent else entry.seen_at,
        seen_at=entry.seen_at,
    )
