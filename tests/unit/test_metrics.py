"""Clustering scores against cases worked by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.evaluate.metrics import (
    adjusted_rand_index,
    b_cubed,
    b_cubed_each,
    mean_score,
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


def test_b_cubed_of_each_when_hand_computed_then_equal() -> None:
    """Of x x y in one group and y alone: each x finds 2 of 3 its own, the y there 1 of 3."""
    each = b_cubed_each(["x", "x", "y", "y"], [1, 1, 1, 2])
    assert [score.precision for score in each] == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1])
    assert [score.recall for score in each] == pytest.approx([1, 1, 0.5, 0.5])
    assert mean_score(each) == b_cubed(["x", "x", "y", "y"], [1, 1, 1, 2])


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


@given(LABELS)
def test_b_cubed_when_all_stand_alone_then_precision_is_one_and_recall_the_stories(
    pairs: list[tuple[int, int]],
) -> None:
    """Recall is then one part of each story, so their number over that of the articles."""
    true = [t for t, _ in pairs]
    score = b_cubed(true, [None] * len(true))
    assert score.precision == pytest.approx(1.0)
    assert score.recall == pytest.approx(len(set(true)) / len(true))


@settings(deadline=None, max_examples=50)  # the other side's import takes seconds
@given(LABELS)
def test_scores_when_compared_with_an_independent_implementation_then_equal(
    pairs: list[tuple[int, int]],
) -> None:
    """scikit-learn's NMI, ARI and pair counts say the same."""
    cluster = pytest.importorskip("sklearn.metrics")
    true, found = [t for t, _ in pairs], [f for _, f in pairs]
    theirs = cluster.normalized_mutual_info_score(true, found)
    if len(set(true)) > 1 or len(set(found)) > 1:  # of two single groups, ours says that they agree
        assert normalised_mutual_information(true, found) == pytest.approx(theirs, abs=1e-9)
    assert adjusted_rand_index(true, found) == pytest.approx(
        cluster.adjusted_rand_score(true, found), abs=1e-9
    )
    (_, false), (missed, both) = cluster.cluster.pair_confusion_matrix(true, found)
    score = pairwise(true, found)
    assert score.precision == pytest.approx(both / (both + false) if both + false else 1.0)
    assert score.recall == pytest.approx(both / (both + missed) if both + missed else 1.0)
