"""Cuts labelled articles into episodes: streams and small indexes from which the model learns.

A model fitted on one long stream only knows full indexes, and fails in the first hour of a new one.
So it also sees what a young index looks like: few articles, and the worst case of few articles
that are all about one region and its people.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from worker.core.salience import NAME, VECTOR, static_idf, term_weight
from worker.evaluate.simulate import Sample

# How much a kind of episode counts, the stream being 1. The numbers of probes differ by less than
# two, so these are about their shares. Chosen on the log loss of each kind under cross-validation.
FRESH_WEIGHT = 0.5
YOUNG_WEIGHT = 0.3
TOPIC_WEIGHT = 0.5
REGION_WEIGHT = 0.8

_YOUNG = ((25, 2_500), (80, 6_000))  # articles of an index, articles cut into such
_STEP_S = 7_200.0  # between the articles of a composed index
_PROFILE = 4  # members that stand for a story when its nearest are looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What one index sees, in order."""

    samples: Sequence[Sample]
    weight: float
    static: bool = False  # whether the stream's own frequencies stay unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mix:
    """How small indexes of stories near one another are composed."""

    kind: int  # of the terms by which stories are near; 0: all
    episodes: int
    neighbours: int
    most: int  # articles in one
    weight: float


_MIXES = (
    _Mix(kind=0, episodes=250, neighbours=12, most=99, weight=TOPIC_WEIGHT),
    _Mix(kind=NAME, episodes=250, neighbours=14, most=99, weight=REGION_WEIGHT),
    _Mix(kind=NAME, episodes=600, neighbours=6, most=10, weight=REGION_WEIGHT),
)


def episodes(samples: Sequence[Sample]) -> Iterator[Episode]:
    """Yield the episodes of one language's samples, in event order; the same ones each time."""
    yield Episode(samples=samples, weight=1.0)
    yield Episode(samples=samples, weight=FRESH_WEIGHT, static=True)
    for size, most in _YOUNG:
        for start in range(0, min(len(samples), most), size):
            yield Episode(samples=samples[start : start + size], weight=YOUNG_WEIGHT)
    by_story: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_story[sample.true].append(sample)
    stories = list(by_story.values())
    for seed, mix in enumerate(_MIXES):
        yield from _composed(stories, mix, np.random.default_rng(seed))


def _composed(
    stories: Sequence[Sequence[Sample]], mix: _Mix, rng: np.random.Generator
) -> Iterator[Episode]:
    """Yield small indexes: some of a story's articles among fewer of those nearest to it."""
    profiles = _profiles(stories, mix.kind)
    several = [i for i, members in enumerate(stories) if len(members) > 1]
    for centre in rng.permutation(several)[: mix.episodes].tolist():
        likeness = (profiles @ profiles[centre].T).toarray().ravel()
        nearest = [i for i in np.argsort(-likeness, kind="stable").tolist() if i != centre]
        drawn = [*_draw(stories[centre], 5, rng)]
        for other in nearest[: mix.neighbours]:
            drawn += _draw(stories[other], 2, rng)
        order = rng.permutation(len(drawn)).tolist()[: mix.most]
        start = stories[centre][0].at
        yield Episode(
            samples=[replace(drawn[i], at=start + _STEP_S * n) for n, i in enumerate(order)],
            weight=mix.weight,
        )


def _draw(members: Sequence[Sample], most: int, rng: np.random.Generator) -> list[Sample]:
    return [members[i] for i in rng.permutation(len(members))[:most].tolist()]


def _profiles(stories: Sequence[Sequence[Sample]], kind: int) -> csr_matrix:
    """Return a unit-length row of static term weights for each story."""
    rows: list[NDArray[np.int64]] = []
    terms: list[NDArray[np.uint32]] = []
    weights: list[NDArray[np.float64]] = []
    for number, members in enumerate(stories):
        for member in members[:_PROFILE]:
            packed = np.frombuffer(member.sketch.vector, VECTOR)
            packed = packed[(packed["kind"] & kind) > 0] if kind else packed
            rows.append(np.full(len(packed), number))
            terms.append(packed["term"].astype(np.uint32))
            weights.append(term_weight(packed["tf"]) * static_idf(packed["prior"]))
    columns = np.unique(np.concatenate(terms), return_inverse=True)[1]
    shape = (len(stories), int(columns.max(initial=0)) + 1)
    table = csr_matrix((np.concatenate(weights), (np.concatenate(rows), columns)), shape=shape)
    lengths = np.sqrt(np.asarray(table.multiply(table).sum(axis=1)).ravel())
    return csr_matrix(table.multiply(1.0 / np.maximum(lengths, 1e-9)[:, None]))
