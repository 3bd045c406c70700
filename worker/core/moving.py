"""When a feed has moved: a permanent redirect is believed after a probation, and a look of its own.

Pure. Redirects that call themselves permanent are set up by mistake, by a parked domain or by a
hotel's network, and taken back; a stored one is for good (feed reader score project). Called by
steps/poll.
"""

from dataclasses import replace

from worker.core.entries import canonical_url
from worker.model import Feed, Move

# Three of the same in a row over a day or longer: mistakes are mended within that, and a reader's
# own network changes.
PROBATION_POLLS = 3
PROBATION_S = 86_400.0


def address(feed: Feed, now: float) -> str:
    """Return where a feed is to be asked: at its address, or where it has proven to have moved."""
    move = feed.move
    if move and move.polls >= PROBATION_POLLS and now - move.since >= PROBATION_S:
        return move.url
    return feed.url


def answered(feed: Feed, asked: str, moved_to: str, now: float) -> Feed:
    """Return a feed after a poll that was answered.

    Args:
        feed: before it.
        asked: what `address` said.
        moved_to: where permanent redirects led from there; empty without them.
        now: Unix seconds.
    """
    if asked != feed.url and not moved_to:
        return replace(feed, url=asked, move=None)
    if not moved_to:
        return replace(feed, move=None) if feed.move else feed
    url = canonical_url(moved_to)
    is_downgrade = feed.url.startswith("https:") and url.startswith("http:")
    if not url or url == feed.url or is_downgrade:
        return replace(feed, move=None)
    if feed.move and feed.move.url == url and asked == feed.url:
        return replace(feed, move=replace(feed.move, polls=feed.move.polls + 1))
    return replace(feed, move=Move(url=url, since=now, polls=1))
