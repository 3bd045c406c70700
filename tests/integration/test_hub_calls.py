"""What hubs call us for, and strangers in their place: pushes and other calls, true and false."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from conftest import until
from hub import ETAG, Reader, World, call, running_world, serving_web, stream
from structlog.testing import capture_logs

from worker.core.websub import Push
from worker.settings import Settings
from worker.store.subscriptions import MOST_PUSHES, PUSHES_S
from worker.wiring import Context

# What a hub sees does not depend on the make of our server.
pytestmark = [
    pytest.mark.usefixtures("books"),
    pytest.mark.parametrize("redis_server", ["embedded"], indirect=True),
]

HOUR_S, DAY_S = 3_600.0, 86_400.0
NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def world(context: Context) -> Iterator[World]:
    """A feed that names its hub, neither asked yet."""
    with running_world(context) as made:
        yield made


def _pushes(world: World) -> dict[str, int]:
    return world.context.subscriptions.pushes()


def test_push_when_signed_by_any_method_then_counts(world: World) -> None:
    """Section 7.1.1 names four."""
    world.subscribe()
    for method in ("sha1", "sha256", "sha384", "sha512"):
        assert world.hub.push(b"anything", method=method) == 202
    assert _pushes(world) == {"accepted": 4}


def test_push_when_its_signature_is_not_right_then_is_acknowledged_and_ignored(
    world: World,
) -> None:
    """Section 7.1.2: who tries signatures learns nothing, and no poll comes of it."""
    world.subscribe()
    due_at = world.feed.next_poll_at
    wrong = ("sha256", "sha256=", "sha256=" + "0" * 64, "sha1=\xff\xfe")
    for signature in (*wrong, "md5=" + "0" * 32, "=" * 100):
        headers = {"X-Hub-Signature": signature}
        assert call(world.hub.callback, b"<rss/>", headers) == (202, ""), signature
    assert call(world.hub.callback, b"<rss/>") == (202, "")
    assert (world.feed.next_poll_at, _pushes(world)) == (due_at, {"false": 4, "unsigned": 3})


def test_push_when_signed_with_another_feeds_secret_then_is_ignored(world: World) -> None:
    """Secrets are a subscription's own."""
    world.subscribe()
    assert world.hub.push(secret="0" * 64) == 202
    assert _pushes(world) == {"false": 1}


def test_push_when_replayed_then_the_feed_is_polled_no_sooner_than_it_may_be(world: World) -> None:
    """The same bytes say the same, and all they can cause is one poll an interval."""
    world.subscribe()
    poll = world.context.settings.poll
    asked = []

    async def act(reader: Reader) -> None:
        for _ in range(12):
            polled_at = world.clock()
            for _ in range(3):
                world.clock.move(poll.min_interval_s / 4)
                assert world.hub.push() == 202
            await reader.poll()
            asked.append(world.clock() - polled_at)
            world.context.client.delete(world.context.keys.pushing(world.name))

    world.run(act)
    assert min(asked) >= poll.min_interval_s


@pytest.mark.parametrize(
    ("headers", "least_s"),
    [
        ({"ETag": ETAG}, 900.0),
        ({"ETag": ETAG, "Cache-Control": "max-age=7200"}, 7_200.0),
        ({"ETag": ETAG, "Retry-After": "5000"}, 5_000.0),
        ({}, DAY_S),
    ],
    ids=["least interval", "fresh", "asked to wait", "unconditional"],
)
def test_push_when_the_feeds_server_asked_to_wait_then_that_holds(
    world: World, headers: dict[str, str], least_s: float
) -> None:
    """B5, B6, B7: a hub shortens only the wait that is a guess of ours."""
    status, _, body = world.site.answers["/feed"]
    world.site.answers["/feed"] = (status, headers, body)
    world.subscribe()
    polled_at = world.clock()
    world.clock.move(1.0)
    assert world.hub.push() == 202
    assert polled_at + least_s <= world.feed.next_poll_at <= polled_at + least_s * 1.1


