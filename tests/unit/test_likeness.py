"""How alike two texts are: estimates against exact similarities, and against their proven error."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.core.likeness import (
    KEPT_BYTES,
    containment,
    estimate_jaccard,
    kept_parities,
    parities,
)

Shingles = NDArray[np.uint32]
SIZES = st.tuples(st.integers(1, 200), st.integers(0, 200), st.integers(1, 200))
PLACES = 8 * KEPT_BYTES
# A false alarm in ten million examples: McDiarmid's bound 2 exp(-2 t**2 / d), solved for t.
MISSED_ONCE_IN = 1e7


def _pair(only_a: int, both: int, only_b: int, seed: int) -> tuple[Shingles, Shingles]:
    """Return two random sets of which so many members are in one, in both, in the other."""
    draw = np.random.default_rng(seed)
    pool = np.unique(draw.integers(0, 2**32, only_a + both + only_b + 1_000, dtype=np.uint32))
    members = draw.choice(pool, only_a + both + only_b, replace=False)
    return np.sort(members[: only_a + both]), np.sort(members[only_a:])


def _estimate(probing: Shingles, known: Shingles) -> float:
    kept = kept_parities(parities(known), len(known))
    return estimate_jaccard(parities(probing), len(probing), kept, len(known))


def _standard_error(both: int, apart: int, share: float) -> float:
    """Return the standard error of the estimate for two sets that differ in ``apart`` members.

    Let s be 1 where a place of m is even and -1 where it is odd. With d hashes thrown, the mean of s is
    (1 - 2/m)**d and that of the product of two places (1 - 4/m)**d, which gives the variance of the
    number of odd places. Divided by the square of its derivative it is that of d, to which comes that of
    which hashes are compared; and so on to J. It holds where errors are small (the delta method).

    Args:
        both: sizes of the two sets, added.
        apart: members that one of them lacks.
        share: of all hashes that are compared.
    """
    d, m = apart * share, PLACES
    agreement = (1 - 2 / m) ** d
    odd = (m + m * (m - 1) * (1 - 4 / m) ** d - (m * agreement) ** 2) / 4
    of_apart = (odd / agreement**2 + d * (1 - share)) / share**2
    return 2 * both / (both + apart) ** 2 * math.sqrt(of_apart)


@pytest.mark.parametrize(
    ("size", "share"),
    [(300, 1), (512, 1), (513, 1 / 2), (1_500, 1 / 4), (4_000, 1 / 8), (16_384, 1 / 32)],
)
@pytest.mark.parametrize("jaccard", [0.35, 0.5, 0.7])
def test_estimate_jaccard_when_sets_are_random_then_errs_as_derived(
    size: int, share: float, jaccard: float
) -> None:
    """No error of a hundred is above four standard errors, and their root mean square is about one.

    Where but a few members differ, errors are mostly none and else whole steps: see McDiarmid's bound.
    """
    shared = round(2 * size * jaccard / (1 + jaccard))
    alone = size - shared
    exact, expected = shared / (shared + 2 * alone), _standard_error(2 * size, 2 * alone, share)
    errors = np.array(
        [(_estimate(*_pair(alone, shared, alone, seed)) - exact) / expected for seed in range(100)]
    )
    assert abs(errors).max() <= 4
    assert 0.75 <= math.sqrt(np.mean(errors**2)) <= 1.25


def test_standard_error_when_derived_then_as_stated() -> None:
    """The figures in the docstring of `estimate_jaccard`."""
    assert _standard_error(600, 200, 1) == pytest.approx(0.015, abs=0.0005)
    for halvings in range(1, 6):
        for size in range(512 * 2 ** (halvings - 1) + 1, 512 * 2**halvings, 64):
            assert _standard_error(2 * size, round(2 * size / 3), 0.5**halvings) <= 0.032


@given(sizes=SIZES, seed=st.integers(0, 2**32 - 1))
def test_estimate_jaccard_when_sets_are_any_then_within_mcdiarmids_bound(
    sizes: tuple[int, int, int], seed: int
) -> None:
    """Each of d differing hashes moves the number of odd places by one at most: so it is bounded."""
    only_a, shared, only_b = sizes
    a, b = _pair(only_a, shared, only_b, seed)
    apart, both = only_a + only_b, only_a + only_b + 2 * shared
    odd = PLACES / 2 * (1 - (1 - 2 / PLACES) ** apart)
    off = math.sqrt(apart * math.log(2 * MISSED_ONCE_IN) / 2)
    least, most = (
        math.log(1 - 2 * max(0.0, places) / PLACES) / math.log(1 - 2 / PLACES)
        for places in (odd - off, odd + off)
    )
    assert (both - most) / (both + most) - 1e-9 <= _estimate(a, b)
    assert _estimate(a, b) <= max(0.0, (both - least) / (both + least)) + 1e-9


@pytest.mark.parametrize("size", [30, 300, 512, 2_000, 8_000])
def test_estimate_jaccard_when_one_set_lies_in_the_other_then_either_may_be_known(
    size: int,
) -> None:
    """A third of a text and the whole: whichever came first, at any length."""
    short, long = _pair(0, size, 2 * size, size)
    share = 1 / 2 ** max(0, (size - 1) // 512).bit_length()
    bound = 4 * _standard_error(4 * size, 2 * size, share)
    assert _estimate(short, long) == pytest.approx(1 / 3, abs=bound)
    assert _estimate(long, short) == pytest.approx(1 / 3, abs=bound)


@given(sizes=SIZES, seed=st.integers(0, 2**32 - 1))
def test_estimate_jaccard_when_sets_are_equal_or_swapped_then_as_a_similarity_has_it(
    sizes: tuple[int, int, int], seed: int
) -> None:
    """A set is wholly like itself, and two are as alike either way round."""
    a, b = _pair(*sizes, seed)
    assert _estimate(a, a) == 1.0
    assert _estimate(a, b) == _estimate(b, a)


def test_estimate_jaccard_when_nothing_is_shared_then_nothing_shows() -> None:
    """Parities of very many hashes agree by chance in half of the places, which says nothing."""
    for seed in range(20):
        short, long = _pair(500, 0, 18_000, seed)
        assert _estimate(long, short) == 0.0
        assert _estimate(short, long) <= 0.05


@given(sizes=SIZES, seed=st.integers(0, 2**32 - 1))
def test_parities_when_sets_are_disjoint_then_those_of_the_union_are_theirs_differing(
    sizes: tuple[int, int, int], seed: int
) -> None:
    """What parities are; of no set they are nought."""
    a, b = _pair(sizes[0], 0, sizes[2], seed)
    of_a, of_b, of_both = (
        np.frombuffer(parities(s), np.uint8) for s in (a, b, np.concatenate([a, b]))
    )
    assert (of_a ^ of_b == of_both).all()
    assert not any(parities(np.empty(0, np.uint32)))


def test_kept_parities_when_text_is_of_any_length_then_of_one_width() -> None:
    """Records of texts lie end to end."""
    for size in (0, 1, 512, 513, 8_192, 100_000):
        members = np.arange(size, dtype=np.uint32)
        assert len(kept_parities(parities(members), size)) == KEPT_BYTES


@given(SIZES)
def test_containment_when_jaccard_is_exact_then_exact(sizes: tuple[int, int, int]) -> None:
    """The identity |A and B| = J (|A| + |B|) / (1 + J)."""
    left, both, right = sizes
    jaccard = both / (left + both + right)
    inside = containment(jaccard, left + both, both + right)
    assert inside == pytest.approx(both / min(left + both, both + right))
