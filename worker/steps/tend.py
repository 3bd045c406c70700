"""Tends a story that an article just joined: makes one of two that are one, two of one that parts.

Both are decided on the stories' exemplars as they were a moment ago, and written only if nobody
changed them since. What is not done because of that, or because a worker died here, the next
article of the story brings up again: no count depends on it.
"""

import hashlib
from dataclasses import dataclass

from worker.core.merging import bridged, merged_exemplars, should_merge
from worker.core.partings import CHECKPOINTS, parting
from worker.core.salience import DocumentFrequencies
from worker.core.scorer import Scorer
from worker.model import ArticleId, Decision, MatchPolicy, Probe, StoryCandidate, StoryId
from worker.store.index import Index
from worker.store.keys import story_lang


@dataclass(frozen=True, slots=True, kw_only=True)
class Tender:
    """Merges and splits the stories of one namespace."""

    index: Index
    policy: MatchPolicy
    scorer: Scorer

    def tend(
        self,
        article: ArticleId,
        story: StoryCandidate,
        *,
        decision: Decision,
        probe: Probe,
        df: DocumentFrequencies,
        now: float,
    ) -> StoryId:
        """Return the story that the article belongs to after its story was looked after.

        Args:
            article: what came last.
            story: the one that it joined, as it is from now on.
            decision: why it joined.
            probe: what the decision was made on.
            df: document frequencies of the stream.
            now: event time.

        Raises:
            StoreError: Redis did not answer.
        """
        other = next((s for s in probe.stories if s.story_id == bridged(decision)), None)
        if other is not None:
            rivals = [
                s for s in probe.stories if s.story_id not in (story.story_id, other.story_id)
            ]
            into, part = sorted((story, other), key=_standing, reverse=True)
            if should_merge(
                story, other, rivals, df=df, policy=self.policy, scorer=self.scorer
            ) and self._merge(into, part, bridge=article, now=now):
                return into.story_id
        if story.size in CHECKPOINTS:
            moved = [story.exemplar_ids[i] for i in parting(story.exemplars, df)]
            if moved:
                opens = _parted_id(story, moved)
                if self.index.split(story, moved, opens=opens, now=now) and article in moved:
                    return opens
        return story.story_id

    def _merge(
        self, into: StoryCandidate, part: StoryCandidate, *, bridge: ArticleId, now: float
    ) -> bool:
        older, younger = sorted((into, part), key=lambda s: s.first_at)
        ids = dict(zip(older.exemplars, older.exemplar_ids, strict=True))
        ids |= dict(zip(younger.exemplars, younger.exemplar_ids, strict=True))
        vectors = merged_exemplars(older.exemplars, younger.exemplars)
        exemplars = vectors, [ids[vector] for vector in vectors]
        return self.index.merge(into, part, exemplars, bridge=bridge, now=now)


def _standing(story: StoryCandidate) -> tuple[int, float, StoryId]:
    """Return what makes a story keep its name when two become one: size, then age."""
    return story.size, -story.first_at, story.story_id


def _parted_id(story: StoryCandidate, moved: list[ArticleId]) -> StoryId:
    """Return the id of the story that articles open by leaving another one: the same in every replay."""
    digest = hashlib.blake2b(moved[-1].encode(), digest_size=6, person=b"parted")
    return StoryId(f"{story_lang(story.story_id)}-{digest.hexdigest()}")
