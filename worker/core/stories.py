"""Decides which story an article belongs to, with the evidence.

Copies first, by their shingles. Otherwise every candidate story is scored by a fitted model over a
few readable features; the article joins the best one above the threshold or opens a story.
"""

from collections.abc import Sequence

from worker.core.features import FEATURES, compare, measure, shared_terms
from worker.core.likeness import containment, estimate_jaccard
from worker.core.salience import DocumentFrequencies
from worker.core.scorer import Scorer, shipped
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

_EVIDENCE = 5  # candidates that a decision explains
_SHARED = 8  # words shown for each
# At .25 a text is four times as long as one that lies in it: more cannot be told (core.likeness).
_CONTAINMENT_NEEDS = 0.25
# Half a standard error of the estimate: a missed copy parts a family, which costs all pairs across. It
# makes up for the hash functions in use, which without it find .98945 of the real copies; over 60
# choices of them it is neutral (50 reach .99 in recall and precision with it, 51 without).
_DOUBT = 0.008


def decide(
    sketch: Sketch,
    probe: Probe,
    *,
    df: DocumentFrequencies,
    at: float,
    policy: MatchPolicy,
    scorer: Scorer | None = None,
) -> Decision:
    """Return what the article is: a copy, another account of a known story, or a new story.

    Args:
        sketch: of the article.
        probe: what the index knows about it.
        df: document frequencies of the stream.
        at: event time of the article.
        policy: thresholds.
        scorer: the fitted model; None is the shipped one.
    Cost: some 0.4 ms for 16 candidates with 57 exemplars.
    """
    copy = copy_of(sketch, probe.copies, policy)
    if copy is not None:
        return copy
    candidates = [c for c in probe.stories if any(c.exemplars)]
    if not candidates or not sketch.vector:
        return NewStory(score=0.0)
    overlap = compare(sketch.vector, candidates, df)
    features = measure(overlap, candidates, at)
    scores = (scorer or shipped()).scores(features).tolist()
    ranked = sorted(range(len(candidates)), key=lambda i: (-scores[i], -candidates[i].last_at, i))
    ranked = ranked[:_EVIDENCE]
    measured, shared = features[ranked].tolist(), shared_terms(overlap, ranked, _SHARED)
    evidence = tuple(
        Evidence(
            story_id=candidates[i].story_id,
            score=scores[i],
            features=dict(zip(FEATURES, values, strict=True)),
            shared=tuple(sketch.words[t] for t in terms),
        )
        for i, values, terms in zip(ranked, measured, shared, strict=True)
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


def copy_of(
    sketch: Sketch, candidates: Sequence[CopyCandidate], policy: MatchPolicy
) -> CopyOf | None:
    """Return the verified copy that is most alike; its family knows which text came first."""
    verified = []
    for c in candidates:
        jaccard = estimate_jaccard(sketch.parities, sketch.shingles, c.parities, c.shingles)
        inside = containment(jaccard, sketch.shingles, c.shingles)
        contained = jaccard >= _CONTAINMENT_NEEDS and inside >= policy.copy_containment
        if jaccard >= policy.copy_jaccard - _DOUBT or contained:
            verified.append((-jaccard, c.published_at, c.article_id, c.story_id, inside))
    if not verified:
        return None
    negative, _, article_id, story_id, inside = min(verified)
    return CopyOf(article_id=article_id, story_id=story_id, jaccard=-negative, containment=inside)
