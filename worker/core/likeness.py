"""How alike two texts are: the Jaccard similarity of their shingle sets, from 192 bytes a text.

The bands of a MinHash find the texts that may be copies (core.signatures); parities tell whether they
are. Stable over processes and platforms: the index keeps them for days.
"""

import math

import numpy as np
from numpy.typing import NDArray

# Places of the parities. With 1 536 of them copies among 1 816 real articles were found at a recall and
# a precision of .99 in 50 of 60 choices of hash functions; by the low bytes of 128 MinHash values in 8
# of 24.
_PLACES = 1_536
KEPT_BYTES = _PLACES // 8
# Up to so many shingles of a text all count; of a longer one's a half, a quarter ... do. A text that
# holds it and is four times as long, the most that a copy is looked for in, then differs from it in
# 1 536 shingles: fewer than the 1 580 that can be told.
_ALL = 512
_SHARES = 6  # 1, 1/2 ... 1/32: enough for 16 384 shingles; above, fewer differences can be told
# Zeros at the end of a hash say how small a share it is still in.
_IN_SHARE = np.array([_SHARES - 1, *((i & -i).bit_length() - 1 for i in range(1, 32))], np.intp)
# Parities of texts that share nothing agree in half of the places, with a standard deviation of
# .5 sqrt(_PLACES). Less than five of these above it is no sign of anything.
_LEAST_AGREEMENT = 5.0 / math.sqrt(_PLACES)


def parities(shingle_set: NDArray[np.uint32]) -> bytes:
    """Return for each place whether an odd number of hashes falls there: a bit each, a row a share.

    The first row takes in all hashes, each further one those half of them that end in one more zero.

    Cost: .04 ms for an article.
    Source: Mitzenmacher, Pagh and Pham 2014, "Efficient estimation for high similarities using odd
    sketches"; here of the sets themselves instead of their MinHashes.
    """
    place = (shingle_set.astype(np.uint64) * np.uint64(_PLACES) >> np.uint64(32)).astype(np.intp)
    place += _IN_SHARE[shingle_set & np.uint32(31)] * _PLACES
    odd = np.bincount(place, minlength=_SHARES * _PLACES).astype(np.uint8) & 1
    # A row has the hashes that are in this share and in no smaller one; to it come those that are.
    rows = np.packbits(odd).reshape(_SHARES, KEPT_BYTES)[::-1]
    return bytes(np.bitwise_xor.accumulate(rows)[::-1].tobytes())


def kept_parities(of_all_shares: bytes, shingles: int) -> bytes:
    """Return the row of `parities` that a text of so many shingles is compared by."""
    return _row(of_all_shares, _halvings(shingles))


def _halvings(shingles: int) -> int:
    return min(_SHARES - 1, ((shingles - 1) // _ALL).bit_length()) if shingles else 0


def _row(of_all_shares: bytes, halvings: int) -> bytes:
    return of_all_shares[halvings * KEPT_BYTES :][:KEPT_BYTES]


def estimate_jaccard(of_all_shares: bytes, shingles: int, kept: bytes, kept_shingles: int) -> float:
    """Return an estimate of the Jaccard similarity of a text and one whose parities were kept.

    Parities differ where an odd number of those d hashes falls that only one of the texts has: in a
    place of m with probability (1 - (1 - 2/m)**d) / 2. That gives d, and J = (n - d) / (n + d), n being
    the known sizes of both together. Standard error at J = .5: .015 for texts of 300 shingles, at most
    .032 for longer ones; 128 MinHash values have .044. 0 where too much differs to be told.

    Args:
        of_all_shares: `parities` of the one.
        shingles: how many it has, at least 1.
        kept: `kept_parities` of the other.
        kept_shingles: how many that has, at least 1.
    Cost: 4 us.
    Source: Mitzenmacher, Pagh and Pham 2014; tests/unit/test_likeness.py derives the error.
    """
    halvings = _halvings(kept_shingles)
    mine = int.from_bytes(_row(of_all_shares, halvings), "big")
    differing = (mine ^ int.from_bytes(kept, "big")).bit_count()
    agreement = 1.0 - 2.0 * differing / _PLACES
    if agreement < _LEAST_AGREEMENT:
        return 0.0
    apart = math.log(agreement) / math.log1p(-2.0 / _PLACES) * 2.0**halvings
    both = shingles + kept_shingles
    most = min(shingles, kept_shingles) / max(shingles, kept_shingles)
    return min(max(0.0, (both - apart) / (both + apart)), most)


def containment(jaccard: float, n_a: int, n_b: int) -> float:
    """Return the share of the smaller of two sets that lies in the larger one.

    Args:
        jaccard: of the two sets; an estimate gives an estimate.
        n_a: size of one set, at least 1.
        n_b: size of the other.
    Source: |A ∩ B| = J (|A| + |B|) / (1 + J).
    """
    return min(1.0, jaccard * (n_a + n_b) / ((1.0 + jaccard) * min(n_a, n_b)))
