"""How many new entries a feed may bring: a day's worth at once, then as many as a day gives back.

Pure. A feed that lists thousands of new entries in each poll would fill ledger, archive and index
alone; what its quota does not allow stays unclaimed, for a later poll. Called by steps/poll.
"""

from collections.abc import Collection, Sequence

from worker.model import Entry, EntryId, Taken

DAY_S = 86_400.0


def left(taken: Taken, now: float, *, a_day: int) -> int:
    """Return how many new entries of a feed may be claimed now, at least 0."""
    return max(0, int(a_day - _counted(taken, now, a_day)))


def after(taken: Taken, claimed: int, now: float, *, a_day: int) -> Taken:
    """Return what counts as taken when so many more were claimed."""
    return Taken(count=_counted(taken, now, a_day) + claimed, at=now)


def within(
    entries: Sequence[Entry], new: Collection[EntryId], most: int
) -> tuple[tuple[Entry, ...], frozenset[EntryId]]:
    """Return a document's entries without the new ones beyond ``most``, and the ids of those kept.

    Args:
        entries: of the document, whose order decides: feeds list the newest first.
        new: the ids of those that are new.
        most: so many of these.
    """
    kept = frozenset([entry.entry_id for entry in entries if entry.entry_id in new][:most])
    out = frozenset(new) - kept
    return tuple(entry for entry in entries if entry.entry_id not in out), kept


def _counted(taken: Taken, now: float, a_day: int) -> float:
    """Return what of earlier claims counts still: a day gives ``a_day`` of them back."""
    return max(0.0, taken.count - a_day * max(0.0, now - taken.at) / DAY_S)
