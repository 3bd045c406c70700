"""Keeps the list of followed feeds on disk, and follows it again where Redis has lost everything.

The list is an OPML file that people may import anywhere. Redis is the truth as long as it knows that
the list was written from it; an emptied one does not. Called by the poll loop.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from worker.core.entries import feed_id
from worker.core.schedule import spread_poll_at
from worker.decode.opml import read_opml, write_opml
from worker.errors import DecodeError
from worker.model import Feed
from worker.store.feeds import Feeds

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Following:
    """The feeds of one namespace and their list."""

    feeds: Feeds
    path: Path
    interval_s: float  # between polls of a healthy feed
    draw: Callable[[], float]  # a number in [0, 1): a restored feed's place in the first interval
    _written: frozenset[str] | None = field(default=None, init=False)

    def keep(self, *, now: float) -> None:
        """Write the list when the feeds changed; follow it when Redis does not know of it.

        A list that cannot be read or written is told, and stands in nobody's way.

        Raises:
            StoreError: Redis did not answer.
        """
        try:
            if not self.feeds.is_listed():
                self._restore(now)
                self.feeds.mark_listed()
            addresses = self.feeds.addresses()
            if addresses != self._written:
                self._write(self.feeds.all())
                self._written = addresses
        except (OSError, DecodeError) as e:
            log.error("feed_list_failed", path=str(self.path), error=str(e))

    def _restore(self, now: float) -> None:
        if not self.path.is_file():
            return
        listed = read_opml(self.path.read_bytes())
        added = 0
        for url, title in listed:
            at = spread_poll_at(now, self.interval_s, draw=self.draw())
            added += self.feeds.add(
                Feed(feed_id=feed_id(url), url=url, title=title, next_poll_at=at)
            )
        log.warning("feeds_restored", path=str(self.path), feeds=added)

    def _write(self, feeds: tuple[Feed, ...]) -> None:
        """Put the list in place whole, for its owner only: addresses may carry keys."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_bytes(write_opml(feeds))
        new.replace(self.path)
