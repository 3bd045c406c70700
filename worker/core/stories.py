"""Decides which story an article belongs to, with the evidence.

Copies first, by their shingles. Otherwise every candidate story is scored by a logistic model over
a few readable features; the article joins the best one above the threshold or opens a story.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.core.salience import (
    LEAD,
    NAME,
    NUMBER,
    TITLE,
    VECTOR,
    DocumentFrequencies,
    term_weight,
)
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
    StoryCandidate,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Conditional logit ("which candidate, or none") over 27 000 probes of a stream of 5 647 labelled
# news articles, replayed with a full index, without stream frequencies, in young indexes of 25 and
# 80 articles, and in small indexes that hold only stories of one topic. Rounded to one digit behind
# the point; over five folds by story no weight moves by more than a quarter. Weights fitted on half
# of the stories score the other half as well as its own (B-cubed F1 .944 to .942, .938 to .937).
# All features but the age lie between 0 and 1, and "prominence" between about -1 and 2.
WEIGHTS: Mapping[str, float] = {
    "prominence": 2.7,
    "distinct": 19.0,
    "common": -13.0,
    "core": 2.3,
    "head": 4.5,
    "names": 4.5,
    "numbers": 2.3,
    "age_days": -0.7,
}
BIAS = -5.8

_DAY = 86_400.0
_EVIDENCE = 5  # candidates that a decision explains
_SHARED = 8  # words shown for each
# For lack of numbers. Strangers that have some average .07, members .48; most are strangers.
_NO_NUMBERS = 0.15
# Cosine of an article with the centroid of a story that it does not belong to: the mean over 85 000
# candidates of the labelled stream. Shorter lists are filled up with it, to this many candidates.
_STRANGER = 0.05
_STRANGERS = 16
_CORE_TERMS = 16  # a story's weightiest terms; 8 and all terms tell it from others less well
# Below this Jaccard the estimate of a containment of .8 has a standard error above .1.
_CONTAINMENT_NEEDS = 0.25


@dataclass(frozen=True, slots=True)
class _Article:
    """The probed article's terms, sorted by hash, weighed by the stream."""

    rows: NDArray[np.void]
    order: Ints  # position of each sorted row in the packed vector
    idf: Floats
    weight: Floats


@dataclass(frozen=True, slots=True)
class _Exemplars:
    """The terms of all exemplars of all candidates, end to end."""

    kind: NDArray[np.uint8]
    weight: Floats
    owner: Ints  # exemplar of each row
    story: Ints  # candidate of each exemplar
    group: Ints  # row -> index of its (candidate, term) pair
    group_story: Ints  # candidate of each such pair
    stories: int
    shared: Ints  # rows whose term the article has
    place: Ints  # for each shared row, the article's row


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
    article, exemplars = _arrange(sketch.vector, candidates, df)
    features = _features(article, exemplars, candidates, at)
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
    """Return the verified copy that was published first."""
    verified = []
    for c in candidates:
        jaccard = estimate_jaccard(sketch.signature, c.signature)
        inside = containment(jaccard, sketch.shingles, c.shingles)
        contained = jaccard >= _CONTAINMENT_NEEDS and inside >= policy.copy_containment
        if jaccard >= policy.copy_jaccard or contained:
            verified.append((c.published_at, -jaccard, c.article_id, c.story_id, inside))
    if not verified:
        return None
    _, negative, article_id, story_id, inside = min(verified)
    return CopyOf(article_id=article_id, story_id=story_id, jaccard=-negative, containment=inside)


