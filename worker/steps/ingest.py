"""The work stage of an entry: its archived page in, its outcome out."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from worker.archive.warc import Archive
from worker.core.redaction import redacted
from worker.core.retry import retry_at
from worker.errors import SamestoryError
from worker.model import Article, Entry, EntryId, IndexParams, MatchPolicy, Outcome
from worker.steps.attach import Attacher
from worker.steps.boilerplate import Boilerplate
from worker.steps.pool import Result
from worker.steps.prepare import Draft, Prepared, prepare
from worker.store.edits import Edits
from worker.store.ledger import WORK, Ledger, Started

log = structlog.get_logger()

# Kept of a stack trace: its last dozen calls.
TRACE_CHARS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """Works off entries. One of them may fail without the others."""

    ledger: Ledger
    edits: Edits
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
        now = self.clock()
        started = self.ledger.start(entry_id, WORK, now=now)
        if started is Outcome.QUARANTINED:
            log.error("entry_quarantined")
        if not isinstance(started, Started):
            return
        try:
            self._settle(started, now)
        except Exception as e:  # noqa: BLE001 - the job's boundary: no entry may take the others along
            foreseen = isinstance(e, SamestoryError)
            reason = redacted(str(e) if foreseen else f"{type(e).__name__}: {e}")
            self.ledger.defer(
                entry_id,
                reason,
                due_at=retry_at(self.clock(), attempt=started.attempt),
                trace="" if foreseen else redacted(_trace(e)),
                token=started.token,
            )
            log.warning("entry_deferred", error=reason, attempt=started.attempt)

    def _settle(self, started: Started, now: float) -> None:
        entry = started.entry
        draft = self._draft(entry, started.page)
        again = partial(prepare, draft, self.params, self.policy)
        prepared: Result = again()
        if isinstance(prepared, Prepared):
            prepared = self.boilerplate.cut(prepared, entry.source, entry.article_id, again)
        if not isinstance(prepared, Prepared):
            self.ledger.settle(
                entry.entry_id, Outcome.REJECTED, reason=prepared.reason, token=started.token
            )
            log.info("entry_settled", outcome="rejected", reason=prepared.reason)
            return
        attachment = self.attacher.attach(
            article_of(entry, prepared, self.params.window_s),
            prepared.sketch,
            entry_id=entry.entry_id,
            now=now,
        )
        if attachment.reason == "known":  # by an attempt that may have begun before an edit
            self.edits.edit_article(prepared.lang, entry)
        self.ledger.settle(
            entry.entry_id,
            attachment.outcome,
            reason=attachment.reason,
            story_id=attachment.story_id,
            token=started.token,
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


def _trace(error: Exception) -> str:
    """Return where an error came from, its last lines if it is long."""
    return "".join(traceback.format_exception(error))[-TRACE_CHARS:]


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
        edited_at=entry.edited_at,
    )
