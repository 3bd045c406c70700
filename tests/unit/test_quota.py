"""How many new entries a feed may bring: counted, given back over a day, and what is left out."""

import pytest

from worker.core.quota import DAY_S, after, left, within
from worker.model import Taken
from worker.testing import an_entry

NOW = 1_800_000_000.0
HALF = Taken(count=500, at=NOW)


@pytest.mark.parametrize(
    ("taken", "later_s", "free"),
    [
        (Taken(), 0, 1_000),
        (HALF, 0, 500),
        (HALF, DAY_S / 4, 750),
        (HALF, DAY_S / 2, 1_000),
        (HALF, 100 * DAY_S, 1_000),
        (HALF, -DAY_S, 500),  # a clock that was set back gives nothing and takes nothing
        (Taken(count=5_000, at=NOW), 0, 0),  # the setting was lowered
    ],
)
def test_left_when_time_passes_then_a_day_gives_a_days_worth_back(
    taken: Taken, later_s: float, free: int
) -> None:
    """A bucket of a day's worth that fills evenly."""
    assert left(taken, NOW + later_s, a_day=1_000) == free


def test_after_when_entries_are_claimed_all_day_then_no_more_than_two_days_worth_are() -> None:
    """The bucket, and what comes back meanwhile: 1 000 at once and 1 000 over the day."""
    taken, claimed = Taken(), 0
    for quarter in range(96):
        now = NOW + quarter * DAY_S / 96
        free = left(taken, now, a_day=1_000)
        taken = after(taken, free, now, a_day=1_000)
        claimed += free
    assert 1_900 < claimed <= 2_000


def test_within_when_there_are_too_many_then_keeps_the_first_new_ones_and_all_that_is_known() -> (
    None
):
    """Order is kept; what is known already costs nothing."""
    entries = [an_entry(name) for name in "abcde"]
    ids = [entry.entry_id for entry in entries]
    kept, taken = within(entries, frozenset(ids[1:]), 2)
    assert kept == (entries[0], entries[1], entries[2])
    assert taken == {ids[1], ids[2]}
    assert within(entries, frozenset(ids), 0) == ((), frozenset())
    assert within(entries, frozenset(), 0) == (tuple(entries), frozenset())
