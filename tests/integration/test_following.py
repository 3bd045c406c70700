"""The list of feeds on disk: written when they change, followed again when Redis was emptied."""

import asyncio
from pathlib import Path

import pytest
from outlet import with_steps
from structlog.testing import capture_logs

from worker.cli.feeds import add_sources
from worker.core.entries import feed_id
from worker.core.schedule import FEW
from worker.daemon import PollLoop
from worker.decode.opml import read_opml
from worker.errors import FingerprintMismatchError
from worker.model import Feed
from worker.networking import PollSteps
from worker.settings import Settings, load_settings
from worker.steps.following import Following
from worker.testing import Clock
from worker.wiring import Context

HOUR_S = 3_600.0
MANY = 400


def _follow(context: Context, *urls: str) -> None:
    for url in urls:
        context.feeds.add(Feed(feed_id=feed_id(url), url=url, title=f"News, {url}"))


def _url(number: int) -> str:
    return f"https://outlet{number}.example/feed"


def _listed(context: Context) -> list[str]:
    return sorted(url for url, _ in read_opml(context.following.path.read_bytes()))


def test_list_follows_the_feeds_and_is_for_its_owner_only(context: Context) -> None:
    """Feeds that come and go are in the list at the next look; addresses may carry keys."""
    clock = Clock()
    _follow(context, _url(1), _url(2))
    context.following.keep(now=clock())
    assert _listed(context) == [_url(1), _url(2)]
    assert context.following.path.stat().st_mode & 0o777 == 0o600
    written = context.following.path.stat().st_mtime_ns
    context.following.keep(now=clock())
    assert context.following.path.stat().st_mtime_ns == written
    context.feeds.remove(feed_id(_url(1)))
    context.following.keep(now=clock())
    assert _listed(context) == [_url(2)]


def test_redis_when_emptied_then_feeds_come_back_spread_over_an_interval(context: Context) -> None:
    """Fault F26: FLUSHALL is followed by no stampede: no more come due at a time than always."""
    clock = Clock()
    _follow(context, *(_url(number) for number in range(MANY)))
    context.following.keep(now=clock())
    before = {(feed.url, feed.title) for feed in context.feeds.all()}
    context.client.flushall()
    with capture_logs() as logs:
        context.following.keep(now=clock())
    assert [(line["event"], line["feeds"]) for line in logs] == [("feeds_restored", MANY)]
    assert {(feed.url, feed.title) for feed in context.feeds.all()} == before
    due = [feed.next_poll_at - clock() for feed in context.feeds.all()]
    assert all(0 <= wait <= HOUR_S for wait in due)
    most = max(sum(at <= wait < at + HOUR_S / 10 for wait in due) for at in range(0, 3_600, 60))
    assert most <= 2 * MANY / 10


@pytest.mark.parametrize(("count", "within_s"), [(FEW, 0.0), (FEW + 1, HOUR_S)])
def test_feeds_when_many_are_added_then_their_first_polls_are_spread(
    context: Context, tmp_path: Path, count: int, within_s: float
) -> None:
    """A few are due at once, for somebody waits for them; a long list makes no hour busier than others."""
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(_url(number) for number in range(count)))
    before = context.clock()
    assert add_sources(context, [str(listed)]) == count
    due = [feed.next_poll_at - before for feed in context.feeds.all()]
    assert all(0 <= wait <= within_s + 10.0 for wait in due)
    assert (max(due) - min(due) > HOUR_S / 2) is bool(within_s)


def test_redis_when_emptied_under_a_running_poller_then_it_is_a_namespace_again(
    context: Context,
) -> None:
    """The poller writes the fingerprint again, so that nobody makes an index of another kind."""
    _follow(context, _url(1))

    async def act(steps: PollSteps) -> None:
        loop = PollLoop(context, steps)
        await loop._keep()
        await asyncio.to_thread(context.client.flushall)
        await loop._keep()

    with capture_logs():
        with_steps(context, act)
    assert [feed.url for feed in context.feeds.all()] == [_url(1)]
    other = Context(
        settings=load_settings(overrides=["index.bucket_cap=9"]), redis_url=context.redis_url
    )
    with pytest.raises(FingerprintMismatchError):
        other.check()
    other.client.close()


def test_redis_when_new_and_there_is_a_list_then_it_is_followed(
    redis_url: str, settings: Settings
) -> None:
    """A new server in the place of a lost one is found empty at the start; what was added stays."""
    path = Path(settings.paths.var) / "feeds.opml"
    path.parent.mkdir(parents=True)
    path.write_text(
        f'<opml version="2.0"><body><outline xmlUrl="{_url(1)}" title="One"/></body></opml>'
    )
    context, clock = Context(settings=settings, redis_url=redis_url), Clock()
    _follow(context, _url(2))
    with capture_logs():
        context.following.keep(now=clock())
    assert _listed(context) == sorted(feed.url for feed in context.feeds.all())
    assert _listed(context) == [_url(1), _url(2)]
    context.client.close()


def test_feeds_when_all_are_removed_then_they_stay_removed(context: Context) -> None:
    """An empty list is not a lost one."""
    clock = Clock()
    _follow(context, _url(1))
    context.following.keep(now=clock())
    context.feeds.remove(feed_id(_url(1)))
    context.following.keep(now=clock())
    again = Following(
        feeds=context.feeds, path=context.following.path, interval_s=HOUR_S, draw=lambda: 0.5
    )
    again.keep(now=clock())
    assert context.feeds.all() == ()


@pytest.mark.parametrize("damage", [b"no list", b"\xff\xfe\x00", b"<opml><!ENTITY"])
def test_list_when_it_cannot_be_read_then_is_told_and_kept(context: Context, damage: bytes) -> None:
    """A broken list is a person's business: nothing overwrites it, and polling goes on."""
    context.following.path.parent.mkdir(parents=True)
    context.following.path.write_bytes(damage)
    with capture_logs() as logs:
        context.following.keep(now=Clock()())
    assert [line["event"] for line in logs] == ["feed_list_failed"]
    assert context.following.path.read_bytes() == damage
