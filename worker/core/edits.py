"""What counts as an edit: a feed says something else of an entry than it said before.

Pure. Called by steps/poll.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from worker.model import Entry, EntryId

# In each hour one event tells of an article's edits: a feed that changes all the time is polled as often
# (poll.interval_s). Some feeds give their entries other addresses or dates whenever they are asked.
TELL_EACH_S = 3_600.0


def saying(entry: Entry) -> bytes:
    """Return four bytes that are others when a feed says something else of an entry (all but once in 2**32).

    Of what it says its title, address and date of change count: the article shows the first two, and
    the third is the publisher's word that something changed. Not its summary, in which some feeds
    count comments, and not the date of publication, which stays as it was first said.
    """
    said = "\x00".join((entry.title, entry.url, repr(entry.updated_at)))
    return blake2b(said.encode("utf-8", "surrogatepass"), digest_size=4, person=b"saying").digest()


def maybe_edited(entries: Sequence[Entry], listed: Mapping[EntryId, bytes]) -> tuple[Entry, ...]:
    """Return the entries of a document of which its feed's last one did not say the same.

    Args:
        entries: of the document.
        listed: what the last document said of each that it listed; empty where that is to be looked
            at again.
    """
    return tuple(entry for entry in entries if listed.get(entry.entry_id) != saying(entry))
