"""Spreads the polls that came due while nobody polled, so that a return is no burst.

Called by the poll loop before it takes what is due.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from worker.core.schedule import FEW, LATE_S, caught_up_at
from worker.store.feeds import Feeds

log = structlog.get_logger()

AT_ONCE = 1_000  # feeds moved by one script call, some milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """The late feeds of one namespace."""

    feeds: Feeds
    interval_s: float  # between polls of a feed that was never polled
    draw: Callable[[], float]  # a number in [0, 1): a feed's place among others

    def run(self, *, now: float) -> int:
        """Give late feeds a time to come, all but a few; return how many.

        Raises:
            StoreError: Redis did not answer.

        Cost: one round trip where none is late, else O(late feeds).
        """
        spread = 0
        while late := self.feeds.due_before(now - LATE_S, limit=AT_ONCE):
            many = len(late) > FEW
            moves = []
            for feed in late:
                wait_s = feed.interval_s or self.interval_s
                at = caught_up_at(
                    now, feed.next_poll_at, wait_s, feed.wishes, many=many, draw=self.draw()
                )
                if at > now:
                    moves.append((feed.feed_id, feed.next_poll_at, at))
            spread += self.feeds.postpone(moves)
            if len(late) < AT_ONCE:
                break
        if spread:
            log.warning("late_feeds_spread", feeds=spread)
        return spread
