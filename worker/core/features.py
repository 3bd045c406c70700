"""Measures how alike an article and its candidate stories are: one column for each feature.

An article has few terms in common with anybody, so all terms of all exemplars are passed over once,
for their weights and lengths; what is shared is a short list of hits, and every feature comes from
that list. `core.scorer` weighs the columns; this module knows no
weights and decides nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.core.salience import LEAD, NAME, NUMBER, TITLE, VECTOR, DocumentFrequencies
from worker.model import StoryCandidate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEATURES = (
    "prominence",
    "distinct",
    "common",
    "article_head",
    "story_head",
    "plain",
    "names",
    "numbers",
    "age_days",
)
"""The columns of `measure`, in order."""

_TABLE = 1_024  # slots of the table that tells strange terms apart; of 64 terms, 6 % pass
_LOW_BITS = np.uint32(_TABLE - 1)
_DAY = 86_400.0
_HEAD = TITLE | LEAD
_FIGURES = NAME | NUMBER
# For lack of numbers. Strangers that have some average .07, members .48; most are strangers.
_NO_NUMBERS = 0.15
# For the plain words of scripts without capitals. Members of a story have .2 where there are some.
_NO_CAPITALS = 0.2
# Two texts of one topic may share names and no plain word at all. That is no sign of one event.
_LEAST_PLAIN = 0.1
# Shorter lists of candidates are filled up to this many with strangers: a young index has not seen
# yet what is common to its topic. The two values lie between the means over candidates of a mixed
# stream (.05, .04) and of indexes that hold one topic (.12, .10).
_STRANGERS = 16
_STRANGER_COSINE = 0.08  # with the article
_STRANGER_TERMS = 0.1  # part of the article's terms that it has
_SMOOTHING = 0.05  # keeps quotients of small cosines steady


@dataclass(frozen=True, slots=True)
class Overlap:
    """What an article with T terms shares with the E exemplars of its C candidates: H hits."""

    kind: NDArray[np.uint8]  # (T)
    weight: Floats  # (T) of the article's terms, by the stream
    hit: Ints  # (H) the exemplar that has a term of the article
    place: Ints  # (H) the term's place in the article
    shared: Floats  # (H) weight of the term in the exemplar
    shared_kind: NDArray[np.uint8]  # (H)
    energy: Floats  # (E) sum of the squared weights of all terms of the exemplar
    head: Floats  # (E) the same of the terms in its head
    names: Floats  # (E) of its names
    numbers: Floats  # (E) of its numbers
    first: Ints  # (C) first exemplar of each candidate
    exemplars: Ints  # (C) exemplars of each candidate, at least 1

    def best(self, values: Floats) -> Floats:
        """Return the greatest value of each candidate's exemplars."""
        greatest: Floats = np.maximum.reduceat(values, self.first)
        return greatest

    def mean(self, values: Floats) -> Floats:
        """Return the mean over each candidate's exemplars."""
        sums: Floats = np.add.reduceat(values, self.first)
        return sums / self.exemplars

    def sums(self, values: Floats) -> Floats:
        """Return the sum of a value of each hit for each exemplar."""
        sums: Floats = np.bincount(self.hit, values, len(self.energy)).astype(np.float64)
        return sums

    def parts(self) -> Floats:
        """Return (C, T): the part of each candidate's exemplars that have each term."""
        story = np.repeat(np.arange(len(self.first)), self.exemplars)
        cells = story[self.hit] * len(self.weight) + self.place
        size = len(self.first) * len(self.weight)
        counts = np.bincount(cells, (self.shared > 0).astype(np.float64), size)
        parts: Floats = counts.reshape(len(self.first), -1) / self.exemplars[:, None]
        return parts


def compare(
    vector: bytes, candidates: Sequence[StoryCandidate], df: DocumentFrequencies
) -> Overlap:
    """Return what an article shares with its candidates.

    Args:
        vector: the article's packed terms, at least one.
        candidates: each with at least one exemplar that has terms.
        df: document frequencies of the stream.
    Cost: linear in the terms of all exemplars.
    """
    packed = [e for c in candidates for e in c.exemplars if e]
    exemplars = np.array([sum(map(bool, c.exemplars)) for c in candidates])
    rows = np.frombuffer(b"".join((*packed, vector)), VECTOR)
    terms, kinds = rows["term"].astype(np.uint32), rows["kind"].copy()
    weights = df.weigh(terms, rows["tf"], rows["prior"])
    size = len(vector) // VECTOR.itemsize
    lengths = np.array([len(e) // VECTOR.itemsize for e in packed])
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))

    hits, places = _matches(terms[-size:], terms[:-size])
    energy, kind = weights[:-size] ** 2, kinds[:-size]
    return Overlap(
        kind=kinds[-size:],
        weight=weights[-size:],
        hit=np.repeat(np.arange(len(packed)), lengths)[hits],
        place=places,
        shared=weights[hits],
        shared_kind=kinds[hits],
        energy=np.add.reduceat(energy, starts),
        head=np.add.reduceat(energy * ((kind & _HEAD) > 0), starts),
        names=np.add.reduceat(energy * ((kind & NAME) > 0), starts),
        numbers=np.add.reduceat(energy * ((kind & NUMBER) > 0), starts),
        first=np.concatenate(([0], np.cumsum(exemplars)[:-1])),
        exemplars=exemplars,
    )


