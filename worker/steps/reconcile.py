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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Finds overdue entries of one namespace; any node may run it, and several at once."""

    ledger: Ledger
    hints: Hints
    batch: int

    def run(self, *, now: float) -> tuple[EntryId, ...]:
        """Hint again at what waits for work; return what waits for its page.

        What a waiting hint tells of is left to that hint. An entry that was tried before goes alone:
        should its page kill the worker once more, it takes no other entry with it.
        """
        oldest = self.hints.oldest()
        overdue = self.ledger.overdue(now=now, limit=LIMIT, told_since=(oldest.new, oldest.again))
        work = [one for one in overdue if one.stage != FETCH]
        if work:
            self.send([one.entry_id for one in work if not one.attempts], now=now, again=True)
            for one in work:
                if one.attempts:
                    self.hints.send([one.entry_id], now=now, again=True)
            log.info("hinted_again", entries=len(work))
        return tuple(one.entry_id for one in overdue if one.stage == FETCH)

    def send(self, entry_ids: Sequence[EntryId], *, now: float, again: bool = False) -> None:
        """Hint at entries, a batch a job; the rest as for Hints.send."""
        for at in range(0, len(entry_ids), self.batch):
            self.hints.send(entry_ids[at : at + self.batch], now=now, again=again)
