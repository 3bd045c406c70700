"""Which feeds are sick: judged by what they did before."""

import pytest

from worker.core.health import Ailment, ailments, dates_after, missed_changes
from worker.core.rhythm import watched
from worker.model import Dates, Feed, FeedId, Rhythm

HOUR, DAY = 3_600.0, 86_400.0
MIDNIGHT = 1_800_000_000.0 // DAY * DAY
A_FEED = Feed(feed_id=FeedId("f"), url="https://example.org/feed")


def _after(quiet_days: float, *, every_hours: int, days: int = 30) -> Feed:
    """A feed that changed every so many hours for days, and then no more."""
    rhythm, now = Rhythm(), MIDNIGHT
    for step in range(int(days * 24 / every_hours)):
        now = MIDNIGHT + step * every_hours * HOUR
        rhythm = watched(rhythm, now, [None])
    until = now + quiet_days * DAY
    rhythm = watched(rhythm, until, [])
    return Feed(feed_id=FeedId("f"), url="", rhythm=rhythm, changed_at=now)


@pytest.mark.parametrize(
    ("every_hours", "quiet_days", "is_silent"),
    [
        (1, 2.5, False),  # a weekend
        (1, 3.5, True),
        (24, 5, False),
        (24, 8, True),
        (24, 90, True),
        (24, 200, True),
        (72, 14, False),
        (72, 24, True),
    ],
)
def test_feed_when_quiet_for_longer_than_its_rhythm_allows_then_is_silent(
    every_hours: int, quiet_days: float, *, is_silent: bool
) -> None:
    """An hourly feed is missed after a long weekend, one of every third day after three weeks."""
    feed = _after(quiet_days, every_hours=every_hours)
    assert (Ailment.SILENT in ailments(feed)) is is_silent
    expected = quiet_days * 24 / every_hours
    if every_hours < 72:
        assert missed_changes(feed) == pytest.approx(expected, rel=0.1)


def test_feed_when_new_or_failing_then_is_not_called_silent() -> None:
    """Nothing is known of the first, and the other one may have been talking all the time."""
    assert ailments(A_FEED) == ()
    began = Feed(
        feed_id=FeedId("f"), url="", changed_at=MIDNIGHT,
        rhythm=Rhythm(since=MIDNIGHT, until=MIDNIGHT + 300 * DAY),
    )  # fmt: skip
    assert ailments(began) == ()


@pytest.mark.parametrize(
    ("failures", "gone", "sick"), [(4, False, False), (5, False, True), (1, True, True)]
)
def test_feed_when_it_always_fails_then_is_failing(
    failures: int, *, gone: bool, sick: bool
) -> None:
    """One that fails now and then is not sick."""
    feed = Feed(feed_id=FeedId("f"), url="", failures=failures, gone=gone)
    assert (Ailment.FAILING in ailments(feed)) is sick


@pytest.mark.parametrize(
    ("before", "published", "after"),
    [
        (Dates.NONE, [None], Dates.NONE),
        (Dates.NONE, [None, MIDNIGHT], Dates.GIVEN),
        (Dates.GIVEN, [None, None], Dates.LOST),
        (Dates.GIVEN, [], Dates.GIVEN),
        (Dates.LOST, [None], Dates.LOST),
        (Dates.LOST, [MIDNIGHT], Dates.GIVEN),
    ],
)
def test_feed_when_its_entries_have_dates_no_more_then_is_undated(
    before: Dates, published: list[float | None], after: Dates
) -> None:
    """A feed that never had dates is not sick; one that lost them is, until they come back."""
    found = dates_after(before, published)
    assert found is after
    feed = Feed(feed_id=FeedId("f"), url="", dates=found)
    assert (Ailment.UNDATED in ailments(feed)) is (found is Dates.LOST)
