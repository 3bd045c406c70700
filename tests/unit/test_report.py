"""What a report says of a few articles whose every number can be worked by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.entries import article_id_of_record
from worker.evaluate.cases import Case, cases_of
from worker.evaluate.faults import worst_faults
from worker.evaluate.report import recall_at, report, waits
from worker.evaluate.watch import Seen, Watch
from worker.model import EntryId, Outcome, StoryId
from worker.steps.prepare import Draft
from worker.steps.records import Record
from worker.steps.replay import Replayed

HOUR, DAY = 3_600.0, 86_400.0
# name, true story, found story, hours, candidates in the probe's order
Row = tuple[str, str, str | None, float, tuple[str, ...]]
ROWS: tuple[Row, ...] = (
    ("a1", "A", "s", 0, ()),
    ("b1", "B", "t", 1, ("s",)),
    ("a2", "A", "s", 2, ("t", "s")),
    ("b2", "B", "s", 3, ("s",)),  # joins the wrong story: the right one is no candidate
    ("a3", "A", "u", 30, ("s", "t")),  # opens another story: the right one was first
    ("a4", "A", "u", 31, ("u", "s")),
    ("c1", "C", None, 32, ()),  # rejected
    ("a5", "A", "u", 24 * 9, ("s", "u")),  # all of A has left the window
)


def _cases(rows: tuple[Row, ...] = ROWS, window_s: float = 7 * DAY) -> list[Case]:
    watch, done = Watch(), []
    for name, _, story, hours, candidates in rows:
        article = article_id_of_record(name)
        record = Record(
            name=name,
            entry_id=EntryId(article),
            article_id=article,
            at=hours * HOUR,
            draft=Draft(title="", text="", html=b"", url="", lang="de"),
            source="example.org",
        )
        done.append(
            Replayed(
                record=record,
                outcome=Outcome.ATTACHED if story else Outcome.REJECTED,
                story_id=StoryId(story) if story else None,
                copy_of=None,
                score=0.5,
                reason="same_story" if story else "too_short",
            )
        )
        if story and article not in watch.seen:
            watch.seen[article] = Seen(
                lang="en",
                candidates=tuple(StoryId(c) for c in candidates),
                ids_read=10 * len(candidates),
                is_copy=False,
                best=StoryId(candidates[0]) if candidates else None,
                score=0.5,
            )
            watch.seconds[article] = 0.002
    labels = {name: label for name, label, *_ in rows}
    return cases_of(done, labels, watch, window_s=window_s)


def test_case_when_its_story_is_in_the_window_then_knows_where() -> None:
    """The right stories are those that hold an earlier article of the window, wherever it went."""
    cases = {case.name: case for case in _cases()}
    assert [sorted(cases[n].right) for n in ("a1", "a2", "b2", "a3", "a4", "a5")] == [
        [], ["s"], ["t"], ["s"], ["s", "u"], [],
    ]  # fmt: skip
    assert [cases[n].rank for n in ("a1", "a2", "b2", "a3", "a4", "a5")] == [
        None, 2, None, 1, 1, None,
    ]  # fmt: skip
    assert (cases["a1"].gap_s, cases["a3"].gap_s) == (None, 28 * HOUR)
    assert (cases["c1"].lang, cases["a1"].lang) == ("de", "en")


def test_case_when_the_window_is_short_then_older_articles_do_not_count() -> None:
    """An article exactly one window ago still counts."""
    cases = {case.name: case for case in _cases(window_s=2 * HOUR)}
    assert (sorted(cases["a2"].right), sorted(cases["a3"].right)) == (["s"], [])


def test_case_when_a_name_comes_twice_then_only_the_first_was_probed() -> None:
    """The second record of a name never met the index."""
    first, second = _cases((ROWS[0], ROWS[0]))
    assert (first.seen is None, second.seen is None) == (False, True)
    assert (first.attach_s, second.attach_s) == (0.002, 0.0)


def test_recall_when_hand_counted_then_equal() -> None:
    """Of a2, b2, a3 and a4 all but b2 have a right story among the first eight."""
    assert recall_at(_cases()) == {8: 0.75, 16: 0.75, 32: 0.75}
    assert recall_at(_cases()[:2]) is None


def test_recall_when_the_right_story_stands_ninth_then_counts_from_sixteen() -> None:
    """Each rank has its own figure."""
    many = tuple(f"x{i}" for i in range(8))
    cases = _cases((("a", "A", "s", 0, ()), ("b", "A", "s", 1, (*many, "s"))))
    assert recall_at(cases) == {8: 0.0, 16: 1.0, 32: 1.0}


def test_report_when_hand_computed_then_equal() -> None:
    """Found: {a1 a2 b2}, {b1}, {a3 a4 a5}, {c1}; true: five A, two B, one C."""
    said = report(_cases(), run_s=4.0)
    assert (said.records, said.true_stories, said.found_stories, said.rejected) == (8, 3, 3, 1)
    # precision: a1, a2 2/3 each, b2 1/3, the others 1; recall: a 2/5 2/5 3/5 3/5 3/5, b 1/2 each, c 1
    assert said.b_cubed.precision == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 5) / 8)
    assert said.b_cubed.recall == pytest.approx((2 * 0.4 + 3 * 0.6 + 2 * 0.5 + 1) / 8)
    # pairs: 4 together rightly, of 6 together and 11 that should be
    assert said.pairwise.precision == pytest.approx(4 / 6)
    assert said.pairwise.recall == pytest.approx(4 / 11)
    assert said.articles_per_s == 2.0
    assert (said.retrieval.articles, said.retrieval.ids_read_median) == (4, 20.0)


def test_slices_when_hand_computed_then_equal() -> None:
    """Each article lies in one slice of a kind, with its own scores in the whole grouping."""
    said = report(_cases(), run_s=4.0)
    sizes = {one.name: one for one in said.by_size}
    assert {name: one.articles for name, one in sizes.items()} == {"1": 1, "2": 2, "3-5": 5}
    assert sizes["2"].b_cubed.precision == pytest.approx((1 + 1 / 3) / 2)
    assert sizes["2"].b_cubed.recall == pytest.approx(0.5)
    assert sizes["2"].recall_at == {8: 0.0, 16: 0.0, 32: 0.0}
    assert sizes["1"].recall_at is None
    assert [(one.name, one.articles) for one in said.by_gap] == [
        ("first of its story", 3),
        ("to 1 h", 1),
        ("1-6 h", 2),
        ("1-3 d", 1),
        ("over 7 d", 1),
    ]
    assert [(one.name, one.articles) for one in said.by_language] == [("en", 7), ("de", 1)]


def test_faults_when_split_and_mixed_then_worst_first_with_the_deciding_article() -> None:
    """A loses its six pairs by a3, who opened a story; s holds two false pairs by b2."""
    split, mixed, small = worst_faults(_cases())
    assert (split.kind, split.story, split.lost_pairs, split.culprit.name) == (
        "split",
        "A",
        6,
        "a3",
    )
    assert [(part.story, part.names) for part in split.parts] == [
        ("u", ("a3", "a4", "a5")),
        ("s", ("a1", "a2")),
    ]
    assert (mixed.kind, mixed.story, mixed.lost_pairs, mixed.culprit.name) == (
        "mixed",
        "s",
        2,
        "b2",
    )
    assert [(part.story, part.names) for part in mixed.parts] == [
        ("A", ("a1", "a2")),
        ("B", ("b2",)),
    ]
    assert (small.kind, small.story, small.lost_pairs, small.culprit.name) == (
        "split",
        "B",
        1,
        "b2",
    )


def test_faults_when_articles_are_rejected_then_each_is_a_part_of_its_own() -> None:
    """Two rejected mates are not together, and no found story is blamed for them."""
    rows: tuple[Row, ...] = tuple((f"a{i}", "A", s, i, ()) for i, s in enumerate(("s", None, None)))
    (fault,) = worst_faults(_cases(rows))
    assert (fault.kind, fault.lost_pairs, fault.culprit.name) == ("split", 3, "a1")
    assert [part.story for part in fault.parts] == ["s", None, None]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=25))
def test_faults_when_summed_then_are_the_pairs_that_the_scores_miss(
    pairs: list[tuple[int, int]],
) -> None:
    """No lost pair is forgotten or counted twice: with few stories all faults are listed."""
    rows: tuple[Row, ...] = tuple(
        (f"r{i}", f"T{true}", f"f{found}", i, ()) for i, (true, found) in enumerate(pairs)
    )
    faults = worst_faults(_cases(rows))
    both = range(len(pairs))
    mates = [(i, j) for i in both for j in both if i < j]
    apart = sum(pairs[i][0] == pairs[j][0] and pairs[i][1] != pairs[j][1] for i, j in mates)
    false = sum(pairs[i][0] != pairs[j][0] and pairs[i][1] == pairs[j][1] for i, j in mates)
    assert sum(f.lost_pairs for f in faults if f.kind == "split") == apart
    assert sum(f.lost_pairs for f in faults if f.kind == "mixed") == false
    assert all(f.articles == sum(len(part.names) for part in f.parts) for f in faults)


def test_latency_when_times_are_the_same_then_no_arrival_is_simulated() -> None:
    """Records without times of their own say nothing about waiting."""
    together = report(_cases((ROWS[0], ("b1", "B", "t", 0, ()))), run_s=1.0)
    assert (together.latency.attach, together.latency.arrival) == ((2.0, 2.0), None)
    apart = report(_cases(ROWS[:2]), run_s=1.0).latency.arrival
    assert apart == pytest.approx((500.0, 500.0))  # half of the run each, and nobody waits


def test_waits_when_two_come_at_once_then_the_second_waits_for_the_first() -> None:
    """Arrivals at 0, 0, 1 and 10 take 2, 1, 1 and 1: done at 2, 3, 4 and 11."""
    assert waits([0, 0, 1, 10], [2, 1, 1, 1]) == [2, 3, 3, 1]
