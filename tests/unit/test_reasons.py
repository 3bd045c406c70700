"""What `feeds why` says of a feed's hub, and what is wrong with a feed."""

from dataclasses import replace

import pytest

from worker.cli.reasons import complaints, facts, pushes
from worker.core.websub import Subscription, Topic
from worker.model import Feed, FeedId
from worker.settings import PollSettings

NOW = 1_800_000_000.0
TOPIC = Topic(hub="https://hub.example/hunter2", url="https://news.example/feed")
NEW = Subscription(feed_id=FeedId("0" * 12), topic=TOPIC, token="token", secret="secret")
ASKED = replace(NEW, asked_at=NOW - 60.0, failures=1)
TAKEN = replace(ASKED, failures=0, lease_until=NOW + 90_000.0)
HUB = "https://hub.example/…"


@pytest.mark.parametrize(
    ("sub", "words"),
    [
        (None, ""),
        (NEW, f"{HUB} is asked for them soon"),
        (ASKED, f"{HUB} was asked 1 min ago, and has not confirmed"),
        (replace(ASKED, error="HTTP status 500"), f"{HUB} is asked again: HTTP status 500"),
        (TAKEN, f"from {HUB} for 1 d more; none so far"),
        (replace(TAKEN, pushed_at=NOW - 7_200.0), f"from {HUB} for 1 d more; the last 2 h ago"),
        (replace(TAKEN, error="HTTP status 500"), f"from {HUB} for 1 d more; none so far"),
        (replace(TAKEN, lease_until=NOW - 1.0, error="HTTP status 500"),
         f"{HUB} is asked again: HTTP status 500"),
        (replace(TAKEN, denied="no\x1b[2J"), f"{HUB} refuses: no [2J"),
    ],
    ids=range(9),
)  # fmt: skip
def test_pushes_when_a_subscription_is_in_any_state_then_says_so(
    sub: Subscription | None, words: str
) -> None:
    """From the discovery to the pushes, and what goes wrong; of the hub only its origin."""
    assert pushes(sub, NOW) == words


def test_complaints_when_a_feed_floods_then_say_how_much_waits_and_what_decides() -> None:
    """The number that was left out, and the setting."""
    feed = Feed(feed_id=FeedId("f"), url="https://example.org/feed", left_out=16)
    (line,) = complaints(feed)
    assert line.startswith("flooding: 16 new")
    assert "poll.max_new_a_day" in line
    told = facts(feed, PollSettings())
    assert (told["left_out"], told["sick"]) == (16, ["flooding"])
    assert complaints(Feed(feed_id=FeedId("f"), url="https://example.org/feed")) == []
