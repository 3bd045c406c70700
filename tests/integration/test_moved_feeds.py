"""Feeds whose servers say that they have moved for good: what is asked, and what is kept."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from outlet import Site, feed_of, follow, poll_all, with_steps

from worker.core.entries import feed_id
from worker.core.moving import PROBATION_POLLS, PROBATION_S
from worker.model import EntryId, Feed
from worker.networking import PollSteps
from worker.testing import Clock
from worker.wiring import Context

pytestmark = pytest.mark.usefixtures("books")

MODIFIED = {"Last-Modified": "Sun, 01 Mar 2026 10:00:00 GMT", "ETag": '"1"'}
Poll = Callable[[], Awaitable[tuple[EntryId, ...]]]


def _polls(context: Context, act: Callable[[Poll], Awaitable[None]]) -> None:
    """Run a coroutine that polls every feed, each time half a probation later."""
    clock = Clock(context.clock())

    async def run(steps: PollSteps) -> None:
        moved = PollSteps(poller=replace(steps.poller, clock=clock), pages=steps.pages)

        async def poll() -> tuple[EntryId, ...]:
            clock.move(PROBATION_S / 2)
            return await poll_all(context, moved)

        await act(poll)

    with_steps(context, run)


def _moved(site: Site, *, status: int = 301) -> None:
    """Let /old send to /new, and /new be a feed."""
    site.answers["/old"] = (status, {"Location": "/new"}, b"")
    site.answers["/new"] = (200, MODIFIED, site.feed("one"))


def test_feed_when_moved_for_good_then_is_asked_there_after_a_probation(
    context: Context, site: Site
) -> None:
    """Three redirects over a day, a look at the target, and the old address is left alone."""
    _moved(site)
    name = follow(context, site.url("/old"))

    async def act(poll: Poll) -> None:
        assert len(await poll()) == 1
        for _ in range(PROBATION_POLLS - 1):
            await poll()
        assert feed_of(context, name).url == site.url("/old")
        site.asked.clear()
        await poll()
        await poll()
        assert site.paths() == ["/new", "/new"]
        assert {sent["If-None-Match"] for _, sent in site.asked} == {'"1"'}

    _polls(context, act)
    feed = feed_of(context, name)
    assert (feed.url, feed.move, feed.error) == (site.url("/new"), None, "")
    assert context.ledger.counts()["claimed"] == 1  # the entry is the one it was


@pytest.mark.parametrize("status", [302, 303, 307])
def test_feed_when_redirected_for_now_then_its_own_address_is_always_asked(
    context: Context, site: Site, status: int
) -> None:
    """A redirect that may change at any time is not remembered."""
    _moved(site, status=status)
    name = follow(context, site.url("/old"))

    async def act(poll: Poll) -> None:
        for _ in range(PROBATION_POLLS + 2):
            await poll()

    _polls(context, act)
    assert feed_of(context, name).url == site.url("/old")
    assert feed_of(context, name).move is None
    assert site.paths() == ["/old", "/new"] * (PROBATION_POLLS + 2)


def test_feed_when_the_look_at_its_new_address_fails_then_goes_on_at_the_old_one(
    context: Context, site: Site
) -> None:
    """What answers as a redirect's target, but not when asked for itself, is not believed."""
    _moved(site)
    name = follow(context, site.url("/old"))

    async def act(poll: Poll) -> None:
        for _ in range(PROBATION_POLLS):
            await poll()
        site.answers["/new"] = (200, {}, b"<!doctype html><html>This domain is for sale</html>")
        site.answers["/old"] = (200, {}, site.feed("one", "two"))
        assert await poll() == ()
        feed = feed_of(context, name)
        assert (feed.failures, feed.move, feed.url) == (1, None, site.url("/old"))
        assert len(await poll()) == 1

    _polls(context, act)
    assert feed_of(context, name).failures == 0


def test_feed_when_sent_to_a_private_address_then_it_is_neither_asked_nor_kept(
    context: Context, site: Site
) -> None:
    """However often and for however long a server sends there."""
    site.answers["/old"] = (301, {"Location": "http://169.254.169.254/latest/meta-data/"}, b"")
    name = follow(context, site.url("/old"))

    async def act(poll: Poll) -> None:
        for _ in range(PROBATION_POLLS + 2):
            assert await poll() == ()

    _polls(context, act)
    feed = feed_of(context, name)
    assert (feed.url, feed.move) == (site.url("/old"), None)
    assert "no public address" in feed.error


def test_feeds_when_they_move_to_one_address_then_it_is_asked_once(
    context: Context, site: Site
) -> None:
    """One of them is asked there; the others wait, for as long as that one is followed."""
    _moved(site)
    site.answers["/older"] = (308, {"Location": "/new"}, b"")
    names = [follow(context, site.url(path)) for path in ("/old", "/older")]

    async def act(poll: Poll) -> None:
        for _ in range(PROBATION_POLLS + 2):  # in the last but one, both may look at once
            await poll()
        for _ in range(PROBATION_POLLS):  # whoever came second had to begin anew
            await poll()
        site.asked.clear()
        await poll()
        assert site.paths() == ["/new"]
        (asked,) = [name for name in names if feed_of(context, name).url == site.url("/new")]
        (left,) = set(names) - {asked}
        assert feed_of(context, left).same_as == asked

        context.feeds.remove(asked)
        site.asked.clear()
        await poll()
        assert site.paths() == ["/new"]
        assert feed_of(context, left) == replace(
            feed_of(context, left), url=site.url("/new"), same_as=""
        )

    _polls(context, act)
    assert context.ledger.counts()["claimed"] == 2  # each feed lists the one article


def test_feed_when_it_has_moved_then_following_its_new_address_changes_nothing(
    context: Context, site: Site
) -> None:
    """Neither address is new; once the feed is removed, both are."""
    _moved(site)
    name = follow(context, site.url("/old"))

    async def act(poll: Poll) -> None:
        for _ in range(PROBATION_POLLS + 1):
            await poll()

    _polls(context, act)
    new, old = (Feed(feed_id=feed_id(url), url=url) for url in map(site.url, ("/new", "/old")))
    assert not context.feeds.add(new)
    assert not context.feeds.add(old)
    assert [feed.feed_id for feed in context.feeds.all()] == [name]
    assert context.feeds.at(new.url) == feed_of(context, name)
    assert context.feeds.at(old.url) is None
    assert context.feeds.remove(name)
    assert context.client.hlen(context.keys.moved) == 0
    assert context.feeds.add(new)


def test_feed_when_a_304_comes_from_elsewhere_then_is_asked_again_without_conditions(
    context: Context, site: Site
) -> None:
    """Dates and tags are those of one address: of another document they would hide the entries."""
    site.answers["/feed"] = (302, {"Location": "/a"}, b"")
    site.answers["/a"] = (200, MODIFIED, site.feed("one"))
    follow(context, site.url("/feed"))

    async def act(poll: Poll) -> None:
        await poll()
        site.answers["/feed"] = (302, {"Location": "/b"}, b"")
        site.answers["/b"] = (200, {}, site.feed("one", "two"))
        site.unchanged.add("/b")
        assert len(await poll()) == 1

    _polls(context, act)
    assert site.paths() == ["/feed", "/a", "/feed", "/b", "/feed", "/b"]
