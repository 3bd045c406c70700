"""Measures how alike an article and its candidate stories are: one column for each feature.

An article has few terms in common with anybody, so all terms of all exemplars are passed over once,
for their weights and lengths; what is shared is a short list of hits, and every feature comes from
that list. What features tell apart (heads, names, numbers, plain words) is counted once, by facets,
and summed by group. `core.scorer` weighs the columns; this module knows no weights and decides
nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, compress, islice

import numpy as np
from numpy.typing import NDArray

from worker.core.salience import LEAD, NAME, NUMBER, TITLE, VECTOR, DocumentFrequencies
from worker.model import StoryCandidate

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

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

_TABLE = 8_192  # slots of the table that tells strange terms apart; of 64 terms, .8 % pass
_DAY = 86_400.0
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

# The groups of terms that features are about, as columns of sums.
_ALL, _HEAD, _NAMES, _NUMBERS, _PLAIN = range(5)
_KINDS = np.arange(256)
# What a kind means for the groups: one bit for each but the first, in their order. The bits that
# two terms have in common are the groups that both are in.
_FACETS: Ints = (
    1 * ((_KINDS & (TITLE | LEAD)) > 0)
    | 2 * ((_KINDS & NAME) > 0)
    | 4 * ((_KINDS & NUMBER) > 0)
    | 8 * ((_KINDS & (NAME | NUMBER)) == 0)
)
# (16, 5): 1 where what has these facets is in the group.
_GROUPS: Floats = np.array(
    [(1, *(facets >> bit & 1 for bit in range(4))) for facets in range(16)], float
)


@dataclass(frozen=True, slots=True)
class Overlap:
    """What an article with T terms shares with the E exemplars of its C candidates: H hits."""

    weight: Floats  # (T) of the article's terms, by the stream
    facets: Ints  # (T)
    own_energy: Floats  # (5) sum of the squared weights of the article's terms, by group
    energy: Floats  # (E, 5) the same of each exemplar
    hit: Ints  # (H) the exemplar that has a term of the article
    place: Ints  # (H) the term's place in the article
    shared: Floats  # (H) weight of the term in the exemplar
    shared_facets: Ints  # (H)
    first: Ints  # (C) first exemplar of each candidate
    exemplars: Ints  # (C) exemplars of each candidate, at least 1
    parts: Floats  # (C, T) the part of each candidate's exemplars that have each term

    def best(self, values: Floats) -> Floats:
        """Return the greatest value of each candidate's exemplars: (E, ...) to (C, ...)."""
        greatest: Floats = np.maximum.reduceat(values, self.first)
        return greatest

    def mean(self, values: Floats) -> Floats:
        """Return the mean over each candidate's exemplars: (E, ...) to (C, ...)."""
        sums: Floats = np.add.reduceat(values, self.first)
        return (sums.T / self.exemplars).T


def compare(
    vector: bytes, candidates: Sequence[StoryCandidate], df: DocumentFrequencies
) -> Overlap:
    """Return what an article shares with its candidates.

    Args:
        vector: the article's packed terms, at least one.
        candidates: each with at least one exemplar that has terms.
        df: document frequencies of the stream.
    Cost: linear in the terms of all exemplars; half of what a decision costs.
    """
    kept = [tuple(filter(None, c.exemplars)) for c in candidates]
    packed = list(chain.from_iterable(kept))
    packed.append(vector)
    rows = np.frombuffer(b"".join(packed), VECTOR)
    terms, facets = rows["term"].astype(np.intp), _FACETS.take(rows["kind"], mode="clip")
    weights = df.weigh(terms, rows["tf"], rows["prior"])
    lengths = np.fromiter(map(len, packed), np.intp) // VECTOR.itemsize
    owner = np.repeat(np.arange(len(packed)), lengths)  # the article comes last
    energy = _by_group(owner, facets, weights * weights, len(packed))
    # The fitted weights know it so: what is a name and a number is taken off twice.
    plain = energy[:-1, _ALL] - energy[:-1, _NAMES] - energy[:-1, _NUMBERS]
    energy[:-1, _PLAIN] = np.maximum(plain, 0.0)

    size = int(lengths[-1])
    hits, place = _matches(terms[-size:], terms[:-size])
    exemplars = np.fromiter(map(len, kept), np.intp)
    hit, shared = owner.take(hits), weights.take(hits)
    story = np.repeat(np.arange(len(kept)), exemplars)
    cells = story.take(hit) * size + place
    counts = np.bincount(cells, shared > 0, len(kept) * size).reshape(len(kept), size)
    return Overlap(
        weight=weights[-size:],
        facets=facets[-size:],
        own_energy=energy[-1],
        energy=energy[:-1],
        hit=hit,
        place=place,
        shared=shared,
        shared_facets=facets.take(hits),
        first=exemplars.cumsum() - exemplars,
        exemplars=exemplars,
        parts=counts / exemplars[:, None],
    )


def _by_group(owner: Ints, facets: Ints, values: Floats, owners: int) -> Floats:
    """Return (owners, 5): the sum of each owner's values, by the groups of their facets."""
    cells = np.bincount(owner * len(_GROUPS) + facets, values, owners * len(_GROUPS))
    sums: Floats = cells.reshape(owners, len(_GROUPS)) @ _GROUPS
    return sums


