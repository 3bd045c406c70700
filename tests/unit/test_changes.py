"""What differs between two groupings: cases worked by hand, and what must hold of all."""

from hypothesis import given
from hypothesis import strategies as st
from recount import recount

from worker.core.changes import Change, Changes, Kind, compare
from worker.model import ArticleId, StoryId

GROUPING = st.dictionaries(
    st.sampled_from("abcdefghijklmnop"), st.sampled_from("STUVW"), max_size=16
)


def _stories(*groups: str) -> dict[ArticleId, StoryId]:
    """Return articles of one letter, grouped: `S:ab` is a story S of two."""
    return {
        ArticleId(article): StoryId(name)
        for name, articles in (group.split(":") for group in groups)
        for article in articles
    }


def _told(changes: Changes) -> list[tuple[str, str, str, str]]:
    return [(c.kind.value, c.base, c.new, "".join(c.articles)) for c in changes.changes]


def _compare(base: dict[str, str], new: dict[str, str]) -> Changes:
    return compare(base, new)  # type: ignore[arg-type]


def test_stories_when_only_their_ids_differ_then_nothing_changes() -> None:
    """A story is its articles, not its name."""
    changes = compare(_stories("S:abc", "T:d"), _stories("U:abc", "V:d"))
    assert (changes.changes, changes.continued, changes.same, changes.share) == ((), 2, 2, 0.0)


def test_story_when_two_become_one_then_the_smaller_is_merged_and_the_larger_gains() -> None:
    """The larger part goes on; the other one's articles are those that moved."""
    changes = compare(_stories("S:abc", "T:de"), _stories("U:abcde"))
    assert _told(changes) == [("merged", "T", "U", "de")]
    assert (changes.continued, changes.same, changes.gained, changes.lost) == (1, 0, 1, 0)
    assert (changes.moved, changes.share) == (2, 2 / 5)


def test_story_when_it_falls_in_three_then_two_are_split_off_largest_first() -> None:
    """The largest part goes on under whatever name."""
    changes = compare(_stories("S:abcdef"), _stories("S:f", "T:abc", "U:de"))
    assert _told(changes) == [("split", "S", "U", "de"), ("split", "S", "S", "f")]
    assert (changes.continued, changes.gained, changes.lost) == (1, 0, 1)


def test_article_when_it_changes_between_stories_that_live_on_then_it_moved() -> None:
    """Neither a merge nor a split: one story loses, the other gains."""
    changes = compare(_stories("S:abc", "T:def"), _stories("S:ab", "T:cdef"))
    assert _told(changes) == [("moved", "S", "T", "c")]
    assert (changes.continued, changes.same, changes.gained, changes.lost) == (2, 0, 1, 1)


def test_story_when_it_falls_in_equal_parts_then_the_one_that_kept_its_id_goes_on() -> None:
    """Without that id, the part with the smallest article id does."""
    kept = compare(_stories("S:abcd"), _stories("T:ab", "S:cd"))
    assert _told(kept) == [("split", "S", "T", "ab")]
    renamed = compare(_stories("S:abcd"), _stories("T:cd", "U:ab"))
    assert _told(renamed) == [("split", "S", "T", "cd")]


def test_article_when_only_one_grouping_has_it_then_it_counts_as_changed_but_moves_nothing() -> (
    None
):
    """Its story is the same by the articles that both have; a story of such articles is alone."""
    changes = compare(_stories("S:abx", "T:yz"), _stories("S:ab", "U:n"))
    assert (changes.changes, changes.both, changes.same) == ((), 2, 1)
    assert (changes.base.apart, changes.base.alone) == (3, 1)
    assert (changes.new.apart, changes.new.alone) == (1, 1)
    assert changes.share == 4 / 6


def test_groupings_when_empty_then_nothing_changes() -> None:
    """There is no share of nothing to divide by."""
    assert compare({}, {}).share == 0.0


@given(GROUPING)
def test_grouping_when_compared_with_itself_then_nothing_changes(base: dict[str, str]) -> None:
    """Every story goes on with the same articles."""
    changes = _compare(base, dict(base))
    assert (changes.changes, changes.share) == ((), 0.0)
    assert changes.same == changes.continued == changes.base.stories == len(set(base.values()))


@given(GROUPING, GROUPING)
def test_groupings_when_exchanged_then_merges_are_splits(
    base: dict[str, str], new: dict[str, str]
) -> None:
    """Nothing else changes, but for the order of changes of one size."""
    turned = {Kind.MERGED: Kind.SPLIT, Kind.SPLIT: Kind.MERGED, Kind.MOVED: Kind.MOVED}
    there, back = _compare(base, new), _compare(new, base)
    assert set(there.changes) == {
        Change(kind=turned[c.kind], base=c.new, new=c.base, articles=c.articles)
        for c in back.changes
    }
    assert (there.base, there.new) == (back.new, back.base)
    assert (there.gained, there.lost, there.same) == (back.lost, back.gained, back.same)
    assert there.share == back.share


@given(GROUPING, GROUPING)
def test_counts_add_up(base: dict[str, str], new: dict[str, str]) -> None:
    """Every story goes on, ends in another or is alone; every article moved, or did not."""
    changes = _compare(base, new)
    known = changes.continued
    assert changes.base.stories == known + changes.base.alone + len(changes.of(Kind.MERGED))
    assert changes.new.stories == known + changes.new.alone + len(changes.of(Kind.SPLIT))
    assert changes.base.articles == changes.both + changes.base.apart
    assert changes.new.articles == changes.both + changes.new.apart
    listed = [article for change in changes.changes for article in change.articles]
    assert len(listed) == len(set(listed)) == changes.moved <= changes.both
    assert [len(c.articles) for c in changes.changes] == sorted(
        (len(c.articles) for c in changes.changes), reverse=True
    )


@given(GROUPING, GROUPING)
def test_changes_equal_a_recount_by_sets(base: dict[str, str], new: dict[str, str]) -> None:
    """The definition, written down a second time and slowly, says the same."""
    changes, counted = _compare(base, new), recount(base, new)
    moved = {a: (c.base, c.new) for c in changes.changes for a in c.articles}
    assert (moved, changes.share) == (counted.moved, counted.share)
    assert {c.base for c in changes.of(Kind.MERGED)} == counted.merged
    assert {c.new for c in changes.of(Kind.SPLIT)} == counted.split
    assert (changes.continued, changes.same) == (len(counted.continued), counted.same)
