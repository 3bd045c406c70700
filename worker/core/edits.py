"""What counts as an edit: a feed says something else of an entry than it said before.

Pure. Called by steps/poll.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from worker.model import Entry, EntryId

# An article is edited once in that time at most: as often as a feed is polled that changes all the
# time (poll.interval_s). Some feeds give an entry another address or date whenever they are asked.
EDIT_GAP_S = 3_600.0


def saying(entry: Entry) -> bytes:
    """Return four bytes that are others when a feed says something else of an entry.

    Of what it says its title, address and date of change count: the article shows the first two, and
    the third is the publisher's word that something changed. Not its summary, in which some feeds
    count comments, and not the date of publication, which stays as it was first said.
    """
    said = "\x00".join((entry.title, entry.url, repr(entry.updated_at)))
    return blake2b(said.encode(), digest_size=4, person=b"saying").digest()


def maybe_edited(entries: Sequence[Entry], listed: Mapping[EntryId, bytes]) -> tuple[Entry, ...]:
    """Return the entries of a document of which its feed's last one did not say the same.

    Args:
        entries: of the document.
        listed: what the last document said of each that it listed; empty where that is to be looked
            at again.
    """
    return tuple(entry for entry in entries if listed.get(entry.entry_id) != saying(entry))
