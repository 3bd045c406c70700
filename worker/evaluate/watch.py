"""Watches the real pipeline attach: what each probe offered, what was decided, and the time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from sys import intern

from worker.model import (
    Article,
    ArticleId,
    CopyOf,
    Decision,
    EntryId,
    Probe,
    Sketch,
    StoryId,
)
from worker.steps.attach import Attacher, Attachment

# The most candidates whose rank is reported; the decision takes the first STORY_CANDIDATES.
WIDTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the pipeline saw when it attached one article."""

    lang: str
    candidates: tuple[StoryId, ...]  # in the probe's order, at most WIDTH
    ids_read: int
    is_copy: bool
    best: StoryId | None  # the candidate that scored best; none for reprints
    score: float  # of that one; 0 where there is none


@dataclass(frozen=True, slots=True)
class Watch:
    """What was seen of each article, and the seconds of its attach step."""

    seen: dict[ArticleId, Seen] = field(default_factory=dict)
    seconds: dict[ArticleId, float] = field(default_factory=dict)

    def note(self, article: Article, wide: Probe, decision: Decision) -> None:
        """Note one attach: what a wide probe offered just before it, and what was decided."""
        best = decision.evidence[0] if decision.evidence else None
        self.seen[article.article_id] = Seen(
            lang=article.lang,
            # One string a story, not one a probe: a long run keeps 32 ids an article.
            candidates=tuple(StoryId(intern(story.story_id)) for story in wide.stories),
            ids_read=wide.ids_read,
            is_copy=isinstance(decision, CopyOf),
            best=best.story_id if best else None,
            score=best.score if best else 0.0,
        )

    def follow(self, current: Callable[[StoryId], StoryId]) -> None:
        """Call each story by the id that it has in the end: stories merged under way have two."""
        now = cache(current)
        for article_id, one in self.seen.items():
            self.seen[article_id] = replace(
                one,
                candidates=tuple(dict.fromkeys(map(now, one.candidates))),
                best=now(one.best) if one.best else None,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedAttacher(Attacher):
    """An attacher whose every step is noted: what it could have found, what it did, how long it took."""

    watch: Watch

    def attach(
        self, article: Article, sketch: Sketch, *, entry_id: EntryId, now: float
    ) -> Attachment:
        """Attach as always, by the clock, after a wider look at the index."""
        wide = self.index.probe(article.lang, sketch, now=now, most_stories=WIDTH)
        told: list[Decision] = []
        plain = Attacher(
            index=self.index,
            policy=self.policy,
            scorer=self.scorer,
            tender=self.tender,
            observe=told.append,
        )
        started = time.perf_counter()
        done = plain.attach(article, sketch, entry_id=entry_id, now=now)
        if told:
            self.watch.seconds[article.article_id] = time.perf_counter() - started
            self.watch.note(article, wide, told[0])
        return done


def watched(attacher: Attacher, watch: Watch) -> Attacher:
    """Return the same attacher, watched."""
    return WatchedAttacher(
        index=attacher.index,
        policy=attacher.policy,
        scorer=attacher.scorer,
        tender=attacher.tender,
        watch=watch,
    )
