"""WebSub: a real hub on loopback, the real web role, the real poller; days pass on a clock."""

import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from conftest import until
from hub import ETAG, Hub, Reader, World, call, running_world, serving_web, stream
from outlet import follow, serving
from structlog.testing import capture_logs

from worker.core.websub import FIRST_RETRY_S, LEASE_S, LONGEST_RETRY_S, RENEWED_AT, Push, Topic
from worker.model import Why
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


def test_hub_when_a_feed_names_it_then_is_asked_confirmed_and_pushes(world: World) -> None:
    """The way of a push: discovered, asked, verified; then the feed is polled when it next may be."""

    async def act(reader: Reader) -> None:
        assert len(await reader.poll()) == 1
        await reader.look()
        (form,) = world.hub.forms
        assert (form["hub.mode"], form["hub.topic"]) == ("subscribe", world.site.url("/feed"))
        assert re.fullmatch(
            r"http://127.0.0.1:\d+/websub/[0-9a-f]{12}/[0-9a-f]{32}", form["hub.callback"]
        )
        assert re.fullmatch(r"[0-9a-f]{64}", form["hub.secret"])
        assert form["hub.lease_seconds"] == "864000"
        assert world.hub.heads[0]["Content-Type"] == "application/x-www-form-urlencoded"
        assert world.hub.answers == [(200, "a & b=ü")]
        assert world.sub.lease_until == world.clock() + LEASE_S
        polled_at = world.clock()
        world.clock.move(60.0)
        world.offer("one", "two")
        assert world.hub.push() == 202
        assert world.feed.next_poll_at == polled_at + world.context.settings.poll.min_interval_s
        assert world.feed.why is Why.PUSHED
        assert len(await reader.poll()) == 1

    world.run(act)
    assert world.site.asked[-1][1]["If-None-Match"] == ETAG
    assert (_pushes(world), world.sub.pushed_at > 0) == ({"accepted": 1}, True)


def test_callback_when_confirmed_then_answers_text_that_no_browser_takes_for_a_page(
    world: World,
) -> None:
    """The challenge is a stranger's: text, and nothing else, whatever it looks like."""
    world.subscribe()
    assert world.hub.verify(challenge="<script>1</script>") == (200, "<script>1</script>")
    query = f"hub.mode=subscribe&hub.topic={world.site.url('/feed')}&hub.challenge=x"
    with urlopen(f"{world.hub.callback}?{query}") as response:
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_subscription_when_two_thirds_of_its_lease_are_over_then_is_renewed(world: World) -> None:
    """The same callback is asked for again; the hub's lease counts, not ours, and none is missed."""
    world.hub.lease_s = str(int(3 * DAY_S))
    world.subscribe()
    first = world.clock()
    assert world.sub.lease_until == first + 3 * DAY_S

    async def act(reader: Reader) -> None:
        world.clock.at = first + RENEWED_AT * 3 * DAY_S - 1.0
        await reader.look()
        assert len(world.hub.forms) == 1
        world.clock.move(2.0)
        await reader.look()

    world.run(act)
    assert world.hub.forms[0] == world.hub.forms[1]
    assert world.sub.lease_until == world.clock() + 3 * DAY_S


def test_subscription_when_its_lease_ends_then_the_feed_is_polled_as_before(world: World) -> None:
    """Polling is the net under it: no push was ever needed, and a late one still counts."""
    world.subscribe()
    world.hub.status = 500

    async def act(reader: Reader) -> None:
        world.clock.move(LEASE_S + 1.0)
        await reader.look()
        assert world.sub.lease_until < world.clock()
        world.offer("one", "two")
        assert len(await reader.poll()) == 1
        assert world.clock() < world.feed.next_poll_at <= world.clock() + DAY_S * 1.1

    world.run(act)
    assert world.sub.error == "HTTP status 500"


def test_lease_when_odd_then_the_hub_is_asked_hourly_at_most(world: World) -> None:
    """A lease of seconds lapses, one of a thousand years ends with ours, and noise is ours."""
    world.subscribe()
    for lease_s in ("1", "0", "-5", "x", "", "9" * 30, "٣"):
        assert world.hub.verify(lease_seconds=lease_s)[0] == 200
        expected = 1.0 if lease_s == "1" else LEASE_S
        assert world.sub.lease_until == world.clock() + expected, lease_s
        soon = world.clock() + FIRST_RETRY_S - 1.0
        assert world.context.subscriptions.due(now=soon, limit=9) == ()


