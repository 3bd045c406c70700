"""The repair: mends what the audit finds, while everything goes on working.

Each mend is one script that looks again before it writes, so it may run beside workers, be stopped
at any moment and run again. One mend may make the next one possible, so there are rounds of it.
"""

from dataclasses import replace

from worker.archive.warc import Archive
from worker.errors import ArchiveError
from worker.steps.audit import AuditReport, Census, audit
from worker.store.census import Attached, Flaw, Trace
from worker.store.ledger import Ledger
from worker.store.stories import Stories

# A lost story takes four: its entries, its articles, its figures, the sums. What a tenth round would
# still find to mend comes from something that goes on breaking it.
ROUNDS = 10


def repair(ledger: Ledger, stories: Stories, census: Census, archive: Archive) -> AuditReport:
    """Mend what can be mended; return what was done and what still does not agree.

    Raises:
        StoreError: Redis did not answer; what was mended until then stays so.

    Cost: a few times that of an audit.
    """

    def restore(lost: Attached, trace: Trace) -> Flaw:
        return _restored(lost, trace, ledger=ledger, census=census, archive=archive)

    done: list[str] = []
    for _ in range(ROUNDS):
        report = audit(ledger, stories, census, restore=restore)
        done += report.repairs
        if not report.repairs:
            break
    else:
        report = audit(ledger, stories, census)
    return replace(report, repairs=tuple(done))


def _restored(
    lost: Attached, trace: Trace, *, ledger: Ledger, census: Census, archive: Archive
) -> Flaw:
    """Bring an entry back whose article is gone; what was claimed stands with its archived page."""
    kind, hold, entry = "article_lost", "", None
    if trace.page:
        try:
            entry = archive.entry(trace.page)
        except ArchiveError as e:
            return Flaw(
                kind="article_lost_here", subject=lost.entry, figures=(lost.article, str(e))
            )
    if not census.ledger.is_live:
        kind = "article_lost_in_replay"
    elif entry is None:
        kind, hold = (
            "article_lost_for_good",
            "its article is gone, and no archived page tells of it",
        )
    done = ledger.restore(lost.entry, entry, now=census.clock(), hold=hold)
    return Flaw(kind=kind, subject=lost.entry, figures=(lost.article,), mended=done)