def _arrange(
    vector: bytes, candidates: Sequence[StoryCandidate], df: DocumentFrequencies
) -> tuple[_Article, _Exemplars]:
    """Return the article and the exemplars as arrays that one pass can compare."""
    rows = np.frombuffer(vector, VECTOR)
    order = np.argsort(rows["term"], kind="stable")
    rows = rows[order]
    idf = df.idf(rows["term"], rows["prior"])
    article = _Article(rows, order, idf, term_weight(rows["tf"]) * idf)

    packed = [e for c in candidates for e in c.exemplars if e]
    story = np.repeat(np.arange(len(candidates)), [sum(map(bool, c.exemplars)) for c in candidates])
    every = np.frombuffer(b"".join(packed), VECTOR)
    owner = np.repeat(np.arange(len(packed)), [len(e) // VECTOR.itemsize for e in packed])
    terms = every["term"]
    key = (story[owner].astype(np.uint64) << np.uint64(32)) | terms
    pairs, group = np.unique(key, return_inverse=True)
    place = np.minimum(np.searchsorted(rows["term"], terms), len(rows) - 1)
    shared = np.flatnonzero(rows["term"][place] == terms)
    return article, _Exemplars(
        kind=every["kind"],
        weight=term_weight(every["tf"]) * df.idf(terms, every["prior"]),
        owner=owner,
        story=story,
        group=group,
        group_story=(pairs >> np.uint64(32)).astype(np.int64),
        stories=len(candidates),
        shared=shared,
        place=place[shared],
    )


def _sums(groups: Ints, values: Floats, count: int) -> Floats:
    """Return the sum of the values of each group."""
    return np.bincount(groups, weights=values, minlength=count).astype(np.float64)


def _cosines(article: _Article, ex: _Exemplars, kind: int) -> tuple[Floats, Floats]:
    """Return each exemplar's cosine with the article over terms of a kind, and the norms.

    A cosine is 0 where one side has no such term; then the norm says so.
    """
    mine = article.weight if kind == 0 else article.weight * ((article.rows["kind"] & kind) > 0)
    theirs = ex.weight if kind == 0 else ex.weight * ((ex.kind & kind) > 0)
    count = len(ex.story)
    norms = np.sqrt(_sums(ex.owner, theirs * theirs, count)) * math.sqrt(float(mine @ mine))
    dots = _sums(ex.owner[ex.shared], theirs[ex.shared] * mine[ex.place], count)
    return np.divide(dots, norms, out=np.zeros(count), where=norms > 0), norms


def _best(values: Floats, ex: _Exemplars) -> Floats:
    out = np.zeros(ex.stories)
    np.maximum.at(out, ex.story, values)
    return out


def _best_of_kind(article: _Article, ex: _Exemplars, kind: int, missing: Floats) -> Floats:
    """Return the best exemplar's cosine over terms of a kind; ``missing`` where a side has none."""
    cosines, norms = _cosines(article, ex, kind)
    return np.where(_best(norms, ex) > 0, _best(cosines, ex), missing)


def _centroids(ex: _Exemplars) -> Floats:
    """Return the weight of each (candidate, term) pair in the sum of unit-length exemplars."""
    lengths = np.sqrt(_sums(ex.owner, ex.weight * ex.weight, len(ex.story)))
    units = ex.weight / np.maximum(lengths, 1e-9)[ex.owner]
    return _sums(ex.group, units, len(ex.group_story))


def _prominence(centroid: Floats) -> Floats:
    """Return how many times closer a story is than the average candidate, as a logarithm.

    Where all candidates are about one topic, all are close, and closeness alone proves nothing.
    """
    strangers = max(0, _STRANGERS - len(centroid))
    average = (centroid.sum() + strangers * _STRANGER) / (len(centroid) + strangers)
    out: Floats = np.log((centroid + _STRANGER) / (average + _STRANGER))
    return out


def _coverage(article: _Article, ex: _Exemplars, members: Floats) -> tuple[Floats, Floats]:
    """Return what stories share of the article's weight: distinct terms, and all terms.

    A term counts by the part of the story's exemplars that have it. In the first value it is also
    divided among the candidates that share it: terms of the topic are common to many candidates,
    terms of the event to few.
    """
    counts = np.zeros((ex.stories, len(article.weight)))
    np.add.at(counts, (ex.story[ex.owner[ex.shared]], ex.place), 1.0)
    parts = counts / members[:, None]
    weight = article.weight**2
    divided = weight / np.maximum(parts.sum(axis=0), 1.0)
    distinct: Floats = (parts @ divided) / max(float(divided.sum()), 1e-9)
    common: Floats = (parts @ weight) / max(float(weight.sum()), 1e-9)
    return distinct, common


def _core(ex: _Exemplars, sums: Floats) -> Floats:
    """Return how much of the weight of each story's weightiest terms the article has.

    Args:
        ex: the exemplars.
        sums: weight of each (candidate, term) pair in the sum of the unit-length exemplars.
    """
    order = np.lexsort((-sums, ex.group_story))
    story = ex.group_story[order]
    rank = np.arange(len(story)) - np.searchsorted(story, np.arange(ex.stories))[story]
    top = order[rank < _CORE_TERMS]
    has = np.zeros(len(sums), dtype=bool)
    has[ex.group[ex.shared]] = True
    energy = sums[top] ** 2
    whole = _sums(ex.group_story[top], energy, ex.stories)
    out: Floats = _sums(ex.group_story[top], energy * has[top], ex.stories)
    return out / np.maximum(whole, 1e-9)


def _features(
    article: _Article, ex: _Exemplars, candidates: Sequence[StoryCandidate], at: float
) -> dict[str, Floats]:
    """Return one column for each name in ``WEIGHTS``, one row a candidate."""
    cosines, _ = _cosines(article, ex, 0)
    best = _best(cosines, ex)
    members = _sums(ex.story, np.ones(len(ex.story)), ex.stories)
    centroids = _centroids(ex)
    norms = np.sqrt(_sums(ex.group_story, centroids**2, ex.stories))
    distinct, common = _coverage(article, ex, members)
    return {
        "prominence": _prominence(_sums(ex.story, cosines, ex.stories) / np.maximum(norms, 1e-9)),
        "distinct": distinct,
        "common": common,
        "core": _core(ex, centroids),
        "head": _best_of_kind(article, ex, TITLE | LEAD, best),
        "names": _best_of_kind(article, ex, NAME, best),
        "numbers": _best_of_kind(article, ex, NUMBER, np.full(ex.stories, _NO_NUMBERS)),
        "age_days": np.array([max(0.0, at - c.first_at) / _DAY for c in candidates]),
    }


def _scores(features: Mapping[str, Floats]) -> Floats:
    logits = BIAS + sum(weight * features[name] for name, weight in WEIGHTS.items())
    out: Floats = 1.0 / (1.0 + np.exp(-np.asarray(logits)))
    return out


def _shared_words(
    article: _Article, ex: _Exemplars, words: Sequence[str], candidate: int
) -> tuple[str, ...]:
    """Return the weightiest words that the article shares with a candidate."""
    ours = np.unique(ex.place[ex.story[ex.owner[ex.shared]] == candidate])
    heaviest = ours[np.argsort(-article.weight[ours], kind="stable")][:_SHARED]
    return tuple(words[int(article.order[i])] for i in heaviest)
