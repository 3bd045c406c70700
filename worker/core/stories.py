"""Decides which story an article belongs to, with the evidence.

Copies first, by their shingles. Otherwise every candidate story is scored by a logistic model over
a few readable features; the article joins the best one above the threshold or opens a story.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from worker.core.features import Article, Exemplars, Floats, arrange, measure
from worker.core.salience import DocumentFrequencies
from worker.core.signatures import containment, estimate_jaccard
from worker.model import (
    CopyCandidate,
    CopyOf,
    Decision,
    Evidence,
    MatchPolicy,
    NewStory,
    Probe,
    SameStory,
    Sketch,
)

# Conditional logit ("which candidate, or none") over 34 000 probes of a stream of 5 647 labelled
# news articles, replayed with a full index, without stream frequencies, in young indexes of 25 and
# 80 articles, and in small indexes that hold only stories near one another: in all their terms, or
# in the names they mention. Rounded; over five folds by story no weight moves by more than a tenth.
# All features but the age lie between 0 and 1, and "prominence" between about -1 and 2.
WEIGHTS: Mapping[str, float] = {
    "prominence": 2.4,
    "distinct": 30.0,
    "common": -14.0,
    "article_head": 5.4,
    "story_head": 4.6,
    "names": 2.3,
    "numbers": 2.2,
    "age_days": -0.9,
}
BIAS = -5.9

_EVIDENCE = 5  # candidates that a decision explains
_SHARED = 8  # words shown for each
# Below this Jaccard the estimate of a containment of .8 has a standard error above .1.
_CONTAINMENT_NEEDS = 0.25


def decide(
    sketch: Sketch, probe: Probe, *, df: DocumentFrequencies, at: float, policy: MatchPolicy
) -> Decision:
    """Return what the article is: a copy, another account of a known story, or a new story.

    Args:
        sketch: of the article.
        probe: what the index knows about it.
        df: document frequencies of the stream.
        at: event time of the article.
        policy: thresholds.
    """
    copy = _copy_of(sketch, probe.copies, policy)
    if copy is not None:
        return copy
    candidates = [c for c in probe.stories if any(c.exemplars)]
    if not candidates or not sketch.vector:
        return NewStory(score=0.0)
    article, exemplars = arrange(sketch.vector, candidates, df)
    features = measure(article, exemplars, candidates, at)
    scores = _scores(features)
    ranked = sorted(range(len(candidates)), key=lambda i: (-scores[i], -candidates[i].last_at, i))
    evidence = tuple(
        Evidence(
            story_id=candidates[i].story_id,
            score=float(scores[i]),
            features={name: float(column[i]) for name, column in features.items()},
            shared=_shared_words(article, exemplars, sketch.words, i),
        )
        for i in ranked[:_EVIDENCE]
    )
    best = evidence[0]
    if best.score >= policy.story_threshold:
        return SameStory(story_id=best.story_id, score=best.score, evidence=evidence)
    return NewStory(score=best.score, evidence=evidence)


def keep_exemplars(exemplars: Sequence[bytes], vector: bytes, limit: int = 8) -> tuple[bytes, ...]:
    """Return a story's exemplars after an article joined: the founder first, then the newest.

    A vector that is already among them is not kept twice: copies would outvote the other outlets.
    """
    if not exemplars:
        return (vector,)
    founder, *others = exemplars
    if vector == founder:
        return tuple(exemplars)
    return (founder, vector, *(v for v in others if v != vector))[:limit]


def _copy_of(
    sketch: Sketch, candidates: Sequence[CopyCandidate], policy: MatchPolicy
) -> CopyOf | None:
    """Return the verified copy that is most alike; its family knows which text came first."""
    verified = []
    for c in candidates:
        jaccard = estimate_jaccard(sketch.signature, c.signature)
        inside = containment(jaccard, sketch.shingles, c.shingles)
        contained = jaccard >= _CONTAINMENT_NEEDS and inside >= policy.copy_containment
        if jaccard >= policy.copy_jaccard or contained:
            verified.append((-jaccard, c.published_at, c.article_id, c.story_id, inside))
    if not verified:
        return None
    negative, _, article_id, story_id, inside = min(verified)
    return CopyOf(article_id=article_id, story_id=story_id, jaccard=-negative, containment=inside)


def _scores(features: Mapping[str, Floats]) -> Floats:
    logits = BIAS + sum(weight * features[name] for name, weight in WEIGHTS.items())
    out: Floats = 1.0 / (1.0 + np.exp(-np.asarray(logits)))
    return out


def _shared_words(
    article: Article, ex: Exemplars, words: Sequence[str], candidate: int
) -> tuple[str, ...]:
    """Return the weightiest words that the article shares with a candidate."""
    ours = np.unique(ex.place[ex.story[ex.owner[ex.shared]] == candidate])
    heaviest = ours[np.argsort(-article.weight[ours], kind="stable")][:_SHARED]
    return tuple(words[int(article.order[i])] for i in heaviest)
