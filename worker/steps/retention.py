"""Keeps the archive as small as the settings say, and never takes what somebody still needs.

One job: which whole files may go, and away with them. A file stays while a process writes to it, while
an entry that is pending or in quarantine has its page there, and while a `revisit` in a file that
stays on its own account refers to it: a file that only such references keep does not keep others,
or each day would keep the day before it for ever. Called by the poll role and `archive prune`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from worker.archive.files import files_in, is_being_written, referred_from
from worker.core.retention import Limits, Stored, expired, may_refer, stored
from worker.errors import ArchiveError
from worker.store.census import LedgerCensus

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Removes archive files. Several may do so at once."""

    directory: Path
    ledger: LedgerCensus  # of the live namespace
    limits: Limits
    clock: Callable[[], float]  # Redis's: a machine's own may be years ahead
    # What files refer to that no longer change: each is read once, not at every look.
    _referred: dict[str, frozenset[str]] = field(default_factory=dict, init=False)

    def plan(self) -> list[Stored]:
        """Return the files that may go, oldest first.

        Raises:
            ArchiveError: the folder, or a file that may refer to others, cannot be read.
            StoreError: Redis did not answer.
        Cost: a look at the folder. When files are past the limits: O(pending and quarantined entries),
        fifty a round trip, and the files of the same day and the next that stay are read, once.
        """
        try:
            return self._plan()
        except OSError as e:
            raise ArchiveError(f"the archive cannot be read: {e}") from e

    def run(self) -> list[Stored]:
        """Remove the files that may go; return them. Raises as plan, and when one cannot be removed."""
        gone = self.plan()
        for file in gone:
            try:
                (self.directory / file.name).unlink(missing_ok=True)  # or another poller was first
            except OSError as e:
                raise ArchiveError(f"{file.name} cannot be removed: {e.strerror}") from e
            log.info("archive_file_removed", file=file.name, bytes=file.size)
        return gone

    def _plan(self) -> list[Stored]:
        sizes = ((path.name, path.stat().st_size) for path in files_in(self.directory))
        files = [file for name, size in sizes if (file := stored(name, size))]
        doomed = expired(files, self.limits, self.clock())
        if not doomed:
            return []
        needed = self.ledger.files_in_use()
        free = [
            file
            for file in doomed
            if file.name not in needed and not is_being_written(self.directory / file.name)
        ]
        staying = [file for file in files if file not in free]
        referred = self._referred_from([file.name for file in may_refer(staying, free)])
        return [file for file in free if file.name not in referred]

    def _referred_from(self, names: list[str]) -> frozenset[str]:
        found = {
            name: self._referred[name]
            if name in self._referred
            else referred_from(self.directory / name)
            for name in names
        }
        self._referred.clear()
        self._referred.update(found)
        return frozenset().union(*found.values())