def test_push_when_the_feeds_server_fails_or_is_gone_then_is_no_reason_to_ask_it(
    world: World,
) -> None:
    """A back-off is not talked down by a third party, and gone is gone."""
    world.subscribe()

    async def act(reader: Reader) -> None:
        for status in (503, 503, 410):
            world.site.answers["/feed"] = (status, {}, b"")
            await reader.poll()
            due_at = world.feed.next_poll_at
            world.clock.move(1.0)
            assert world.hub.push() == (410 if status == 410 else 202)
            waited_s = world.feed.next_poll_at - world.clock()
            assert waited_s > 2 * HOUR_S - 60.0
            assert world.feed.next_poll_at <= due_at

    world.run(act)
    assert (world.feed.gone, world.sub.leaving) == (True, True)


def test_push_when_the_feed_skips_this_hour_then_it_is_polled_in_the_next(world: World) -> None:
    """RSS skipHours hold for pushes too."""
    world.clock.at = 1_800_000_000.0 - 1_800_000_000.0 % DAY_S + 10 * HOUR_S  # ten o'clock
    status, headers, body = world.site.answers["/feed"]
    skipping = b"<skipHours><hour>11</hour><hour>12</hour></skipHours>"
    body = body.replace(b"<item>", skipping + b"<item>", 1)
    world.site.answers["/feed"] = (status, headers, body)
    world.subscribe()
    world.clock.move(1.5 * HOUR_S)
    world.context.client.zadd(world.context.keys.feeds, {world.name: world.clock() + DAY_S})
    assert world.hub.push() == 202
    assert world.feed.next_poll_at % DAY_S == 13 * HOUR_S


def test_push_when_the_feed_is_being_polled_then_its_lease_is_left_alone(world: World) -> None:
    """Else another poller would ask the server at the same time."""
    world.subscribe()
    world.clock.at = world.feed.next_poll_at
    (lease,) = world.context.feeds.due(now=world.clock(), lease_s=60.0, limit=1)
    assert world.hub.push() == 202
    assert world.feed.next_poll_at == pytest.approx(world.clock() + 60.0)
    assert world.context.feeds.due(now=world.clock(), lease_s=60.0, limit=1) == ()
    assert lease.feed_id == world.name


def test_push_when_its_body_is_huge_then_is_ignored_and_not_read(world: World) -> None:
    """A hundred megabytes: the cap is reached after ten, and nobody reads the rest."""
    world.subscribe()
    due_at = world.feed.next_poll_at
    status = stream(world.hub.callback, 100 * 2**20, {"X-Hub-Signature": "sha1=00"})
    assert status in (202, None)
    assert (world.feed.next_poll_at, _pushes(world)) == (due_at, {"huge": 1})


def test_push_when_it_is_a_byte_at_a_time_then_the_wall_clock_ends_it(context: Context) -> None:
    """What never ends is answered and left, and so is what breaks off."""
    hasty = context.settings.fetch.model_copy(update={"feed_timeout_s": 0.2})
    settings = context.settings.model_copy(update={"fetch": hasty})
    quick = Context(settings=settings, redis_url=context.redis_url)
    with running_world(quick) as world:
        world.subscribe()
        parts = urlsplit(world.hub.callback)
        head = f"POST {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx"
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as slow:
            slow.sendall(head.encode())
            assert slow.recv(1_000).startswith(b"HTTP/1.1 202 ")
            assert slow.recv(1_000) == b""
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as torn:
            torn.sendall(head.encode())
        until(lambda: _pushes(world) == {"torn": 2})
    quick.client.close()


def test_push_when_nobody_has_this_callback_then_is_gone(world: World) -> None:
    """A stranger learns nothing: right feed with wrong token, wrong feed, and names of any kind."""
    world.subscribe()
    base = f"{world.context.settings.web.public_url}/websub"
    token = world.sub.token
    strange = (f"{world.name}/{'0' * 32}", f"{'0' * 12}/{token}", f"{world.name}/{token[:-1]}",
               f"{world.name}/%00", f"*/{token}", f"%0d%0a/{token}", f"{world.name}/%ff%fe")  # fmt: skip
    for path in strange:
        assert call(f"{base}/{path}", b"<rss/>")[0] == 410, path
        assert call(f"{base}/{path}?hub.mode=subscribe&hub.challenge=x")[0] == 404, path
    assert stream(f"{base}/{world.name}/x", 100 * 2**20, {}) in (410, None)
    assert set(_pushes(world)) == {"unknown"}


