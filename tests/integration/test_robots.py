"""robots.txt from real servers: who is asked, how often, and what its answer does to pages."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from outlet import (
    OPERA,
    Answer,
    Site,
    fetch_all,
    follow,
    page,
    poll_all,
    row_of,
    running_site,
    with_steps,
)
from yarl import URL

from worker.decode.sandbox import Sandbox
from worker.errors import DecodeError, FetchError
from worker.fetch.budget import HostBudget
from worker.fetch.client import Fetcher, FetchPolicy, Terms
from worker.fetch.robots import AGAIN_S, KEEP_S, MAX_BYTES, MAX_DELAY_S, Robots
from worker.networking import PollSteps
from worker.store.ledger import FETCH, WORK
from worker.wiring import Context

ROBOTS = "/robots.txt"
TEXT = {"Content-Type": "text/plain"}
ANY_PAGE = Terms(accept="*/*", max_bytes=100_000, timeout_s=10.0)
FORBID_A = b"User-agent: *\nDisallow: /a\n"


@dataclass
class Time:
    """A clock that moves when it is told to, or when somebody sleeps."""

    now: float = 1_000.0

    def clock(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.now += seconds


@dataclass(frozen=True)
class Visitor:
    """Fetches pages as far as robots.txt permits."""

    fetcher: Fetcher
    robots: Robots
    time: Time

    async def get(self, url: str) -> int:
        """Return the status of a page."""
        found = await self.fetcher.get(url, ANY_PAGE, permit=self.robots.permit)
        return found.status

    async def refused(self, url: str) -> FetchError:
        """Return why a page is not fetched."""
        with pytest.raises(FetchError) as caught:
            await self.get(url)
        return caught.value


@contextlib.asynccontextmanager
async def visiting(*, timeout_s: float = 10.0) -> AsyncIterator[Visitor]:
    """Make a visitor of the loopback, whose waits for a host's turn take no time."""
    time = Time()
    policy = FetchPolicy(
        user_agent="samestory/0 (+https://example.com/bot)",
        connect_timeout_s=2.0,
        total_timeout_s=20.0,
        max_bytes=1_000_000,
        allow_private=("127.0.0.1", ".localhost"),
        host_gap_s=0.0,
    )
    sandbox = Sandbox(workers=1, cpu_s=5, memory_mb=512)
    async with Fetcher(policy) as fetcher, sandbox:
        fetcher._budget = HostBudget(1.0, time.clock, time.sleep)
        robots = Robots(
            fetcher=fetcher,
            sandbox=sandbox,
            token="samestory",
            timeout_s=timeout_s,
            clock=time.clock,
        )
        yield Visitor(fetcher, robots, time)


@pytest.fixture
def other() -> Iterator[Site]:
    """A second site, of another origin."""
    with running_site() as made:
        yield made


def _serve(site: Site, robots: Answer, *paths: str) -> None:
    site.answers[ROBOTS] = robots
    for path in paths:
        site.answers[path] = (200, {"Content-Type": "text/html"}, page("News", OPERA))


def test_page_when_forbidden_then_is_not_asked_for_and_the_rest_is(site: Site) -> None:
    """One file serves many pages; a refusal is for good and names the host, not the query."""

    async def run() -> None:
        _serve(site, (200, TEXT, FORBID_A), "/a", "/b", "/c")
        async with visiting() as visitor:
            assert await visitor.get(site.url("/b")) == 200
            error = await visitor.refused(site.url("/a?token=secret"))
            assert (error.permanent, error.status) == (True, None)
            assert "the robots.txt of 127.0.0.1 forbids it to 'samestory'" in str(error)
            assert "secret" not in str(error)
            assert await visitor.get(site.url("/c")) == 200
        assert (site.paths(), site.robots_asked) == (["/b", "/c"], 1)

    asyncio.run(run())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_page_when_there_is_no_robots_txt_then_is_fetched(site: Site, status: int) -> None:
    """4xx says that there is no file: everything may be fetched, and that is known for a day."""

    async def run() -> None:
        _serve(site, (status, TEXT, b"User-agent: *\nDisallow: /"), "/a")
        async with visiting() as visitor:
            assert await visitor.get(site.url("/a")) == 200
            visitor.time.now += KEEP_S - 60.0
            assert await visitor.get(site.url("/a")) == 200
        assert site.robots_asked == 1

    asyncio.run(run())


