"""Subscriptions: a real hub on loopback, the real web role and poller; days pass on a clock."""

import re
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from hub import ETAG, Hub, Reader, World, call, running_world
from outlet import follow, serving

from worker.core.websub import FIRST_RETRY_S, LEASE_S, LONGEST_RETRY_S, RENEWED_AT, Topic
from worker.model import Why
from worker.wiring import Context

# What a hub sees does not depend on the make of our server.
pytestmark = [
    pytest.mark.usefixtures("books"),
    pytest.mark.parametrize("redis_server", ["embedded"], indirect=True),
]

HOUR_S, DAY_S = 3_600.0, 86_400.0


@pytest.fixture
def world(context: Context) -> Iterator[World]:
    """A feed that names its hub, neither asked yet."""
    with running_world(context) as made:
        yield made


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
    assert world.context.subscriptions.pushes() == {"accepted": 1}
    assert world.sub.pushed_at > 0


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