def _matches(mine: NDArray[np.uint32], theirs: NDArray[np.uint32]) -> tuple[Ints, Ints]:
    """Return which of their terms are among mine, and where there."""
    # One of sixteen strange terms passes the table; searching for all would cost ten times as much.
    near = np.zeros(_TABLE, np.bool_)
    near[mine & _LOW_BITS] = True
    likely = np.flatnonzero(near[theirs & _LOW_BITS])
    order = np.argsort(mine)
    ranked = mine[order]
    place = np.minimum(np.searchsorted(ranked, theirs[likely]), len(mine) - 1)
    found = ranked[place] == theirs[likely]
    return likely[found], order[place[found]]


def measure(overlap: Overlap, candidates: Sequence[StoryCandidate], at: float) -> Floats:
    """Return the features: (C, len(FEATURES)), a row for each candidate.

    Args:
        overlap: of the article with these candidates.
        candidates: in the same order.
        at: event time of the article.
    """
    strangers = max(0, _STRANGERS - len(candidates))
    energy = overlap.weight**2
    cosines = _ratio(
        overlap.sums(overlap.shared * overlap.weight[overlap.place]),
        np.sqrt(overlap.energy * energy.sum()),
    )
    parts = overlap.parts()
    # Terms of the topic are common to many candidates, terms of the event to few.
    sharers = np.maximum(parts.sum(axis=0) + strangers * _STRANGER_TERMS, 1.0)
    columns = {
        "prominence": _prominence(overlap.mean(cosines), strangers),
        "distinct": _coverage(parts / sharers, energy),
        "common": _coverage(parts, energy),
        "article_head": _coverage(parts, energy * ((overlap.kind & _HEAD) > 0)),
        "story_head": _story_head(overlap),
        "plain": _plain(overlap),
        "names": _names(overlap, cosines),
        "numbers": _numbers(overlap),
        "age_days": np.array([max(0.0, at - c.first_at) / _DAY for c in candidates]),
    }
    return np.stack([columns[name] for name in FEATURES], axis=1)


def shared_terms(overlap: Overlap, chosen: Sequence[int], most: int) -> list[list[int]]:
    """Return where in the article's vector the weightiest terms lie that each candidate has.

    Args:
        overlap: of the article with its candidates.
        chosen: the candidates asked about.
        most: terms for each at most.
    """
    has = overlap.parts() > 0
    order = np.argsort(-overlap.weight, kind="stable")
    return [order[has[i, order]][:most].tolist() for i in chosen]


def _ratio(parts: Floats, wholes: Floats) -> Floats:
    """Return quotients, 0 where there is no whole."""
    return np.divide(parts, wholes, out=np.zeros(len(wholes)), where=wholes > 0)


def _coverage(parts: Floats, energy: Floats) -> Floats:
    """Return the share of the energy of the article's terms that the candidates have."""
    share: Floats = (parts @ energy) / max(float(energy.sum()), 1e-9)
    return share


def _prominence(close: Floats, strangers: int) -> Floats:
    """Return how many times closer a story is than the average candidate, as a logarithm.

    Where all candidates are about one topic, all are close, and closeness alone proves nothing.
    """
    average = (close.sum() + strangers * _STRANGER_COSINE) / (len(close) + strangers)
    out: Floats = np.log((close + _SMOOTHING) / (average + _SMOOTHING))
    return out


def _story_head(overlap: Overlap) -> Floats:
    """Return how much of the energy of the terms in the stories' heads the article has.

    A cosine cannot tell whether an article is about what the story is about, or only mentions it.
    """
    in_head = (overlap.shared_kind & _HEAD) > 0
    return overlap.mean(_ratio(overlap.sums(overlap.shared**2 * in_head), overlap.head))


def _cosines(overlap: Overlap, ours: Floats, counts: NDArray[np.bool_], theirs: Floats) -> Floats:
    """Return each exemplar's cosine with the article over some of the terms.

    Args:
        overlap: of the article with its candidates.
        ours: (T) weights of the article's terms, 0 where they do not count.
        counts: (H) whether the exemplar's term counts.
        theirs: (E) energy of the exemplar's terms that count.
    """
    dots = overlap.sums(overlap.shared * ours[overlap.place] * counts)
    return _ratio(dots, np.sqrt(theirs * float(ours @ ours)))


def _plain(overlap: Overlap) -> Floats:
    """Return the mean cosine over words that are neither names nor numbers.

    Accounts of one kind of event share these; so at equal likeness they count against a story. In
    scripts without capitals names cannot be told from words, and nothing is known of these alone.
    """
    if not np.any(overlap.kind & NAME):
        return np.full(len(overlap.first), _NO_CAPITALS)
    ours = np.where(overlap.kind & _FIGURES, 0.0, overlap.weight)
    theirs = np.maximum(overlap.energy - overlap.names - overlap.numbers, 0.0)
    plain = overlap.mean(_cosines(overlap, ours, (overlap.shared_kind & _FIGURES) == 0, theirs))
    return np.maximum(plain, _LEAST_PLAIN)


def _names(overlap: Overlap, cosines: Floats) -> Floats:
    """Return the best cosine over names; over all terms where a side has none, as in Arabic."""
    ours = np.where(overlap.kind & NAME, overlap.weight, 0.0)
    best = overlap.best(_cosines(overlap, ours, (overlap.shared_kind & NAME) > 0, overlap.names))
    known = ours.any() & (overlap.best(overlap.names) > 0)
    return np.where(known, best, overlap.best(cosines))


def _numbers(overlap: Overlap) -> Floats:
    """Return the mean cosine over numbers, and what is usual where a side has none."""
    ours = np.where(overlap.kind & NUMBER, overlap.weight, 0.0)
    counts = (overlap.shared_kind & NUMBER) > 0
    known = ours.any() & (overlap.best(overlap.numbers) > 0)
    mean = overlap.mean(_cosines(overlap, ours, counts, overlap.numbers))
    return np.where(known, mean, _NO_NUMBERS)
