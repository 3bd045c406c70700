"""Clustering scores against cases worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.evaluate.metrics import (
    adjusted_rand_index,
    b_cubed,
    normalised_mutual_information,
    pairwise,
)

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)


def test_b_cubed_when_two_stories_are_merged_then_precision_halves() -> None:
    """Two pairs in one group: every article finds half strangers, and all its own."""
    score = b_cubed(["a", "a", "b", "b"], [1, 1, 1, 1])
    assert (score.precision, score.recall) == (0.5, 1.0)
    assert score.f1 == pytest.approx(2 / 3)


def test_b_cubed_when_one_article_is_apart_then_each_article_counts() -> None:
    """Of three mates two stay together: recall is (2/3 + 2/3 + 1/3) / 3."""
    score = b_cubed(["a", "a", "a"], [1, 1, 2])
    assert score.precision == 1.0
    assert score.recall == pytest.approx(5 / 9)


def test_pairwise_when_groups_overlap_then_counts_pairs() -> None:
    """True pairs ab, cd; found pairs ab, ac, bc: one of three said, one of two real."""
    score = pairwise(["x", "x", "y", "y"], [1, 1, 1, 2])
    assert score.precision == pytest.approx(1 / 3)
    assert score.recall == pytest.approx(1 / 2)


def test_pairwise_when_all_stand_alone_then_nothing_is_wrong() -> None:
    """No pair on either side scores 1 rather than dividing by zero."""
    assert pairwise(["a", "b"], [1, 2]).f1 == 1.0


def test_adjusted_rand_when_hand_computed_then_equal() -> None:
    """Hubert and Arabie's formula for a 2+2 table with one misplaced article of four."""
    # pairs: both 1, true 2, found 3, all 6: (1 - 2*3/6) / (2.5 - 2*3/6)
    assert adjusted_rand_index(["x", "x", "y", "y"], [1, 1, 1, 2]) == pytest.approx(0.0)


def test_mutual_information_when_groupings_are_independent_then_zero() -> None:
    """A crossed 2x2 table says nothing about the other grouping."""
    assert normalised_mutual_information("aabb", "xyxy") == pytest.approx(0.0)


def test_none_when_on_both_sides_then_each_is_its_own_group() -> None:
    """Articles without a label are singletons, not one big group."""
    assert b_cubed([None, None, "a"], [1, 2, 3]).f1 == 1.0
    assert b_cubed(["a", "a"], [None, None]).recall == 0.5


def test_scores_when_lengths_differ_then_refuse() -> None:
    """Parallel sequences of different length are a caller's bug."""
    with pytest.raises(ValueError, match="2 true labels but 1"):
        b_cubed(["a", "b"], [1])


def test_scores_when_empty_then_perfect() -> None:
    """Nothing to group is grouped without fault."""
    assert b_cubed([], []).f1 == 1.0
    assert adjusted_rand_index([], []) == 1.0
    assert normalised_mutual_information([], []) == 1.0


@given(LABELS)
def test_scores_when_groupings_are_equal_then_one(pairs: list[tuple[int, int]]) -> None:
    """Renaming the groups changes nothing."""
    true = [t for t, _ in pairs]
    renamed = [f"story-{t}" for t in true]
    assert b_cubed(true, renamed).f1 == pytest.approx(1.0)
    assert pairwise(true, renamed).f1 == pytest.approx(1.0)
    assert adjusted_rand_index(true, renamed) == pytest.approx(1.0)
    assert normalised_mutual_information(true, renamed) == pytest.approx(1.0)


@given(LABELS)
def test_scores_when_sides_swap_then_precision_and_recall_swap(
    pairs: list[tuple[int, int]],
) -> None:
    """Precision one way is recall the other way; the symmetric scores stay."""
    true, found = [t for t, _ in pairs], [f for _, f in pairs]
    for score in (b_cubed, pairwise):
        there, back = score(true, found), score(found, true)
        assert there.precision == pytest.approx(back.recall)
        assert 0.0 <= there.f1 <= 1.0
    assert adjusted_rand_index(true, found) == pytest.approx(adjusted_rand_index(found, true))
    information = normalised_mutual_information(true, found)
    assert information == pytest.approx(normalised_mutual_information(found, true), abs=1e-9)
