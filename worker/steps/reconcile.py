"""Take up again what was left lying: entries whose lease ran out, at whatever stage."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from worker.hints import Hints
from worker.model import EntryId
from worker.store.ledger import FETCH, WORK, Ledger, Overdue

log = structlog.get_logger()

# Entries looked at in one go: one script call of some milliseconds.
LIMIT = 200
# Where pages are passed over, of which many wait while no poller lives: as long.
WORK_LIMIT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Finds overdue entries of one namespace; any node may run it, and several at once."""

    ledger: Ledger
    hints: Hints
    batch: int

    def run(self, *, now: float) -> tuple[EntryId, ...]:
        """Hint again at what waits for work; return what waits for its page."""
        overdue = self._overdue(now, LIMIT, stage="")
        self._hint_again([one for one in overdue if one.stage != FETCH], now)
        return tuple(one.entry_id for one in overdue if one.stage == FETCH)

    def hint_again(self, *, now: float) -> None:
        """Hint again at what waits for work, and leave what waits for its page to those who fetch."""
        self._hint_again(self._overdue(now, WORK_LIMIT, stage=WORK), now)

    def _overdue(self, now: float, limit: int, *, stage: str) -> tuple[Overdue, ...]:
        """Return what is overdue, but for what a waiting hint tells of."""
        since = self.hints.oldest()
        return self.ledger.overdue(
            now=now, limit=limit, stage=stage, told_since=(since.new, since.again)
        )

    def _hint_again(self, work: Sequence[Overdue], now: float) -> None:
        """Hint at entries; one that was tried before goes alone.

        Should its page kill the worker once more, it takes no other entry with it.
        """
        if work:
            self.send([one.entry_id for one in work if not one.attempts], now=now, again=True)
            for one in work:
                if one.attempts:
                    self.hints.send([one.entry_id], now=now, again=True)
            log.info("hinted_again", entries=len(work))

    def send(self, entry_ids: Sequence[EntryId], *, now: float, again: bool = False) -> None:
        """Hint at entries, a batch a job; the rest as for Hints.send."""
        for at in range(0, len(entry_ids), self.batch):
            self.hints.send(entry_ids[at : at + self.batch], now=now, again=again)
