"""The pictures of an evaluation: what they show, and that they come out the same every time."""

from dataclasses import replace
from pathlib import Path

import pytest

from worker.core.entries import article_id_of_record
from worker.evaluate.cases import Case
from worker.evaluate.watch import Seen
from worker.model import Outcome, StoryId

plots = pytest.importorskip("worker.evaluate.plots", exc_type=ImportError)
S, T = StoryId("s"), StoryId("t")


def _case(best: StoryId | None, score: float, *right: StoryId, is_copy: bool = False) -> Case:
    return Case(
        name="r",
        article_id=article_id_of_record("r"),
        label="A $tory",
        story=S,
        outcome=Outcome.ATTACHED,
        reason="same_story",
        at=1_772_366_400.0,
        lang="en",
        seen=Seen(
            lang="en",
            candidates=(S, T),
            ids_read=2,
            is_copy=is_copy,
            best=best,
            score=score,
        ),
        attach_s=0.001,
        gap_s=None,
        right=frozenset(right),
    )


CASES = (
    _case(S, 0.9, S),
    _case(S, 0.8, T),
    _case(S, 0.7, S, T),
    _case(T, 0.6),
    _case(None, 0.0, S),
    _case(S, 1.0, S, is_copy=True),
    replace(_case(S, 0.5), seen=None, story=None, outcome=Outcome.REJECTED),
)


def test_choices_when_sorted_then_each_is_of_one_kind() -> None:
    """Reprints and rejected articles chose nothing; one without a candidate could be found."""
    of = plots.choices(CASES)
    assert (of.true, of.other, of.new, of.findable) == ((0.9, 0.7), (0.8,), (0.6,), 4)


def test_curve_when_hand_counted_then_equal() -> None:
    """From .9 down: one right, then a wrong one, then a right one, then a wrong one; 4 to find."""
    curve = plots.precision_recall(plots.choices(CASES))
    wanted = [(0.9, 1, 1 / 4), (0.8, 1 / 2, 1 / 4), (0.7, 2 / 3, 2 / 4), (0.6, 2 / 4, 2 / 4)]
    assert [pytest.approx(point) for point in wanted] == curve


@pytest.mark.parametrize("cases", [CASES, CASES[-1:]], ids=["some", "none attached"])
def test_pictures_when_drawn_twice_then_are_the_same(
    tmp_path: Path, cases: tuple[Case, ...]
) -> None:
    """Four pictures in two forms, without a date or a random id, also where little is to be seen."""
    drawn = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        drawn.append(plots.draw(cases, folder, threshold=0.55))
    assert [path.name for path in drawn[0]] == [
        f"{name}.{ending}"
        for name in ("precision_recall", "scores", "sizes", "timeline")
        for ending in ("png", "svg")
    ]
    assert [a.read_bytes() for a in drawn[0]] == [b.read_bytes() for b in drawn[1]]
    assert b"<dc:date>" not in drawn[0][1].read_bytes()