@pytest.mark.parametrize("status", [429, 500, 503, 304, 302])
def test_page_when_robots_txt_is_not_to_be_had_then_is_refused_for_a_while(
    site: Site, status: int
) -> None:
    """Errors that pass forbid everything for now; after a minute the file is asked for again."""

    async def run() -> None:
        _serve(site, (status, TEXT, b""), "/a")
        async with visiting() as visitor:
            for _ in range(3):
                error = await visitor.refused(site.url("/a"))
                assert not error.permanent
                assert "robots.txt to go by (http://127.0.0.1" in str(error)
                assert str(status) in str(error)
                assert error.retry_after_s == AGAIN_S
            assert site.robots_asked == 1
            visitor.time.now += AGAIN_S
            _serve(site, (200, TEXT, b""))
            assert await visitor.get(site.url("/a")) == 200
        assert (site.paths(), site.robots_asked) == (["/a"], 2)

    asyncio.run(run())


def test_page_when_the_server_names_a_wait_then_robots_txt_is_left_alone_so_long(
    site: Site,
) -> None:
    """Retry-After counts for this file as for any other answer."""

    async def run() -> None:
        _serve(site, (503, {"Retry-After": "600"}, b""), "/a")
        async with visiting() as visitor:
            assert (await visitor.refused(site.url("/a"))).retry_after_s == 600.0
            visitor.time.now += 599.0
            await visitor.refused(site.url("/a"))
            assert site.robots_asked == 1

    asyncio.run(run())


def test_page_when_robots_txt_does_not_come_in_time_then_is_refused_for_a_while() -> None:
    """A server that takes the connection and says nothing is not asked for the page."""

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            address = f"http://127.0.0.1:{mute.getsockname()[1]}/a"
            async with visiting(timeout_s=0.2) as visitor:
                error = await visitor.refused(address)
        assert not error.permanent
        assert "no complete answer within 0.2 s" in str(error)

    asyncio.run(run())


def test_page_when_robots_txt_redirects_then_the_file_there_counts_for_the_origin_asked(
    site: Site, other: Site
) -> None:
    """Another host's file counts where the redirect began, and not on that host."""

    async def run() -> None:
        target = other.url("/rules").replace("127.0.0.1", "other.localhost")
        _serve(site, (301, {"Location": target}, b""), "/a", "/b")
        _serve(other, (404, {}, b""), "/a")
        other.answers["/rules"] = (200, TEXT, FORBID_A)
        async with visiting() as visitor:
            assert (await visitor.refused(site.url("/a"))).permanent
            assert await visitor.get(site.url("/b")) == 200
            assert await visitor.get(other.url("/a")) == 200

    asyncio.run(run())


@pytest.mark.parametrize("location", ["http://10.0.0.1/robots.txt", "file:///etc/passwd", ROBOTS])
def test_page_when_robots_txt_redirects_where_nobody_may_go_then_is_refused_for_a_while(
    site: Site, location: str
) -> None:
    """A private address, another scheme and a loop are no answer."""

    async def run() -> None:
        _serve(site, (302, {"Location": location}, b""), "/a")
        async with visiting() as visitor:
            assert not (await visitor.refused(site.url("/a"))).permanent
        assert site.paths() == []

    asyncio.run(run())


def test_page_when_it_redirects_then_each_address_needs_permission(site: Site, other: Site) -> None:
    """A permitted address that leads to a forbidden one, here or elsewhere, ends before that one."""

    async def run() -> None:
        _serve(site, (200, TEXT, FORBID_A), "/a")
        _serve(other, (200, TEXT, b"User-agent: samestory\nDisallow: /"), "/x")
        site.answers["/here"] = (302, {"Location": "/a"}, b"")
        site.answers["/there"] = (302, {"Location": other.url("/x")}, b"")
        async with visiting() as visitor:
            for path in ("/here", "/there"):
                assert (await visitor.refused(site.url(path))).permanent
        assert (site.paths(), other.paths()) == (["/here", "/there"], [])

    asyncio.run(run())


