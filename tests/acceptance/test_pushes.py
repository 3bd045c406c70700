"""WebSub with real processes: a feed, its hub, a poller and the web role."""

import socket
from pathlib import Path

import pytest
from conftest import until
from hub import Hub, World
from outlet import follow, running_site, serving
from program import QUICK, furnish, role

from worker.testing import Clock
from worker.wiring import Context

# What the processes say to a hub does not depend on the make of the server.
pytestmark = pytest.mark.parametrize("redis_server", ["embedded"], indirect=True)


def test_feed_when_its_hub_pushes_then_its_news_are_there_within_seconds(
    context: Context, tmp_path: Path
) -> None:
    """Discovered, asked, confirmed and pushed to: an hour of waiting becomes a second."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    more = QUICK | {
        "SAMESTORY_WEB_PORT": port,
        "SAMESTORY_WEB_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SAMESTORY_POLL_MIN_INTERVAL_S": "1",
    }
    home, hub = furnish(tmp_path), Hub()
    with running_site() as site, serving(hub.server):
        world = World(context, Clock(), site, hub, follow(context, site.url("/feed")))
        world.offer("one")
        with role(home, context.redis_url, "web", more=more):
            until(lambda: "web_listening" in (home / "log").read_text())
            with role(home, context.redis_url, "poll", more=more):
                until(lambda: hub.answers == [(200, "a & b=ü")], timeout_s=60)
                until(lambda: context.ledger.counts().get("claimed") == 1)
                assert world.feed.next_poll_at > context.clock() + 3_000
                world.offer("one", "two")
                assert hub.push() == 202
                until(lambda: context.ledger.counts().get("claimed") == 2)
                context.feeds.remove(world.name)
                until(lambda: len(hub.answers) == 2)
    assert hub.forms[-1]["hub.mode"] == "unsubscribe"
    told = (home / "log").read_text()
    assert "push_accepted" in told
    assert [part for part in (hub.forms[0]["hub.secret"], hub.callback) if part in told] == []