def test_hub_when_it_fails_then_is_asked_again_after_growing_waits(world: World) -> None:
    """An hour, two, four, up to a day; a hub that comes back is subscribed to, once."""
    world.hub.status = 503
    world.subscribe()
    waits = []

    async def act(reader: Reader) -> None:
        for _ in range(8):
            before = len(world.hub.forms)
            asked_at = world.clock()
            while len(world.hub.forms) == before:
                world.clock.move(HOUR_S / 2)
                await reader.look()
            waits.append((world.clock() - asked_at) / HOUR_S)
        world.hub.status = 202
        world.clock.move(LONGEST_RETRY_S)
        await reader.look()
        await reader.look()

    world.run(act)
    assert waits == [1, 2, 4, 8, 16, 24, 24, 24]
    assert (world.sub.failures, world.sub.error) == (0, "")
    assert len(world.hub.forms) == 10


def test_hub_when_it_has_moved_then_the_request_follows_it_a_little(world: World) -> None:
    """Section 5.1.2: the same form goes to where it leads, not round in a circle, and not inside."""
    moved = Hub(status=308, elsewhere=world.hub.url)
    with serving(moved.server):
        world.offer("one", hub=moved.url)
        world.subscribe()
        assert moved.forms == world.hub.forms
        assert world.sub.lease_until == world.clock() + LEASE_S
        for elsewhere, why in (
            (moved.url, "more than 2 redirects"),
            ("http://10.0.0.1/", "the host '10.0.0.1' has no public address"),
            ("http://[", "the redirect target is malformed"),
            ("file:///etc/passwd", "the redirect target is not http(s)"),
        ):
            moved.elsewhere = elsewhere

            async def act(reader: Reader) -> None:
                world.clock.move(LEASE_S)
                await reader.look()

            world.run(act)
            assert why in world.sub.error
    assert len(world.hub.forms) == 1


def test_hub_when_it_never_verifies_then_is_asked_again_like_one_that_fails(world: World) -> None:
    """That it took the request means nothing yet: pushes count, but nobody relies on them."""
    world.hub.verifies = False
    world.subscribe()
    assert (world.sub.lease_until, world.sub.failures, world.sub.error) == (0.0, 1, "")
    assert world.hub.verify() == (200, "a & b=ü")
    assert world.sub.lease_until == world.clock() + LEASE_S


def test_verification_when_it_is_not_what_was_asked_for_then_is_refused(world: World) -> None:
    """Section 5.3: a topic or a deed that we did not ask for is none of ours."""
    world.hub.verifies = False
    world.subscribe()
    for changed in (
        {"topic": "http://127.0.0.1/other"},
        {"topic": ""},
        {"mode": "unsubscribe"},
        {"mode": "publish"},
        {"mode": ""},
        {"challenge": ""},
    ):
        assert world.hub.verify(**changed) == (404, ""), changed
    assert world.sub.lease_until == 0.0


def test_verification_when_nobody_was_asked_yet_then_is_refused(world: World) -> None:
    """Between the discovery and the request there is nothing to confirm."""

    async def act(reader: Reader) -> None:
        await reader.poll()

    world.run(act)
    base = world.context.settings.web.public_url
    callback = f"{base}/websub/{world.name}/{world.sub.token}"
    query = f"hub.mode=subscribe&hub.topic={world.site.url('/feed')}&hub.challenge=x"
    assert call(f"{callback}?{query}") == (404, "")


def test_hub_when_it_denies_then_is_left_alone_for_a_lease(world: World) -> None:
    """Section 5.2: at any time; the reason is a stranger's words, and kept short."""
    world.subscribe()
    reason = "\x1b[31mno\n" + "x" * 500
    assert world.hub.verify(mode="denied", reason=reason) == (200, "")
    assert (world.sub.denied[:6], len(world.sub.denied) <= 200) == ("[31mno", True)
    assert (world.sub.lease_until, world.hub.verify()[0]) == (0.0, 404)

    async def act(reader: Reader) -> None:
        world.clock.move(LEASE_S - 1.0)
        await reader.look()
        assert len(world.hub.forms) == 1
        world.clock.move(2.0)
        await reader.look()

    world.run(act)
    assert (len(world.hub.forms), world.sub.denied) == (2, "")


def test_hubs_when_one_is_away_then_it_is_asked_once_and_the_others_as_they_come(
    world: World,
) -> None:
    """One hub is asked for one feed after the other; who does not answer has no second try at once."""
    subscriptions, away = world.context.subscriptions, "http://127.0.0.1:1/hub"
    names = [follow(world.context, world.site.url(f"/{number}")) for number in range(6)]
    for name, hub in zip(names, [away, world.hub.url] * 3, strict=True):
        subscriptions.offered(name, Topic(hub=hub, url="http://a.example/"), now=world.clock())

    async def act(reader: Reader) -> None:
        await reader.look()

    world.run(act)
    subs = [subscriptions.get(name) for name in names]
    assert [bool(sub and sub.lease_until) for sub in subs] == [False, True] * 3
    assert [bool(sub and sub.asked_at) for sub in subs].count(True) == 4
    assert [sub.error.partition(" (")[0] for sub in subs if sub and sub.error] == [
        "Connect call failed"
    ]