def test_callback_when_its_query_is_garbage_then_is_refused(world: World) -> None:
    """Whatever it is, it confirms nothing and breaks nothing."""
    world.hub.verifies = False
    world.subscribe()
    for query in (
        "",
        "hub.mode",
        "&&&===",
        "%00%ff=%fe",
        "hub.mode=subscribe&hub.mode=denied",
        "x" * 9_000,
        "hub.topic=" + "a" * 20_000,
        "hub.challenge[]=1&hub.mode[$ne]=1",
    ):
        assert call(f"{world.hub.callback}?{query}")[0] == 404, query[:20]
    assert world.sub.lease_until == 0.0
    assert call(world.context.settings.web.public_url + "/health/live") == (200, "alive\n")


def test_pushes_when_there_are_many_then_only_the_first_are_read(world: World) -> None:
    """Each costs the reading of a body; a minute later the next ones count again."""
    world.subscribe()
    for _ in range(MOST_PUSHES + 5):
        assert world.hub.push() == 202
    assert _pushes(world) == {"accepted": MOST_PUSHES, "limited": 5}
    key = world.context.keys.pushing(world.name)
    assert 0 < world.context.client.ttl(key) <= PUSHES_S
    world.context.client.delete(key)
    assert world.hub.push() == 202
    assert _pushes(world)["accepted"] == MOST_PUSHES + 1


def test_callback_when_no_address_is_set_then_there_is_none(context: Context, world: World) -> None:
    """Without web.public_url the web role has health and metrics only, and no hub is noted."""
    world.subscribe()
    path = world.hub.callback.partition("/websub")[2]
    with serving_web(context) as url:
        assert call(f"{url}/websub{path}")[0] == 404
        assert call(f"{url}/health/live")[0] == 200


def test_callback_when_redis_is_away_then_the_hub_may_try_again(settings: Settings) -> None:
    """Neither a refusal, which would end the subscription, nor a receipt for what was not looked at."""
    public = settings.web.model_copy(update={"public_url": "http://127.0.0.1"})
    lost = Context(settings=settings.model_copy(update={"web": public}), redis_url=NOBODY)
    with serving_web(lost) as url:
        callback = f"{url}/websub/{'0' * 12}/{'0' * 32}"
        assert call(f"{callback}?hub.mode=subscribe")[0] == 503
        assert call(callback, b"<rss/>")[0] == 503


def test_log_when_hubs_are_asked_and_push_then_shows_no_secret(world: World) -> None:
    """Neither the secret nor the callback, which is one, nor what hubs' addresses have behind the host."""
    with capture_logs() as log:
        world.subscribe()
        world.hub.push()
        world.hub.push(secret="x")
        world.hub.verify(mode="denied", reason="no")
        world.context.feeds.remove(world.name)
        world.hub.status = 500

        async def act(reader: Reader) -> None:
            await reader.look()

        world.run(act)
    told = {line["event"] for line in log}
    assert {
        "hub_asked",
        "hub_confirmed",
        "push_accepted",
        "push_ignored",
        "hub_denied",
        "hub_failed",
    } <= told
    secrets = {world.hub.forms[0]["hub.secret"], world.hub.callback.rpartition("/")[2], "/hub'"}
    assert [line for line in log if any(secret in str(line) for secret in secrets)] == []


def test_fates_of_pushes_are_metrics(world: World) -> None:
    """What hubs send can be seen, by what became of it."""
    world.subscribe()
    world.hub.push()
    call(world.hub.callback, b"")
    text = call(world.context.settings.web.public_url + "/metrics")[1]
    assert 'samestory_pushes_total{fate="accepted"} 1.0' in text
    assert 'samestory_pushes_total{fate="unsigned"} 1.0' in text
    assert "samestory_subscriptions 1.0" in text
    assert {push.value for push in Push} >= set(_pushes(world))
