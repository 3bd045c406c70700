"""When a permanent redirect of a feed is believed."""

from dataclasses import replace

import pytest

from worker.core.moving import PROBATION_POLLS, PROBATION_S, address, answered
from worker.model import Feed, FeedId, Move

OLD, NEW, THIRD = (f"https://{name}.example/feed" for name in ("old", "new", "third"))
FEED = Feed(feed_id=FeedId("0" * 12), url=OLD)


def _polled(feed: Feed, *polls: tuple[float, str]) -> Feed:
    """Return a feed after polls at these times that permanent redirects led so."""
    for now, moved_to in polls:
        feed = answered(feed, address(feed, now), moved_to, now)
    return feed


def test_address_when_redirected_often_enough_and_for_long_enough_then_is_the_new_one() -> None:
    """Neither three polls within a day nor two over a week are enough."""
    soon = _polled(FEED, (0.0, NEW), (10.0, NEW), (20.0, NEW))
    assert address(soon, 30.0) == OLD
    assert address(soon, PROBATION_S) == NEW
    twice = _polled(FEED, (0.0, NEW), (7 * PROBATION_S, NEW))
    assert address(twice, 8 * PROBATION_S) == OLD
    assert twice.move == Move(url=NEW, since=0.0, polls=PROBATION_POLLS - 1)


@pytest.mark.parametrize("between", ["", THIRD])
def test_address_when_the_redirect_was_taken_back_then_the_probation_begins_anew(
    between: str,
) -> None:
    """One answer without it, or with another one, ends a probation."""
    feed = _polled(FEED, (0.0, NEW), (10.0, NEW), (PROBATION_S, between), (PROBATION_S + 1, NEW))
    assert feed.move == Move(url=NEW, since=PROBATION_S + 1, polls=1)
    assert address(feed, 2 * PROBATION_S) == OLD


def test_answered_when_the_new_address_answers_itself_then_is_the_feeds() -> None:
    """The look of its own is the poll that follows the probation."""
    proven = replace(FEED, move=Move(url=NEW, since=0.0, polls=PROBATION_POLLS))
    assert address(proven, PROBATION_S) == NEW
    moved = answered(proven, NEW, "", PROBATION_S)
    assert (moved.url, moved.move, moved.feed_id) == (NEW, None, FEED.feed_id)


@pytest.mark.parametrize("moved_to", [THIRD, OLD])
def test_answered_when_the_new_address_sends_on_then_nothing_is_believed(moved_to: str) -> None:
    """A chain that grew, or a loop, is a redirect to be proven like the first."""
    proven = replace(FEED, move=Move(url=NEW, since=0.0, polls=PROBATION_POLLS))
    seen = answered(proven, NEW, moved_to, PROBATION_S)
    assert seen.url == OLD
    assert seen.move in (None, Move(url=THIRD, since=PROBATION_S, polls=1))


@pytest.mark.parametrize(
    "moved_to",
    ["http://old.example/feed", "https://user:pass@new.example/feed", OLD, OLD + "#top", "", "x"],
)
def test_answered_when_the_target_is_no_better_address_then_is_not_noted(moved_to: str) -> None:
    """Without encryption, with a password, the same again, or none at all."""
    assert answered(FEED, OLD, moved_to, 0.0).move is None
