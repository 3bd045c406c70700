"""Signatures of the two levels and the keys under which the index files them.

Copy level: MinHash over 3-word shingles, cut into bands. Story level: weighted MinHash over salient
terms, one bucket per slot. Everything here is stable over processes and platforms: the index keeps
the results for days.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worker.core.salience import NAME, VECTOR, static_idf, term_hashes, term_weight
from worker.model import IndexParams

if TYPE_CHECKING:
    from datasketch import MinHash

SHINGLE_WIDTH = 3

_SEED = 1  # datasketch's default; any fixed value does, but it may never change
# On the labelled stream recall@16 of 64 slots: 1 gives .982, 1.5 gives .985 and reads a sixth less.
_NAME_BONUS = 1.5
_MIX_A = np.uint64(0x9E3779B97F4A7C15)  # odd 64-bit constants of splitmix64 (Steele et al. 2014)
_MIX_B = np.uint64(0xBF58476D1CE4E5B9)
_MIX_C = np.uint64(0x94D049BB133111EB)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply splitmix64's finaliser, a bijection that spreads every bit, in place; return it."""
    shifted = values >> np.uint64(30)
    values ^= shifted
    values *= _MIX_B
    np.right_shift(values, np.uint64(27), out=shifted)
    values ^= shifted
    values *= _MIX_C
    np.right_shift(values, np.uint64(31), out=shifted)
    values ^= shifted
    return values


def shingles(tokens: Sequence[str], width: int = SHINGLE_WIDTH) -> NDArray[np.uint32]:
    """Return the set of hashes of all runs of ``width`` tokens, sorted.

    A text shorter than ``width`` is one shingle; an empty one has none. Two different shingles of
    one text share a hash with probability 2**-32.
    """
    hashes = term_hashes(tokens).astype(np.uint64)
    runs = max(1, len(hashes) - width + 1) if len(hashes) else 0
    mixed: NDArray[np.uint64] = np.zeros(runs, np.uint64)
    for i in range(min(width, len(hashes))):
        mixed = _mix(mixed * _MIX_A + hashes[i : i + runs])
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))


def copy_signature(shingle_set: NDArray[np.uint32], num_perm: int) -> bytes:
    """Return the MinHash of a shingle set: num_perm x uint32 little-endian.

    Raises:
        ValueError: empty set; two empty sets would look alike. core.junk rejects such texts first.
    Source: Broder 1997; scheme 'affine32' of datasketch 2.
    """
    if not len(shingle_set):
        raise ValueError("an empty shingle set has no signature")
    minhash = _base(num_perm).copy()
    # One value that is an array, not many numbers: datasketch hashes value by value in Python (here
    # by doing nothing) and flattens what comes out, so the set reaches NumPy as it is.
    minhash.update_batch([shingle_set])
    return np.asarray(minhash.hashvalues).astype("<u4").tobytes()


def _identity(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return values


@lru_cache(maxsize=4)
def _base(num_perm: int) -> "MinHash":
    """Return an empty MinHash whose permutations all copies share: making them costs .3 ms."""
    from datasketch import MinHash  # noqa: PLC0415 - brings SciPy, which only signing needs

    return MinHash(num_perm=num_perm, seed=_SEED, hashfunc=_identity, scheme="affine32")


def band_buckets(signature: bytes, params: IndexParams) -> bytes:
    """Return the copy buckets: for each band the 4-byte hash of its number and rows, end to end.

    Two texts of Jaccard J share a bucket with probability 1 - (1 - J**rows)**bands: with 42 x 3,
    .996 at J = .5, .76 at .33 and .04 at .1.
    """
    rows = np.frombuffer(signature, "<u4")[: params.copy_bands * params.copy_rows]
    return _bucket_hashes(rows.reshape(-1, params.copy_rows)) if len(rows) else b""


def story_slots(vector: bytes, slots: int) -> bytes:
    """Return the weighted MinHash of a packed vector: slots x uint32 little-endian term hashes.

    Each slot draws one term with probability proportional to its weight, by the smallest
    exponential variate -ln(u)/w with u a hash of (term, slot). Two articles agree in a slot with
    their probability Jaccard similarity, which ignores scale. Weights use the static prior, so that
    an article has the same slots on every day.

    Source: Moulton and Jiang 2018, "Maximally consistent sampling and the Jaccard index of
    probability distributions" (P-MinHash).
    """
    rows = np.frombuffer(vector, VECTOR)
    if not len(rows):
        return b""
    weight = term_weight(rows["tf"]) * static_idf(rows["prior"])
    weight = np.where(rows["kind"] & NAME, _NAME_BONUS * weight, weight) ** 2
    draws = _mix(rows["term"].astype(np.uint64) * _MIX_A + _slot_seeds(slots)) >> np.uint64(11)
    # In place, and the largest ln(u)/w instead of the smallest -ln(u)/w: a third of the time.
    variate = draws.astype(np.float64)
    variate *= 2.0**-53
    variate += 2.0**-54
    np.log(variate, out=variate)
    variate /= weight
    return bytes(rows["term"][variate.argmax(axis=1)].tobytes())


@lru_cache(maxsize=4)
def _slot_seeds(slots: int) -> NDArray[np.uint64]:
    """Return what tells one slot's hash function from another's, as a column."""
    return _mix(np.arange(1, slots + 1, dtype=np.uint64) * _MIX_A)[:, None]


def slot_buckets(slots: bytes) -> bytes:
    """Return the story buckets: for each slot the 4-byte hash of its number and term, end to end."""
    return _bucket_hashes(np.frombuffer(slots, "<u4")[:, None])


def _bucket_hashes(values: NDArray[np.uint32]) -> bytes:
    """Return a hash of each row of values and its number, as uint32 big-endian."""
    mixed: NDArray[np.uint64] = np.arange(1, len(values) + 1, dtype=np.uint64)
    for column in values.T.astype(np.uint64):
        mixed = _mix(mixed * _MIX_A + column)
    return (mixed >> np.uint64(32)).astype(">u4").tobytes()
