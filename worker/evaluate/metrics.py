"""Scores of a grouping against a labelled one, in plain Python.

Both groupings are parallel sequences of labels, one for each article. ``None`` stands for an
article that belongs to no group: each is a group of its own. All functions take linear time.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

Labels = Sequence[Hashable | None]


@dataclass(frozen=True, slots=True)
class Score:
    """Precision and recall with their harmonic mean, all from 0 to 1."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean; 0 when both parts are 0."""
        total = self.precision + self.recall
        return 2.0 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True, slots=True)
class _Table:
    """How often each pair of true and found label occurs, with the sums of rows and columns."""

    cells: Counter[tuple[Hashable, Hashable]]
    true: Counter[Hashable]
    found: Counter[Hashable]
    total: int


def b_cubed(true: Labels, found: Labels) -> Score:
    """Return B-cubed precision and recall: averaged over articles.

    Every article counts the same, so that no large story dominates as it does in pairs.

    Raises:
        ValueError: the sequences differ in length.
    Source: Bagga and Baldwin 1998.
    """
    return mean_score(b_cubed_each(true, found))


def b_cubed_each(true: Labels, found: Labels) -> list[Score]:
    """Return each article's own B-cubed precision and recall; ``b_cubed`` is their mean.

    Raises:
        ValueError: the sequences differ in length.
    """
    table = _table(true, found)
    both = [
        (table.cells[t, f], table.found[f], table.true[t])
        for t, f in zip(_singled(true), _singled(found), strict=True)
    ]
    return [Score(shared / mates, shared / siblings) for shared, mates, siblings in both]


def mean_score(scores: Sequence[Score]) -> Score:
    """Return the mean precision and the mean recall; of nothing, 1: nothing is wrong."""
    if not scores:
        return Score(1.0, 1.0)
    return Score(
        math.fsum(s.precision for s in scores) / len(scores),
        math.fsum(s.recall for s in scores) / len(scores),
    )


def pairwise(true: Labels, found: Labels) -> Score:
    """Return precision and recall over pairs of articles put together.

    A side without any pair scores 1: nothing it says is wrong.

    Raises:
        ValueError: the sequences differ in length.
    """
    table = _table(true, found)
    both = _pairs(table.cells.values())
    said, real = _pairs(table.found.values()), _pairs(table.true.values())
    return Score(both / said if said else 1.0, both / real if real else 1.0)


def normalised_mutual_information(true: Labels, found: Labels) -> float:
    """Return the mutual information over the mean of both entropies, from 0 to 1.

    Raises:
        ValueError: the sequences differ in length.
    Source: Strehl and Ghosh 2002, with the arithmetic mean.
    """
    table = _table(true, found)
    n = table.total
    mean = (_entropy(table.true, n) + _entropy(table.found, n)) / 2.0
    if mean == 0.0:
        return 1.0  # both are one single group
    shared = sum(
        c / n * math.log(c * n / (table.true[t] * table.found[f]))
        for (t, f), c in table.cells.items()
    )
    return min(1.0, max(0.0, shared / mean))


def adjusted_rand_index(true: Labels, found: Labels) -> float:
    """Return the Rand index corrected for chance: 1 for equal groupings, about 0 for random ones.

    Raises:
        ValueError: the sequences differ in length.
    Source: Hubert and Arabie 1985.
    """
    table = _table(true, found)
    both = _pairs(table.cells.values())
    real, said = _pairs(table.true.values()), _pairs(table.found.values())
    every = table.total * (table.total - 1) / 2.0
    expected = real * said / every if every else 0.0
    highest = (real + said) / 2.0
    return (both - expected) / (highest - expected) if highest != expected else 1.0


def _table(true: Labels, found: Labels) -> _Table:
    if len(true) != len(found):
        raise ValueError(f"{len(true)} true labels but {len(found)} found ones")
    rows, columns = _singled(true), _singled(found)
    cells = Counter(zip(rows, columns, strict=True))
    return _Table(cells, Counter(rows), Counter(columns), len(rows))


def _singled(labels: Labels) -> list[Hashable]:
    """Return the labels, each None replaced by one that nothing else has."""
    return [(False, i) if label is None else (True, label) for i, label in enumerate(labels)]


def _pairs(sizes: Iterable[int]) -> float:
    return sum(n * (n - 1) / 2.0 for n in sizes)


def _entropy(sizes: Counter[Hashable], total: int) -> float:
    return -sum(n / total * math.log(n / total) for n in sizes.values())
