"""Hosts and machines in trouble: the others are served, and nothing stops for good."""

import asyncio
import json
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import until
from outlet import QUAKE, Site, feed_of, follow, page, running_site
from program import ask, environment, furnish, role

from worker import daemon
from worker.core.entries import feed_id
from worker.daemon import PollLoop
from worker.fetch import budget
from worker.model import Feed
from worker.networking import poll_steps
from worker.settings import Settings
from worker.wiring import Context

SLOW = 60
OPEN_FILES = 48  # what a poller needs at rest, and a few more


class Mute:
    """A server that takes connections and never answers, until it is told to close them."""

    def __init__(self) -> None:
        """Listen on a free port of the loopback."""
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._taken: list[socket.socket] = []
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        try:
            while True:
                self._taken.append(self._server.accept()[0])
        except OSError:
            return

    @property
    def taken(self) -> int:
        """How many connections came."""
        return len(self._taken)

    def close(self) -> None:
        """Hang up."""
        self._server.close()
        for connection in self._taken:
            connection.close()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Those of any test, with more names for the loopback."""
    fetch = settings.fetch.model_copy(update={"allow_private": ("127.0.0.1", ".localhost")})
    return settings.model_copy(update={"fetch": fetch})


@pytest.fixture
def mute() -> Iterator[Mute]:
    """A server that never answers."""
    made = Mute()
    yield made
    made.close()


async def _polling(context: Context, ready: Any) -> None:
    """Run the poll loop until a condition holds."""
    stop = asyncio.Event()
    async with poll_steps(context) as steps:
        running = asyncio.create_task(PollLoop(context, steps).run(stop))
        deadline = time.monotonic() + 60
        while not await asyncio.to_thread(ready):
            assert time.monotonic() < deadline, "not within a minute"
            assert not running.done()
            await asyncio.sleep(0.05)
        stop.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _polled(context: Context, url: str) -> bool:
    feed = context.feeds.get(feed_id(url))
    return feed is not None and bool(feed.polled_at)


def test_host_that_answers_nothing_keeps_its_own_feeds_waiting_and_no_others(
    context: Context, site: Site, mute: Mute, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More feeds of a mute host than a poller holds are due first; another's is polled all the same."""
    monkeypatch.setattr(daemon, "MOST_FEEDS", SLOW + 10)
    monkeypatch.setattr(budget, "MOST_WAITING", SLOW)
    for number in range(2 * SLOW):
        follow(context, f"http://127.0.0.1:{mute.port}/{number}")
    site.answers["/feed"] = (200, {}, site.feed())
    url = site.url("/feed").replace("127.0.0.1", "good.localhost")
    context.feeds.add(Feed(feed_id=feed_id(url), url=url, next_poll_at=1.0))  # due after the others
    one_at_a_time = []

    def polled() -> bool:
        one_at_a_time.append(mute.taken <= 1)
        return _polled(context, url)

    asyncio.run(_polling(context, polled))
    assert all(one_at_a_time)
    assert feed_of(context, feed_id(url)).error == ""


def test_names_that_nobody_resolves_hold_up_neither_redis_nor_other_hosts(
    context: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that hangs takes threads of its own kind only."""
    hanging, released = threading.Semaphore(0), threading.Event()
    real = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        if str(host).endswith(".example"):
            hanging.release()
            released.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no name server answered")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for number in range(SLOW - 1):
        follow(context, f"http://host{number}.example/feed")
    site.answers["/feed"] = (200, {}, site.feed())
    url = site.url("/feed")
    context.feeds.add(Feed(feed_id=feed_id(url), url=url, next_poll_at=1.0))
    try:
        asyncio.run(_polling(context, lambda: _polled(context, url)))
        assert hanging.acquire(timeout=1)
    finally:
        released.set()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working directory whose poller may go to the loopback, without a pause between requests."""
    made = furnish(tmp_path)
    with (made / "config" / "samestory.toml").open("a") as settings:
        settings.write('[fetch]\nallow_private = [".localhost"]\nhost_gap_s = 0.0\n')
    return made


def _few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, 4_096))


def test_poller_when_it_may_open_no_more_files_then_goes_on_once_it_may(
    home: Path, redis_url: str, context: Context, mute: Mute
) -> None:
    """Out of descriptors, polls fail and are noted; with new ones the same process polls again."""
    with (
        running_site() as site,
        role(home, redis_url, "poll", more={}, preexec_fn=_few_files) as process,
    ):
        for number in range(SLOW):
            follow(context, f"http://mute{number}.localhost:{mute.port}/")
        until(lambda: any(feed.error for feed in context.feeds.all()), timeout_s=60)
        assert process.poll() is None
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (4_096, 4_096))
        mute.close()
        site.answers["/feed"] = (200, {}, site.feed())
        url = site.url("/feed").replace("127.0.0.1", "good.localhost")
        follow(context, url)
        until(lambda: _polled(context, url), timeout_s=60)
        assert process.poll() is None


def test_poller_when_its_log_cannot_be_written_then_polls_on(
    home: Path, redis_url: str, context: Context
) -> None:
    """A full disk under the log costs lines of it and no entry."""
    full = os.open("/dev/full", os.O_WRONLY)
    with running_site() as site, role(home, redis_url, "poll", more={}, stderr=full) as process:
        site.answers["/quake"] = (200, {}, page("Quake", QUAKE))
        site.answers["/feed"] = (200, {}, site.feed("quake"))
        follow(context, site.url("/feed").replace("127.0.0.1", "site.localhost"))
        until(lambda: context.hints.waiting() == 1, timeout_s=60)
        sums = json.loads(ask(home, "audit", "--json", env=environment(redis_url)).stdout)["sums"]
        assert (sums["claimed"], sums["pending"]) == (1, 1)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    os.close(full)