def _matches(mine: Ints, theirs: Ints) -> tuple[Ints, Ints]:
    """Return which of their terms are among mine, and where there."""
    # One of 128 strange terms passes the table; searching for all would cost ten times as much.
    near = np.zeros(_TABLE, np.bool_)
    near[mine & (_TABLE - 1)] = True
    likely = np.flatnonzero(near.take(theirs & (_TABLE - 1)))
    order = mine.argsort()
    ranked, wanted = mine.take(order), theirs.take(likely)
    place = ranked.searchsorted(wanted)
    found = ranked.take(place, mode="clip") == wanted
    return likely[found], order.take(place[found])


def measure(overlap: Overlap, candidates: Sequence[StoryCandidate], at: float) -> Floats:
    """Return the features: (C, len(FEATURES)), a row for each candidate.

    Args:
        overlap: of the article with these candidates.
        candidates: in the same order.
        at: event time of the article.
    """
    strangers = max(0, _STRANGERS - len(candidates))
    cosines = _cosines(overlap)
    mean, best = overlap.mean(cosines), overlap.best(cosines)
    known = overlap.best(overlap.energy) * overlap.own_energy > 0  # both sides have such terms
    distinct, common, in_head = _coverage(overlap, strangers)
    columns = {
        "prominence": _prominence(mean[:, _ALL], strangers),
        "distinct": distinct,
        "common": common,
        "article_head": in_head,
        "story_head": _story_head(overlap),
        "plain": _plain(overlap, mean[:, _PLAIN]),
        "names": np.where(known[:, _NAMES], best[:, _NAMES], best[:, _ALL]),
        "numbers": np.where(known[:, _NUMBERS], mean[:, _NUMBERS], _NO_NUMBERS),
        "age_days": np.maximum(at - np.array([c.first_at for c in candidates]), 0.0) / _DAY,
    }
    return np.array([columns[name] for name in FEATURES]).T


def shared_terms(overlap: Overlap, chosen: Sequence[int], most: int) -> list[list[int]]:
    """Return where in the article's vector the weightiest terms lie that each candidate has.

    Args:
        overlap: of the article with its candidates.
        chosen: the candidates asked about.
        most: terms for each at most.
    """
    order = (-overlap.weight).argsort(kind="stable")
    has = overlap.parts.take(chosen, axis=0).take(order, axis=1) > 0
    ranked = order.tolist()
    return [list(islice(compress(ranked, row), most)) for row in has.tolist()]


def _ratio(parts: Floats, wholes: Floats) -> Floats:
    """Return quotients, 0 where there is no whole."""
    return np.divide(parts, wholes, out=np.zeros(wholes.shape), where=wholes > 0)


def _cosines(overlap: Overlap) -> Floats:
    """Return (E, 5): each exemplar's cosine with the article over the terms of each group."""
    both = overlap.facets.take(overlap.place) & overlap.shared_facets
    products = overlap.weight.take(overlap.place) * overlap.shared
    dots = _by_group(overlap.hit, both, products, len(overlap.energy))
    return _ratio(dots, np.sqrt(overlap.energy * overlap.own_energy))


def _coverage(overlap: Overlap, strangers: int) -> Floats:
    """Return (3, C): the share of the energy of the article's terms that the candidates have.

    First of all terms, where one that many candidates have counts less: terms of the topic are
    common to many, terms of the event to few. Then of all alike, then of those in its head.
    """
    sharers = overlap.parts.sum(axis=0) + strangers * _STRANGER_TERMS
    energy = overlap.weight * overlap.weight
    energies = np.array(
        [
            energy / np.maximum(sharers, 1.0),
            energy,
            energy * _GROUPS[:, _HEAD].take(overlap.facets),
        ]
    )
    wholes = np.maximum(overlap.own_energy[[_ALL, _ALL, _HEAD]], 1e-9)
    shares: Floats = (energies @ overlap.parts.T) / wholes[:, None]
    return shares


def _prominence(close: Floats, strangers: int) -> Floats:
    """Return how many times closer a story is than the average candidate, as a logarithm.

    Args:
        close: (C) the mean cosine of each story's exemplars with the article.
        strangers: how many to count in addition.

    Where all candidates are about one topic, all are close, and closeness alone proves nothing.
    """
    average = (close.sum() + strangers * _STRANGER_COSINE) / (len(close) + strangers)
    out: Floats = np.log((close + _SMOOTHING) / (average + _SMOOTHING))
    return out


def _story_head(overlap: Overlap) -> Floats:
    """Return how much of the energy of the terms in the stories' heads the article has.

    A cosine cannot tell whether an article is about what the story is about, or only mentions it.
    """
    squares = overlap.shared**2 * _GROUPS[:, _HEAD].take(overlap.shared_facets)
    heads = overlap.energy[:, _HEAD]
    shared: Floats = np.bincount(overlap.hit, squares, len(heads)).astype(np.float64, copy=False)
    return overlap.mean(_ratio(shared, heads))


def _plain(overlap: Overlap, cosines: Floats) -> Floats:
    """Return the mean cosine over words that are neither names nor numbers.

    Accounts of one kind of event share these; so at equal likeness they count against a story. In
    scripts without capitals names cannot be told from words, and nothing is known of these alone.
    """
    if not _GROUPS[:, _NAMES].take(overlap.facets).any():
        return np.full(len(cosines), _NO_CAPITALS)
    return np.maximum(cosines, _LEAST_PLAIN)
