"""Fits the decision model on labelled streams, cross-validated by story.

Every probe of every episode gives a row for each candidate story: its features, and whether it is
the article's true story. Indexes are filled with the true stories, so the rows do not depend on
any model. The model is a logistic regression over the rows.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from worker.core.features import FEATURES, Floats, compare, measure
from worker.core.salience import DocumentFrequencies
from worker.core.scorer import FORMAT, Scorer
from worker.evaluate.episodes import Episode, episodes
from worker.evaluate.metrics import b_cubed, pairwise
from worker.evaluate.simulate import Sample, SimulatedIndex, stream
from worker.model import IndexParams, MatchPolicy, StoryId

FOLDS = 5
_FRESH = DocumentFrequencies.of_parts([], 0)
_DIGITS = 4  # of a weight: far below what a fold moves it by


@dataclass(frozen=True, slots=True)
class Rows:
    """Candidates of all probes, end to end."""

    features: Floats  # (rows, len(FEATURES))
    true: NDArray[np.bool_]
    weight: Floats
    fold: NDArray[np.int64]  # of the probing article's story


Scores = Mapping[str, Mapping[str, float]]
"""By measure: precision, recall and F1."""


@dataclass(frozen=True, slots=True)
class Validation:
    """How good the stories are when each article is judged by a model that never saw its story."""

    threshold: float
    every: Scores
    folds: tuple[Scores, ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model with what cross-validation says about it."""

    scorer: Scorer
    folds: tuple[Scorer, ...]
    validation: Validation


def fold_of(story: str) -> int:
    """Return the fold of a true story: the same in every run."""
    return hashlib.blake2b(story.encode(), digest_size=4).digest()[0] % FOLDS


def fit(
    samples: Sequence[Sample],
    params: IndexParams,
    policy: MatchPolicy,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Fitted:
    """Return the model of all samples and its scores on stories that it has not seen.

    Args:
        samples: of all languages, in event order.
        params: of the index.
        policy: thresholds.
        say: takes a line on the progress.
    """
    rows = observe((e for part in by_language(samples) for e in episodes(part)), params)
    say(f"{len(rows.true)} candidates, {int(rows.true.sum())} of them true")
    folds = tuple(regress(rows, without=k) for k in range(FOLDS))
    say(f"{FOLDS} folds fitted")
    scorer = regress(rows)
    return Fitted(scorer, folds, cross_validate(samples, folds, params, policy))


def by_language(samples: Iterable[Sample]) -> list[list[Sample]]:
    """Return the samples of each language in their order: stories never cross languages."""
    ordered = sorted(samples, key=lambda s: s.lang)
    return [list(part) for _, part in groupby(ordered, key=lambda s: s.lang)]


def observe(every: Iterable[Episode], params: IndexParams) -> Rows:
    """Return what a model sees in episodes whose indexes hold the true stories."""
    features, true, weight, fold = [], [], [], []
    for episode in every:
        index = SimulatedIndex(params)
        for sample in episode.samples:
            df = _FRESH if episode.static else index.frequencies(sample.at)
            stories = index.probe(sample.sketch, sample.at).stories
            candidates = [c for c in stories if any(c.exemplars)]
            if candidates and sample.sketch.vector:
                overlap = compare(sample.sketch.vector, candidates, df)
                features.append(measure(overlap, candidates, sample.at))
                true += [c.story_id == sample.true for c in candidates]
                weight += [episode.weight] * len(candidates)
                fold += [fold_of(sample.true)] * len(candidates)
            index.attach(sample, StoryId(sample.true))
    table = np.concatenate(features) if features else np.zeros((0, len(FEATURES)))
    return Rows(table, np.array(true, bool), np.array(weight), np.array(fold, np.int64))


def regress(rows: Rows, *, without: int | None = None, names: Sequence[str] = FEATURES) -> Scorer:
    """Return the logistic regression of the rows.

    Args:
        rows: what was observed.
        without: the fold to leave out.
        names: the features to use.
    """
    # Here, because only fitting needs scikit-learn: the extra `fit`.
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    used = rows.fold != without if without is not None else np.ones(len(rows.true), bool)
    table = rows.features[used][:, [FEATURES.index(name) for name in names]]
    mean, spread = table.mean(axis=0), np.maximum(table.std(axis=0), 1e-9)
    model = LogisticRegression(C=1.0, max_iter=1_000, tol=1e-6)
    model.fit((table - mean) / spread, rows.true[used], sample_weight=rows.weight[used])
    weights = model.coef_[0] / spread
    bias = float(model.intercept_[0] - mean @ weights)
    return Scorer(
        {n: round(float(w), _DIGITS) for n, w in zip(names, weights, strict=True)},
        round(bias, _DIGITS),
    )


def cross_validate(
    samples: Sequence[Sample], folds: Sequence[Scorer], params: IndexParams, policy: MatchPolicy
) -> Validation:
    """Return how good the stories are when each article is judged by its fold's model."""
    true, found = [], []
    for part in by_language(samples):
        index = SimulatedIndex(params)
        found += stream(part, index, policy=policy, scorer=lambda s: folds[fold_of(s.true)])
        true += [sample.true for sample in part]
    fold = [fold_of(story) for story in true]
    parts = []
    for k in range(FOLDS):
        mine = [i for i, f in enumerate(fold) if f == k]
        parts.append(_scores([true[i] for i in mine], [found[i] for i in mine]))
    return Validation(policy.story_threshold, _scores(true, found), tuple(parts))


def model_document(
    fitted: Fitted, data: Sequence[Mapping[str, object]], samples: Sequence[Sample]
) -> str:
    """Return the model file: readable, versioned, the same for the same input.

    Args:
        fitted: the model.
        data: of each file, its name and sha256.
        samples: what it was fitted on.
    """
    document = {
        "format": FORMAT,
        "weights": dict(fitted.scorer.weights),
        "bias": fitted.scorer.bias,
        "fitted": {
            "data": list(data),
            "articles": len(samples),
            "stories": len({sample.true for sample in samples}),
            "folds": [{**scorer.weights, "bias": scorer.bias} for scorer in fitted.folds],
            "threshold": fitted.validation.threshold,
            "scores": fitted.validation.every,
            "fold_scores": fitted.validation.folds,
        },
    }
    return json.dumps(document, indent=2) + "\n"


def _scores(true: Sequence[str], found: Sequence[str]) -> Scores:
    named = {"b_cubed": b_cubed(true, found), "pairwise": pairwise(true, found)}
    return {
        name: {part: round(value, 4) for part, value in (asdict(s) | {"f1": s.f1}).items()}
        for name, s in named.items()
    }
