"""Take up again what was left lying: entries whose lease ran out, at whatever stage."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from worker.hints import Hints
from worker.model import EntryId
from worker.store.ledger import FETCH, Ledger

log = structlog.get_logger()

# Entries looked at in one go: one script call of some milliseconds.
LIMIT = 200
# With more hints than this waiting, an overdue entry is most likely in one of them; a second hint
# would be harmless but would make the queue longer still.
BUSY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Finds overdue entries of one namespace; any node may run it, and several at once."""

    ledger: Ledger
    hints: Hints
    batch: int

    def run(self, *, now: float) -> tuple[EntryId, ...]:
        """Hint again at what waits for work; return what waits for its page.

        An entry that was tried before goes alone: should its page kill the worker once more, it
        takes no other entry with it.
        """
        overdue = self.ledger.overdue(now=now, limit=LIMIT)
        work = [one for one in overdue if one.stage != FETCH]
        if work and self.hints.waiting() < BUSY:
            self.send([one.entry_id for one in work if not one.attempts])
            for one in work:
                if one.attempts:
                    self.hints.send([one.entry_id])
            log.info("hinted_again", entries=len(work))
        return tuple(one.entry_id for one in overdue if one.stage == FETCH)

    def send(self, entry_ids: Sequence[EntryId]) -> None:
        """Hint at entries, a batch a job."""
        for at in range(0, len(entry_ids), self.batch):
            self.hints.send(entry_ids[at : at + self.batch])