def test_page_when_the_file_is_a_day_old_then_it_is_asked_for_again(site: Site) -> None:
    """No file is gone by for more than 24 hours."""

    async def run() -> None:
        _serve(site, (200, TEXT, FORBID_A), "/a")
        async with visiting() as visitor:
            await visitor.refused(site.url("/a"))
            _serve(site, (200, TEXT, b""))
            visitor.time.now += KEEP_S - 60.0
            await visitor.refused(site.url("/a"))
            visitor.time.now += 60.0
            assert await visitor.get(site.url("/a")) == 200
        assert site.robots_asked == 2

    asyncio.run(run())


def test_pages_when_hundreds_come_at_once_then_robots_txt_is_asked_for_once(site: Site) -> None:
    """All wait for the one answer; a page that is given up meanwhile does not take it along."""

    async def run() -> None:
        _serve(site, (200, TEXT, FORBID_A))
        async with visiting() as visitor:
            address = URL(site.url("/b"))
            first = asyncio.create_task(visitor.robots.permit(address))
            rest = [asyncio.create_task(visitor.robots.permit(address)) for _ in range(300)]
            await asyncio.sleep(0)
            first.cancel()
            assert await asyncio.gather(*rest) == [0.0] * 300
        assert site.robots_asked <= 2  # the one given up may have been under way

    asyncio.run(run())


def test_page_when_its_site_asks_for_a_delay_then_requests_are_so_far_apart(site: Site) -> None:
    """Crawl-delay is the gap of its host, no shorter than ours, and no longer than half a minute."""

    async def run() -> None:
        async with visiting() as visitor:
            for wish, gap_s in ((b"7", 7.0), (b"0.1", 1.0), (b"86400", MAX_DELAY_S)):
                rules = b"User-agent: *\nCrawl-delay: " + wish
                _serve(site, (200, TEXT, rules), "/a", "/b", "/c")
                visitor.time.now += KEEP_S
                begun = visitor.time.now
                await asyncio.gather(*(visitor.get(site.url(path)) for path in ("/a", "/b", "/c")))
                assert visitor.time.now == begun + 3 * gap_s

    asyncio.run(run())


def test_file_when_too_long_then_counts_up_to_its_last_whole_line(site: Site) -> None:
    """Of a megabyte the first 512 KiB are read, and a rule that is cut there says nothing."""

    async def run() -> None:
        start = b"User-agent: *\nDisallow: /a\n"
        cut = b"Disallow: /b"
        filler = b"#" * (MAX_BYTES - len(start) - len(cut)) + b"\n"
        file = start + filler + cut + b"ut-here\n" + b"Disallow: /c\n" * 40_000
        _serve(site, (200, TEXT, file), "/a", "/b", "/c")
        async with visiting() as visitor:
            await visitor.refused(site.url("/a"))
            assert await visitor.get(site.url("/b")) == 200
            assert await visitor.get(site.url("/c")) == 200
        assert len(file) > 1_000_000

    asyncio.run(run())


def _crossed(count: int) -> bytes:
    agents = "".join(f"User-agent: {n}\n" for n in range(count))
    return (agents + "".join(f"Disallow: /{n}\n" for n in range(count))).encode()


def _twice(count: int) -> bytes:
    agents = "".join(f"User-agent: {n}\n" for n in range(count))
    return (agents + "Disallow: /a\n" + agents).encode()


