"""What is wrong with a feed, in words."""

from worker.cli.reasons import complaints, facts
from worker.model import Feed, FeedId
from worker.settings import PollSettings


def test_complaints_when_a_feed_floods_then_say_how_much_waits_and_what_decides() -> None:
    """The number that was left out, and the setting."""
    feed = Feed(feed_id=FeedId("f"), url="https://example.org/feed", left_out=16)
    (line,) = complaints(feed)
    assert line.startswith("flooding: 16 new")
    assert "poll.max_new_a_day" in line
    told = facts(feed, PollSettings())
    assert (told["left_out"], told["sick"]) == (16, ["flooding"])
    assert complaints(Feed(feed_id=FeedId("f"), url="https://example.org/feed")) == []
