"""Fills an index fast: chance in the place of judgement, and in part of probing."""

import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from bench import Stream

import worker.steps.attach as attach_step
from worker.core.stories import copy_of, decide
from worker.model import (
    Decision,
    EntryId,
    Evidence,
    MatchPolicy,
    NewStory,
    Probe,
    SameStory,
    Sketch,
    StoryCandidate,
    StoryId,
)
from worker.steps.attach import membership_of, new_story_id
from worker.steps.tend import Tender
from worker.store.index import ANY_VERSION

# The labelled stream has 2.75 articles a story: so many of 100 join one.
JOINS = 0.64
EVIDENCE_EVERY = 20  # decisions; the evidence of one is what the others in between store
OPEN_STORIES = 4_096  # that an article may join without a probe
ALONE = 2**53  # a probe so new that no rival can have come since


class Lot:
    """Lets chance decide between the best candidate and a new story, for filling an index.

    Recombined articles are about nothing, so judging them all would take most of the time and give
    stories of no real size. Copies are decided as ever, and evidence as long as ever is stored.
    """

    def __init__(self, seed: int = 1) -> None:
        self._draw = random.Random(seed)
        self._count = 0
        self.evidence: tuple[Evidence, ...] = ()

    def joins(self) -> bool:
        """Draw whether an article joins a story."""
        return self._draw.random() < JOINS

    def decide(self, sketch: Sketch, probe: Probe, *, policy: MatchPolicy, **more: Any) -> Decision:
        """Decide as `core.stories.decide` does, but for the judgement."""
        copy = copy_of(sketch, probe.copies, policy)
        if copy:
            return copy
        if self._count % EVIDENCE_EVERY == 0:
            self.evidence = decide(sketch, probe, policy=policy, **more).evidence
        self._count += 1
        if probe.stories and self.joins():
            best = probe.stories[0].story_id
            return SameStory(story_id=best, score=0.9, evidence=self.evidence)
        return NewStory(score=0.1, evidence=self.evidence)


@contextmanager
def decided_by_lot() -> Iterator[Lot]:
    """Put chance in the place of judgement, and leave stories as chance made them."""

    def left_alone(
        _tender: Tender, _article: object, story: StoryCandidate, **_: object
    ) -> StoryId:
        return story.story_id  # what chance put together would part at the first look

    lot = Lot()
    tend, Tender.tend = Tender.tend, left_alone  # type: ignore[assignment, method-assign]
    attach_step.decide = lot.decide  # type: ignore[assignment]
    try:
        yield lot
    finally:
        attach_step.decide = decide
        Tender.tend = tend  # type: ignore[method-assign]


class Filler:
    """Attaches without a probe, to stories by lot: a million articles in a fraction of the time."""

    def __init__(self, stream: Stream, lot: Lot) -> None:
        self._stream = stream
        self._lot = lot
        self._draw = random.Random(2)
        self._stories: deque[StoryCandidate] = deque(maxlen=OPEN_STORIES)

    def attach(self, sketch: Sketch, *, at: float) -> None:
        """Attach one article as any other is, but for the choice of its story."""
        article, evidence = self._stream.article(at), self._lot.evidence
        if self._stories and self._lot.joins():
            place = self._draw.randrange(len(self._stories))
            story = self._stories[place]
            del self._stories[place]
            decision: Decision = SameStory(story_id=story.story_id, score=0.9, evidence=evidence)
        else:
            story = StoryCandidate(
                story_id=new_story_id(article), version=ANY_VERSION, size=1, first_at=at,
                last_at=at, exemplars=(), exemplar_ids=(),
            )  # fmt: skip
            decision = NewStory(score=0.1, evidence=evidence)
        probe = Probe(seq=ALONE, ids_read=0, copies=(), stories=(story,))
        membership = membership_of(article, sketch, probe, decision, 0)
        self._stories.append(
            replace(story, exemplars=membership.exemplars, exemplar_ids=membership.exemplar_ids)
        )
        self._stream.context.index.attach(
            article, sketch, membership, seq=ALONE, now=at, entry_id=EntryId(article.article_id)
        )