LONG = "http://a.example/" + "y" * 7_900
HOSTILE = {
    "agents times rules": (_crossed(15_000), LONG),
    "agents twice": (_twice(14_000), LONG),
    "one agent again and again": (b"User-agent: a\n" * 37_000, LONG),
    "wildcards": (b"User-agent: *\n" + b"Disallow: /*zz\n" * 34_000, LONG),
    "stars": (b"User-agent: *\nDisallow: /" + b"*y" * 250_000 + b"b$\n", LONG),
    "near matches": (b"User-agent: *\n" + (b"Disallow: /*" + b"y" * 100 + b"b\n") * 4_500, LONG),
    "one line": (b"Disallow: /" * 47_000, LONG),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_judge_when_the_file_is_hostile_then_costs_no_more_than_its_limit(name: str) -> None:
    """Whatever 512 KiB hold: a ruling or an error, 5 s of processor time at most, and the next works."""
    file, url = HOSTILE[name]
    assert len(file) <= MAX_BYTES

    async def run() -> None:
        async with Sandbox(workers=1, cpu_s=5, memory_mb=512) as sandbox:
            with contextlib.suppress(DecodeError):
                await sandbox.judge(file, url, "samestory")
            assert not (await sandbox.judge(FORBID_A, "http://a.example/a", "samestory")).allowed

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    asyncio.run(run())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime <= 5.0


def test_page_when_its_robots_txt_cannot_be_judged_then_is_refused_for_a_while(site: Site) -> None:
    """A file that kills its reader is read once a minute, however many pages wait for it."""

    async def run() -> None:
        _serve(site, (200, TEXT, HOSTILE["agents times rules"][0]), "/a")
        async with visiting() as visitor:
            errors = await asyncio.gather(*(visitor.refused(site.url("/a")) for _ in range(20)))
            assert [error.permanent for error in errors] == [False] * 20
            assert "to go by (the decoder died" in str(errors[-1]) or "took longer" in str(
                errors[-1]
            )
            visitor.time.now += AGAIN_S
            _serve(site, (200, TEXT, b""))
            assert await visitor.get(site.url("/a")) == 200
        assert site.robots_asked == 2

    asyncio.run(run())


def test_origins_when_their_files_are_long_then_the_longest_unneeded_are_forgotten(
    site: Site,
) -> None:
    """What is remembered is bounded by its size, not by the origins that a feed names."""

    async def run() -> None:
        _serve(site, (200, TEXT, b"#" * (MAX_BYTES - 1)))
        async with visiting() as visitor:
            for number in range(40):
                address = site.url("/").replace("127.0.0.1", f"a{number}.localhost")
                await visitor.robots.permit(URL(address))
            assert len(visitor.robots) == 31
            await visitor.robots.permit(URL(address))
        assert site.robots_asked == 40

    asyncio.run(run())


@pytest.mark.usefixtures("books")
def test_entry_when_robots_txt_forbids_its_page_then_goes_on_with_its_feeds_text(
    context: Context, site: Site
) -> None:
    """The feed is polled without asking; its entry keeps what the feed says, at the first attempt."""
    _serve(site, (200, TEXT, b"User-agent: samestory\nDisallow: /\n"), "/opera")
    site.answers["/feed"] = (200, {}, site.feed("opera", summary=OPERA))
    follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        (entry,) = await poll_all(context, steps)
        assert site.robots_asked == 0
        assert await fetch_all(steps, [entry]) == [True]
        assert row_of(context, entry).stage == WORK
        context.ingest().work([entry])
        assert row_of(context, entry).outcome == "attached"

    with_steps(context, act)
    assert (site.paths(), site.robots_asked) == (["/feed"], 1)


@pytest.mark.usefixtures("books")
def test_entry_when_robots_txt_is_not_to_be_had_then_waits_until_it_is_asked_for_again(
    context: Context, site: Site
) -> None:
    """Its attempt fails with the reason, and the next one is due when there is something to ask."""
    _serve(site, (503, {}, b""), "/opera")
    site.answers["/feed"] = (200, {}, site.feed("opera", summary=OPERA))
    follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        (entry,) = await poll_all(context, steps)
        now = context.clock()
        assert await fetch_all(steps, [entry]) == [False]
        row = row_of(context, entry)
        assert (row.stage, row.attempts) == (FETCH, 1)
        assert "not fetched without a robots.txt to go by" in row.error
        assert context.client.zscore(context.keys.pending, entry) >= now + AGAIN_S - 1.0

    with_steps(context, act)
    assert site.paths() == ["/feed"]
