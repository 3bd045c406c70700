from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.retention import Limits, Stored, expired, may_refer, stored

DAY_S = 86_400.0
NOW = 20_000 * DAY_S + 3_600.0  # an hour after midnight


def _file(days_ago: int, name: str = "a", size: int = 100) -> Stored:
    day = 20_000 - days_ago
    return Stored(name=f"{day}-{name}", size=size, opened_at=day * DAY_S)


def _expired(files: list[Stored], *, days: float = 0.0, size: float = 0.0) -> list[Stored]:
    return expired(files, Limits(keep_days=days, keep_bytes=size), NOW)


def test_stored_when_named_by_the_archive_then_tells_its_day() -> None:
    """The name alone tells how old a file is, whoever copied or touched it."""
    found = stored("20270115-vm.8969.be80d5c4-0001.warc.gz", 7)
    assert found is not None
    assert (found.opened_at, found.size) == (1_799_971_200.0, 7)


@pytest.mark.parametrize(
    "name",
    [
        "CC-NEWS-20181230061500-00001.warc.gz",
        "20270115-vm.8969.be80d5c4-0001.warc",
        "20270115-vm.8969.be80d5c4-0001.warc.gz.part",
        "20271515-vm.8969.be80d5c4-0001.warc.gz",
        "notes.txt",
    ],
)
def test_stored_when_somebody_else_named_it_then_is_none_of_ours(name: str) -> None:
    """What the operator put into the folder is never removed."""
    assert stored(name, 7) is None


def test_expired_when_there_is_no_limit_then_nothing_goes() -> None:
    """By default everything is kept for ever."""
    assert _expired([_file(9_000)]) == []


def test_expired_when_older_than_kept_then_goes_oldest_first() -> None:
    """A file is as old as the end of its day: what is five days old at its end has been kept five days."""
    files = [_file(days) for days in (0, 1, 4, 5, 6, 9)]
    assert _expired(files, days=4) == [_file(9), _file(6), _file(5)]


def test_expired_when_more_than_kept_then_the_oldest_go_until_it_fits() -> None:
    """As few as will do, by day and name."""
    files = [_file(3, "b"), _file(3, "a"), _file(2), _file(9)]
    assert _expired(files, size=250) == [_file(9), _file(3, "a")]
    assert _expired(files, size=400) == []


def test_expired_when_of_today_or_yesterday_then_never_goes() -> None:
    """Somebody may write to them, and to their pages lead entries that are a minute old."""
    files = [_file(0), _file(1), _file(2)]
    assert _expired(files, days=0.001, size=1) == [_file(2)]


@given(
    st.lists(st.builds(_file, st.integers(0, 30), st.text("abc", min_size=1), st.integers(0, 500))),
    st.integers(0, 30),
    st.integers(0, 5_000),
)
def test_expired_when_anything_goes_then_nothing_that_is_older_stays(
    files: list[Stored], days: int, size: int
) -> None:
    """What stays is a stretch of time up to now, and within the limits but for the last two days."""
    gone = _expired(files, days=days, size=size)
    rest = [file for file in files if file not in gone]
    assert all(a.opened_at <= b.opened_at for a, b in pairwise(gone))
    assert not gone or all(file.opened_at >= gone[-1].opened_at for file in rest)
    old = [file for file in rest if NOW - file.opened_at >= 2 * DAY_S]
    assert not (size and old) or sum(file.size for file in rest) <= size
    assert not days or all(NOW - file.opened_at <= (days + 1) * DAY_S for file in old)


def test_may_refer_when_of_the_same_day_or_the_next_then_is_asked() -> None:
    """A reference is at most two hours younger than what it refers to, so no others need be read."""
    keep = [_file(days) for days in (3, 4, 5, 6, 7)]
    assert may_refer(keep, [_file(5, "gone")]) == [_file(4), _file(5)]