def test_subscription_when_two_pollers_see_it_then_one_of_them_asks(world: World) -> None:
    """Both find it due; the hub gets one request."""
    topic, subscriptions = Topic(hub=world.hub.url, url="x"), world.context.subscriptions
    assert subscriptions.offered(world.name, topic, now=world.clock())
    assert not subscriptions.offered(world.name, topic, now=world.clock())
    (sub,) = subscriptions.due(now=world.clock(), limit=9)
    took = [subscriptions.take(sub, now=world.clock(), retry_at=world.clock() + 1.0) for _ in "12"]
    assert took == [True, False]


def test_feed_when_it_is_not_followed_any_more_then_its_hub_is_told(world: World) -> None:
    """The request to stop is confirmed like the other; then nothing of it is left."""
    world.subscribe()
    callback = world.hub.callback
    assert world.context.feeds.remove(world.name)
    assert world.hub.push() == 410
    assert world.hub.verify() == (404, "")

    async def act(reader: Reader) -> None:
        await reader.look()
        await reader.look()

    world.run(act)
    assert [form["hub.mode"] for form in world.hub.forms] == ["subscribe", "unsubscribe"]
    assert (world.hub.callback, "hub.secret" in world.hub.forms[1]) == (callback, False)
    assert world.context.subscriptions.get(world.name) is None
    keys = world.context.client.keys("*subscri*")
    assert keys == []


def test_feed_when_removed_and_its_hub_is_silent_then_its_callback_ends_in_a_day(
    world: World,
) -> None:
    """What nobody confirms expires; a feed whose hub was never asked leaves nothing."""
    world.subscribe()
    world.context.feeds.remove(world.name)
    key = world.context.keys.subscription(world.name)
    assert 0 < world.context.client.ttl(key) <= DAY_S
    world.context.client.delete(key)
    assert world.context.subscriptions.due(now=world.clock(), limit=9) == ()
    assert world.context.subscriptions.number() == 0


def test_feed_when_it_names_another_hub_then_that_one_is_asked_and_the_old_one_is_a_stranger(
    world: World,
) -> None:
    """A new callback and a new secret; a feed that changes hubs all the time causes no more requests."""
    world.subscribe()
    old = world.hub
    other = Hub()
    with serving(other.server):
        world.offer("one", "two", hub=other.url)

        async def act(reader: Reader) -> None:
            await reader.poll()
            await reader.look()
            assert old.push() == 410
            world.offer("one", "two", "three", hub=old.url)
            before = world.clock()
            world.clock.at = world.feed.soonest_at
            world.context.client.zadd(world.context.keys.feeds, {world.name: world.clock()})
            await reader.poll()
            assert world.clock() - before < FIRST_RETRY_S
            await reader.look()
            assert len(old.forms) == 1
            world.clock.move(FIRST_RETRY_S)
            await reader.look()

        world.run(act)
    assert (len(old.forms), len(other.forms)) == (2, 1)
    given = [(form["hub.callback"], form["hub.secret"]) for form in (*old.forms, *other.forms)]
    assert len(set(given)) == 3


def test_feed_when_it_names_no_hub_any_more_then_the_hub_is_told(world: World) -> None:
    """As if it were not followed: without a hub it is polled, and no more."""
    world.subscribe()
    world.offer("one", "two", hub="")

    async def act(reader: Reader) -> None:
        await reader.poll()
        await reader.look()

    world.run(act)
    assert [form["hub.mode"] for form in world.hub.forms] == ["subscribe", "unsubscribe"]
    assert world.context.subscriptions.get(world.name) is None


def test_feed_when_it_comes_back_before_its_hub_was_told_then_is_subscribed_anew(
    world: World,
) -> None:
    """Removed and added again within the hour: one subscription, with a callback of its own."""
    world.subscribe()
    world.context.feeds.remove(world.name)
    world.offer("one")

    async def act(reader: Reader) -> None:
        follow(world.context, world.site.url("/feed"))
        await reader.poll()
        assert not world.sub.leaving
        world.clock.move(FIRST_RETRY_S)
        await reader.look()

    world.run(act)
    assert [form["hub.mode"] for form in world.hub.forms] == ["subscribe", "subscribe"]
    assert world.hub.forms[0]["hub.callback"] != world.hub.forms[1]["hub.callback"]


# --- pushes -----------------------------------------------------------------------------------


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
