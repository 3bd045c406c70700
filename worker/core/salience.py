"""Which terms of an article tell its event from others, packed into bytes.

A term is a word; its weight is (how often it occurs) x (how rare it is). The packed vector keeps
the parts, so that rarity can be taken from a static prior or from the stream of the last days.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from worker.core.memo import Memo

Prior = Callable[[str], float]
"""The static probability that an article of the language contains a token."""

Terms = NDArray[np.uint32] | NDArray[np.intp]
"""Term hashes."""

# Bits of the ``kind`` field.
TITLE = 1  # occurs in the title
NAME = 2  # capitalised inside a sentence, at least half the times that it occurs
NUMBER = 4
LEAD = 8  # occurs in the opening

VECTOR = np.dtype([("term", "<u4"), ("tf", "u1"), ("prior", "u1"), ("kind", "u1")])
"""One salient term: 7 bytes, no padding; ``prior`` is coded by `quantise`."""

DF_BUCKETS = 2**18
"""Document counts are kept per bucket of term hashes: 512 KiB a part of the window as 16-bit counters."""

_PRIOR_STEPS = 25.0  # steps per unit of -ln(p): 255 reaches 4e-5, below every listed word
_LEAD_TOKENS = 60  # about two opening sentences
_COMMON = 0.35  # words that more than a third of all articles contain tell no events apart
# The static prior counts as much as this many articles of the stream, about an hour of a busy one.
_PRIOR_ARTICLES = 300.0


def _hash(term: str) -> int:
    return int.from_bytes(hashlib.blake2b(term.encode(), digest_size=4).digest(), "little")


_HASHES = Memo(_hash, size=200_000)  # 20 MB


def term_hash(term: str) -> int:
    """Return the 32-bit name of a term: the same in every process and on every platform."""
    return _HASHES[term]


def term_hashes(terms: Sequence[str]) -> NDArray[np.uint32]:
    """Return the `term_hash` of each term. Cost: .1 µs a term that occurred before, else 2 µs."""
    return np.fromiter(map(_HASHES.__getitem__, terms), np.uint32, len(terms))


def quantise(probability: float) -> int:
    """Return a document probability as one byte."""
    return min(255, round(-_PRIOR_STEPS * math.log(max(probability, 1e-9))))


def static_idf(priors: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return -ln of the document probabilities that `quantise` coded."""
    return priors.astype(np.float64) / _PRIOR_STEPS


def term_weight(tf: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how much repetition counts: 1 + ln(tf)."""
    weight: NDArray[np.float64] = 1.0 + np.log(tf.astype(np.float64))
    return weight


def salient_terms(
    heading: Sequence[str], body: Sequence[str], names: Sequence[str], *, prior: Prior, limit: int
) -> tuple[bytes, tuple[str, ...]]:
    """Return the packed vector and its terms in readable form, weightiest first.

    Args:
        heading: tokens of the title; may be empty.
        body: tokens of the text.
        names: tokens of the text that are capitalised inside a sentence, with repetitions.
        prior: static document probabilities.
        limit: most terms kept.
    Cost: .2 ms for 400 words.
    """
    counts = Counter(heading)
    counts.update(body)
    rows = _weightiest(counts, _codes(prior), limit)
    if not rows:
        return b"", ()
    _, terms, tfs, codes = zip(*rows, strict=True)
    capital = Counter(names)
    in_title, in_lead = set(heading), set(body[:_LEAD_TOKENS])
    vector = np.empty(len(rows), VECTOR)
    vector["term"] = term_hashes(terms)
    vector["tf"] = np.minimum(tfs, 255)
    vector["prior"] = codes
    vector["kind"] = [
        TITLE * (term in in_title)
        | LEAD * (term in in_lead)
        | NUMBER * term[0].isdigit()
        | NAME * (2 * capital.get(term, 0) >= tf)
        for term, tf in zip(terms, tfs, strict=True)
    ]
    return vector.tobytes(), terms


def _weightiest(
    counts: Mapping[str, int], codes: Mapping[str, int], limit: int
) -> list[tuple[float, str, int, int]]:
    """Return (minus weight, term, tf, code) of so many terms, weightiest first."""
    coded = list(map(codes.__getitem__, counts))
    weights = [
        (-1.0 - math.log(tf)) * code if tf > 1 else -1.0 * code
        for tf, code in zip(counts.values(), coded, strict=True)
    ]
    # Numbers sort in a fifth of the time of rows, so few rows are made.
    last = sorted(weights)[min(limit, len(weights)) - 1] if weights else 0.0
    rows = [
        (weight, term, tf, code)
        for weight, (term, tf), code in zip(weights, counts.items(), coded, strict=True)
        if code and weight <= last
    ]
    return sorted(rows)[:limit]


@lru_cache(maxsize=64)  # as many as decode.lexicon keeps
def _codes(prior: Prior) -> Memo[int]:
    """Return a prior's codes by term; 0 means too common. Memory: 5 MB a language."""

    def code(term: str) -> int:
        probability = prior(term)
        if probability > _COMMON or (len(term) == 1 and term.isascii()):
            return 0
        return quantise(probability)

    return Memo(code, size=2**15)


# Both for each value of the byte: logarithms and powers of thousands of rows cost more. No byte is
# outside these tables; they are taken from with mode="clip", which is twice as fast as checking.
_TF_WEIGHTS = term_weight(np.maximum(np.arange(256), 1).astype(np.uint8))
_PRIOR_COUNTS = _PRIOR_ARTICLES * np.exp(-static_idf(np.arange(256).astype(np.uint8)))


def df_offsets(vector: bytes) -> list[int]:
    """Return the distinct buckets in which an article counts, from its packed vector."""
    return [int(i) for i in np.unique(np.frombuffer(vector, VECTOR)["term"] % DF_BUCKETS)]


@dataclass(frozen=True, slots=True)
class DocumentFrequencies:
    """In how many of the stream's recent articles a term was salient.

    Counting salient terms only, not all words, is what scoring needs: a term that is weighed stands
    in a packed vector.
    """

    counts: NDArray[np.uint32]  # DF_BUCKETS long
    docs: int

    @classmethod
    def of_parts(cls, parts: Sequence[bytes], docs: int) -> "DocumentFrequencies":
        """Return the sum of the counters of parts of the window.

        Args:
            parts: big-endian uint16 counters, as Redis BITFIELD stores them; a string may end
                early where all later counters are zero.
            docs: articles counted in them.
        """
        counts = np.zeros(DF_BUCKETS, np.uint32)
        for raw in parts:
            padded = raw + b"\0" if len(raw) % 2 else raw
            part = np.frombuffer(padded, ">u2")[:DF_BUCKETS]
            counts[: len(part)] += part
        return cls(counts, docs)

    def idf(self, terms: Terms, priors: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return -ln of the terms' document probability, the static prior as pseudo-counts."""
        seen = _PRIOR_COUNTS.take(priors, mode="clip")
        seen += self.counts.take(terms & (DF_BUCKETS - 1))
        rarity: NDArray[np.float64] = np.log(seen, out=seen)
        np.subtract(math.log(self.docs + _PRIOR_ARTICLES), rarity, out=rarity)
        np.maximum(rarity, 0.0, out=rarity)
        return rarity

    def weigh(
        self, terms: Terms, tf: NDArray[np.uint8], priors: NDArray[np.uint8]
    ) -> NDArray[np.float64]:
        """Return how often the terms occur x how rare they are."""
        weights = self.idf(terms, priors)
        weights *= _TF_WEIGHTS.take(tf, mode="clip")
        return weights
