"""Watches the real pipeline attach: what each probe offered, what was decided, and the time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from sys import intern

from worker.model import (
    Article,
    ArticleId,
    CopyOf,
    Decision,
    EntryId,
    MatchPolicy,
    Probe,
    Sketch,
    StoryId,
)
from worker.steps.attach import Attacher, Attachment
from worker.store.index import Index

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

    def __call__(self, article: Article, probe: Probe, decision: Decision) -> None:
        """Note one attach."""
        best = decision.evidence[0] if decision.evidence else None
        self.seen[article.article_id] = Seen(
            lang=article.lang,
            # One string a story, not one a probe: a long run keeps 32 ids an article.
            candidates=tuple(StoryId(intern(story.story_id)) for story in probe.stories),
            ids_read=probe.ids_read,
            is_copy=isinstance(decision, CopyOf),
            best=best.story_id if best else None,
            score=best.score if best else 0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedAttacher(Attacher):
    """An attacher that tells how long each attach step took: probe, decide, attach, and retries."""

    took: Callable[[ArticleId, float], None]

    def attach(
        self, article: Article, sketch: Sketch, *, entry_id: EntryId, now: float
    ) -> Attachment:
        """Attach as always, by the clock."""
        started = time.perf_counter()
        done = Attacher.attach(self, article, sketch, entry_id=entry_id, now=now)
        self.took(article.article_id, time.perf_counter() - started)
        return done


def watched(index: Index, policy: MatchPolicy, watch: Watch) -> Attacher:
    """Return an attacher whose every step is noted."""
    return TimedAttacher(
        index=index, policy=policy, probe_width=WIDTH, observe=watch, took=watch.seconds.__setitem__
    )
