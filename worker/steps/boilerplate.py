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
from worker.store.boilerplate import Rings

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
        if source == UNKNOWN:
            return prepared
        article = int(article_id[:8], 16)
        ring = self.rings.get(source)
        repeated = repeated_lines(ring, prepared.lines, article)
        self.rings.put(source, remember(ring, prepared.lines, article))
        return again(repeated) if repeated else prepared
