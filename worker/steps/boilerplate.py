"""Takes out of an article what its publisher repeats on every page, just before it is attached.

In the process that attaches, in event order, so that a replay's answer does not depend on how many
processes prepare.
"""

from collections.abc import Callable
from dataclasses import dataclass

from worker.core.boilerplate import remember, repeated_lines
from worker.model import ArticleId
from worker.steps.pool import Result
from worker.steps.prepare import Prepared
from worker.store.boilerplate import Ring, Rings

UNKNOWN = "unknown"  # the source of records that name none: many publishers, not one

Again = Callable[[frozenset[int]], Result]
"""Prepares the article once more, without the lines of these hashes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boilerplate:
    """Knows the publishers' newest lines."""

    rings: Rings

    def cut(self, prepared: Prepared, source: str, article_id: ArticleId, again: Again) -> Result:
        """Return the article without repeated lines, or its rejection when nothing else is left.

        Cost: two round trips; preparing again where lines repeat.
        """
        repeated, ring = self.look(prepared, source, article_id)
        if ring:
            self.rings.put(ring)
        return again(repeated) if repeated else prepared

    def look(
        self, prepared: Prepared, source: str, article_id: ArticleId
    ) -> tuple[frozenset[int], Ring | None]:
        """Return the hashes of repeated lines, and the publisher's ring with these lines in it.

        The ring is still to be kept; there is none for a source that is unknown. Cost: one round trip.
        """
        if source == UNKNOWN:
            return frozenset(), None
        article = int(article_id[:8], 16)
        lines = self.rings.get(source)
        repeated = repeated_lines(lines, prepared.lines, article)
        return repeated, Ring(source, remember(lines, prepared.lines, article))
