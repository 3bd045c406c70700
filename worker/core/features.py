"""Measures how alike an article and its candidate stories are: one column for each feature.

Everything is computed for all candidates in one pass over the terms of all their exemplars.
`core.stories` weighs the columns; this module knows no weights and decides nothing.
"""

import math
from collections.abc import Sequence
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
from worker.model import StoryCandidate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DAY = 86_400.0
_HEAD = TITLE | LEAD
# For lack of numbers. Strangers that have some average .07, members .48; most are strangers.
_NO_NUMBERS = 0.15
# Shorter lists of candidates are filled up to this many with strangers: a young index has not seen
# yet what is common to its topic. The two values lie between the means over candidates of a mixed
# stream (.05, .04) and of indexes that hold one topic (.12, .10). Against .05 and 0, with weights
# fitted anew, the log loss of the decision falls by 10 % in a full index and by 6 % in indexes of
# ten articles of a topic; in young indexes of mixed topics it rises from .11 to .14.
_STRANGERS = 16
_STRANGER_CENTROID = 0.08  # cosine with the article
_STRANGER_TERMS = 0.1  # part of the article's terms that it has
_SMOOTHING = 0.05  # keeps quotients of small cosines steady


@dataclass(frozen=True, slots=True)
class Article:
    """The probed article's terms, sorted by hash, weighed by the stream."""

    rows: NDArray[np.void]
    order: Ints  # position of each sorted row in the packed vector
    idf: Floats
    weight: Floats


@dataclass(frozen=True, slots=True)
class Exemplars:
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


def arrange(
    vector: bytes, candidates: Sequence[StoryCandidate], df: DocumentFrequencies
) -> tuple[Article, Exemplars]:
    """Return the article and the exemplars as arrays that one pass can compare."""
    rows = np.frombuffer(vector, VECTOR)
    order = np.argsort(rows["term"], kind="stable")
    rows = rows[order]
    idf = df.idf(rows["term"], rows["prior"])
    article = Article(rows, order, idf, term_weight(rows["tf"]) * idf)

    packed = [e for c in candidates for e in c.exemplars if e]
    story = np.repeat(np.arange(len(candidates)), [sum(map(bool, c.exemplars)) for c in candidates])
    every = np.frombuffer(b"".join(packed), VECTOR)
    owner = np.repeat(np.arange(len(packed)), [len(e) // VECTOR.itemsize for e in packed])
    terms = every["term"]
    key = (story[owner].astype(np.uint64) << np.uint64(32)) | terms
    pairs, group = np.unique(key, return_inverse=True)
    place = np.minimum(np.searchsorted(rows["term"], terms), len(rows) - 1)
    shared = np.flatnonzero(rows["term"][place] == terms)
    return article, Exemplars(
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


def _cosines(article: Article, ex: Exemplars, kind: int) -> tuple[Floats, Floats]:
    """Return each exemplar's cosine with the article over terms of a kind, and the norms.

    A cosine is 0 where one side has no such term; then the norm says so.
    """
    mine = article.weight if kind == 0 else article.weight * ((article.rows["kind"] & kind) > 0)
    theirs = ex.weight if kind == 0 else ex.weight * ((ex.kind & kind) > 0)
    count = len(ex.story)
    norms = np.sqrt(_sums(ex.owner, theirs * theirs, count)) * math.sqrt(float(mine @ mine))
    dots = _sums(ex.owner[ex.shared], theirs[ex.shared] * mine[ex.place], count)
    return np.divide(dots, norms, out=np.zeros(count), where=norms > 0), norms


def _best(values: Floats, ex: Exemplars) -> Floats:
    out = np.zeros(ex.stories)
    np.maximum.at(out, ex.story, values)
    return out


def _best_of_kind(article: Article, ex: Exemplars, kind: int, missing: Floats) -> Floats:
    """Return the best exemplar's cosine over terms of a kind; ``missing`` where a side has none."""
    cosines, norms = _cosines(article, ex, kind)
    return np.where(_best(norms, ex) > 0, _best(cosines, ex), missing)


def _centroids(ex: Exemplars, weight: Floats) -> Floats:
    """Return the weight of each (candidate, term) pair in the sum of unit-length exemplars."""
    lengths = np.sqrt(_sums(ex.owner, weight * weight, len(ex.story)))
    units = weight / np.maximum(lengths, 1e-9)[ex.owner]
    return _sums(ex.group, units, len(ex.group_story))


def _prominence(ex: Exemplars, cosines: Floats) -> Floats:
    """Return how many times closer a story is than the average candidate, as a logarithm.

    Close is what has a high cosine with the centroid. Where all candidates are about one topic, all
    are close, and closeness alone proves nothing.
    """
    norms = np.sqrt(_sums(ex.group_story, _centroids(ex, ex.weight) ** 2, ex.stories))
    close = _sums(ex.story, cosines, ex.stories) / np.maximum(norms, 1e-9)
    absent = max(0, _STRANGERS - ex.stories)
    average = (close.sum() + absent * _STRANGER_CENTROID) / (ex.stories + absent)
    out: Floats = np.log((close + _SMOOTHING) / (average + _SMOOTHING))
    return out


def _parts(article: Article, ex: Exemplars) -> Floats:
    """Return the part of each story's exemplars that have each term of the article."""
    counts = np.zeros((ex.stories, len(article.weight)))
    np.add.at(counts, (ex.story[ex.owner[ex.shared]], ex.place), 1.0)
    out: Floats = counts / np.bincount(ex.story, minlength=ex.stories)[:, None]
    return out


def _coverage(parts: Floats, energy: Floats) -> Floats:
    """Return the share of the energy of the article's terms that the stories have."""
    out: Floats = (parts @ energy) / max(float(energy.sum()), 1e-9)
    return out


def _distinct(parts: Floats, energy: Floats) -> Floats:
    """Return the coverage where candidates that have a term divide it among them.

    Terms of the topic are common to many candidates, terms of the event to few.
    """
    absent = max(0, _STRANGERS - len(parts))
    sharers = np.maximum(parts.sum(axis=0) + absent * _STRANGER_TERMS, 1.0)
    return _coverage(parts / sharers, energy)


def _story_head(ex: Exemplars) -> Floats:
    """Return how much of the energy of the terms in the stories' heads the article has.

    A cosine cannot tell whether an article is about what the story is about, or only mentions it.
    """
    energy = _centroids(ex, ex.weight * ((ex.kind & _HEAD) > 0)) ** 2
    has = np.zeros(len(energy), dtype=bool)
    has[ex.group[ex.shared]] = True
    whole = _sums(ex.group_story, energy, ex.stories)
    out: Floats = _sums(ex.group_story, energy * has, ex.stories) / np.maximum(whole, 1e-9)
    return out


def measure(
    article: Article, ex: Exemplars, candidates: Sequence[StoryCandidate], at: float
) -> dict[str, Floats]:
    """Return one column for each feature, one row a candidate."""
    cosines, _ = _cosines(article, ex, 0)
    parts = _parts(article, ex)
    energy = article.weight**2
    head = energy * ((article.rows["kind"] & _HEAD) > 0)
    unknown = np.full(ex.stories, _NO_NUMBERS)
    return {
        "prominence": _prominence(ex, cosines),
        "distinct": _distinct(parts, energy),
        "common": _coverage(parts, energy),
        "article_head": _coverage(parts, head),
        "story_head": _story_head(ex),
        "names": _best_of_kind(article, ex, NAME, _best(cosines, ex)),
        "numbers": _best_of_kind(article, ex, NUMBER, unknown),
        "age_days": np.array([max(0.0, at - c.first_at) / _DAY for c in candidates]),
    }
