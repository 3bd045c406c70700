"""`make bench-fetch`: what a poll costs, side by side with threads, requests and feedparser.

    python tests/benchmarks/fetch.py [--feeds N] [--rounds N]

Prints a table and, as its last line, one JSON object: row -> ours, theirs, ratio, unit. For Linux.
docs/benchmarks.md says how each row is measured.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import feedsite
from bench import ROOT, Figure, say, server
from report import table

from worker.core.entries import entries_of, feed_id
from worker.decode.document import parse_document
from worker.decode.sandbox import Sandbox
from worker.model import Feed, FeedId, Outcome, Rhythm, Validators
from worker.networking import FEED_CPU_S, FEED_MEMORY_MB
from worker.settings import load_settings
from worker.store.feeds import poll_fields
from worker.store.ledger import FeedClaim
from worker.wiring import Context

HERE = Path(__file__).parent
WIDTHS = (8, 16, 32, 64)  # threads of the rival; it goes on with the best
FAR_S = 10 * 86_400.0  # when a feed is due that is not to be polled now
SOON_S = 1_800.0  # every polled feed is due later, every leased one sooner
LOOK_S = 0.05
START_S = 60.0
ROUND_S = 600.0
ITEMS = (5, 20, 100)  # of the documents that the sandbox reads
READ_S = 2.0  # what a round of reading one document takes, about
PROGRAM = "from worker.cli.main import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A site, the feeds on it, and who polls them."""

    context: Context
    port: int
    feeds: int
    poller: int  # process id

    @property
    def ids(self) -> list[FeedId]:
        """The feeds, in the order of their numbers."""
        return [feed_id(feedsite.address(feed, self.port)) for feed in range(self.feeds)]

    def counts(self) -> Mapping[str, int]:
        """Return how often the site gave each answer."""
        with urlopen(f"http://127.0.0.1:{self.port}/counts") as response:
            return dict(json.load(response))


# --- polling --------------------------------------------------------------------------------


@dataclass(slots=True)
class Spent:
    """What rounds of the same work took."""

    rates: list[float] = field(default_factory=list)  # done a second
    cpu_ms: list[float] = field(default_factory=list)  # processor time of one

    @contextmanager
    def noting(self, count: int, *processes: int) -> Iterator[None]:
        """Note what so many take that are done meanwhile, in those processes."""
        started, cpu_s = time.perf_counter(), sum(map(_cpu_s, processes))
        yield
        self.rates.append(count / (time.perf_counter() - started))
        self.cpu_ms.append(1_000 * (sum(map(_cpu_s, processes)) - cpu_s) / count)


def polling(world: World, rival: "Rival", rounds: int) -> Mapping[str, Figure]:
    """Both sides in turn, round by round."""
    ours, theirs = Spent(), list[float]()
    _poll_all(world, Spent())  # what is imported and opened once
    width = max(WIDTHS, key=rival.rate)
    say(f"the pool is fastest with {width} threads")
    before = world.counts()
    for number in range(rounds):
        _poll_all(world, ours)
        theirs.append(rival.rate(width))
        say(
            f"round {number}: {ours.rates[-1]:.0f} feeds/s, {ours.cpu_ms[-1]:.2f} ms CPU a poll; "
            f"the pool {theirs[-1]:.0f}"
        )
    _check_mix(world, before, 2 * rounds)
    return {
        "polling": Figure(
            ours=statistics.median(ours.rates), theirs=statistics.median(theirs), unit="feeds/s",
            what=f"polls of {world.feeds} feeds on as many hosts, 95 % of them 304, one process, "
            f"against {width} threads with requests and feedparser",
            must="≥ 300, ratio ≥ 5",
        ),
        "polling_cpu": Figure(
            ours=statistics.median(ours.cpu_ms), theirs=None, unit="ms/poll",
            what="processor time of the polling process, without its children",
        ),
    }  # fmt: skip


def _check_mix(world: World, before: Mapping[str, int], polls: int) -> None:
    """Refuse figures of anything else than what was to be measured."""
    loud = sum(map(feedsite.is_loud, range(world.feeds)))
    due = {"200": polls * loud, "304": polls * (world.feeds - loud), "first": 0}
    after = world.counts()
    met = {status: after.get(status, 0) - before.get(status, 0) for status in due}
    if met != due:
        raise SystemExit(f"the site gave {met}, and should have given {due}")


def _poll_all(world: World, spent: Spent, ids: Sequence[FeedId] | None = None) -> None:
    """Let feeds be due, all of them unless some are named, and wait until each was polled."""
    client, key = world.context.client, world.context.keys.feeds
    world.context.clock.sync()
    now = world.context.clock()
    ids = world.ids if ids is None else ids
    with spent.noting(len(ids), world.poller):
        client.zadd(key, dict.fromkeys(ids, now))
        _until(lambda: not client.zcount(key, "-inf", now + SOON_S), ROUND_S)


class Rival:
    """The pool of threads, in a process of its own."""

    def __init__(self, port: int, feeds: int) -> None:
        self._feeds = feeds
        self.process = subprocess.Popen(
            [sys.executable, HERE / "threadpool.py", str(port), str(feeds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def rate(self, width: int) -> float:
        """Return how many feeds a second so many threads poll."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin
        assert stdout
        stdin.write(f"{width}\n")
        stdin.flush()
        return self._feeds / float(stdout.readline())


# --- memory ---------------------------------------------------------------------------------


def stored(world: World) -> Mapping[str, Figure]:
    """What one more feed takes, in Redis and in the poller."""
    client, keys = world.context.client, world.context.keys

    def usage(key: str) -> int:
        return int(client.memory_usage(key, samples=0) or 0)

    used = usage(keys.feeds) + sum(usage(keys.feed(i)) + usage(keys.listed(i)) for i in world.ids)
    return {
        "bytes_feed": Figure(
            ours=used / world.feeds, theirs=None, unit="bytes/feed", must="≤ 2 000",
            what=f"Redis: state, schedule and the {feedsite.ITEMS} entries last listed",
        )
    }  # fmt: skip


def resident(world: World) -> Mapping[str, Figure]:
    """How much a poller grows from its first tenth of the feeds to all, a tenth polled at a time.

    So as many are in hand at any time, whose memory is that of the work and not of the feeds.
    """
    tenth = world.feeds // 10
    tenths = [world.ids[begin : begin + tenth] for begin in range(0, world.feeds, tenth)]
    levels = []
    for ids in (tenths[0], tenths[0], *tenths):
        _poll_all(world, Spent(), ids)
        levels.append(_rss_bytes(world.poller))
    say("resident: " + ", ".join(f"{level / 2**20:.1f}" for level in levels) + " MiB")
    return {
        "resident_feed": Figure(
            ours=(levels[-1] - levels[1]) / (world.feeds - tenth), theirs=None,
            unit="bytes/feed", must="≤ 2 000",
            what=f"the poller's own memory: {world.feeds} feeds against a tenth of them",
        )
    }  # fmt: skip


# --- sandbox --------------------------------------------------------------------------------


async def sandbox(rounds: int) -> Mapping[str, Figure]:
    """Reading a feed in one child against reading it in this process, one after another."""
    figures = {}
    for items in ITEMS:
        body, url = feedsite.document(0, items), feedsite.address(0, 80)
        ours, theirs = Spent(), Spent()
        parse_document(body, url=url)
        with theirs.noting(1, os.getpid()):
            parse_document(body, url=url)
        count = min(max(round(READ_S * theirs.rates.pop()), 10), 500)  # one child reads 1 000
        theirs.cpu_ms.clear()
        for _ in range(rounds):
            async with Sandbox(workers=1, cpu_s=FEED_CPU_S, memory_mb=FEED_MEMORY_MB) as box:
                await box.parse_feed(body, url)  # it is started then
                (child,) = box._idle
                assert child.process
                with ours.noting(count, os.getpid(), child.process.pid):
                    for _ in range(count):
                        await box.parse_feed(body, url)
            with theirs.noting(count, os.getpid()):
                for _ in range(count):
                    parse_document(body, url=url)
        what = f"feeds of {items} entries ({len(body) // 1_000} kB) read in one child"
        figures[f"sandbox_{items}"] = Figure(
            ours=statistics.median(ours.rates), theirs=statistics.median(theirs.rates),
            unit="feeds/s", what=f"{what}, against in-process", must="ratio ≥ .9",
        )  # fmt: skip
        figures[f"sandbox_{items}_cpu"] = Figure(
            ours=statistics.median(ours.cpu_ms), theirs=statistics.median(theirs.cpu_ms),
            unit="ms/feed", what=f"{what}: processor time of both processes, against in-process",
        )  # fmt: skip
    return figures


# --- the world ------------------------------------------------------------------------------


@contextmanager
def _running(arguments: Sequence[str | Path], **options: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, *arguments], text=True, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _world(redis_url: str, feeds: int) -> Iterator[World]:
    """Start the site and the poll role as it is shipped, with feeds that were polled before."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="samestory-bench-"))
        site = stack.enter_context(_running([HERE / "feedsite.py"], stdout=subprocess.PIPE))
        assert site.stdout
        port = int(site.stdout.readline())
        given = {
            "REDIS_URL": redis_url,
            "PATHS_VAR": f"{folder}/var",
            "PATHS_ARCHIVE": f"{folder}/archive",
            "FETCH_ALLOW_PRIVATE": ".1",  # of 127.x.y.1
        }
        environ = {f"SAMESTORY_{name}": value for name, value in given.items()}
        settings = load_settings(environ=environ)
        context = Context(settings=settings, redis_url=redis_url)
        context.check()
        _follow(context, port, feeds)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SAMESTORY_")}
        role = stack.enter_context(
            _running(
                ["-c", PROGRAM, "poll"],
                cwd=folder,
                env={**kept, "PYTHONPATH": str(ROOT), **environ},
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        )
        yield World(context=context, port=port, feeds=feeds, poller=role.pid)


def _follow(context: Context, port: int, feeds: int) -> None:
    """Store feeds as polls have left them that listed their entries, all of which are settled."""
    now = context.clock()
    for number in range(feeds):
        url = feedsite.address(number, port)
        context.feeds.add(Feed(feed_id=feed_id(url), url=url))
    leases = context.feeds.due(now=now, lease_s=FAR_S, limit=feeds)
    tokens = {lease.feed_id: lease.token for lease in leases}
    parsed = parse_document(feedsite.document(0), url=feedsite.address(0, port))
    for number in range(feeds):
        url = feedsite.address(number, port)
        feed = Feed(
            feed_id=feed_id(url),
            url=url,
            title=parsed.title,
            validators=Validators(etag=feedsite.TAG, url=url),
            rhythm=Rhythm(since=now - FAR_S, until=now - FAR_S / 2, changes=(0.5,) * 24),
            polled_at=now,
        )
        loud = feedsite.is_loud(number)
        if loud:
            parsed = parse_document(feedsite.document(number), url=url)
        claim = FeedClaim(
            feed_id=feed.feed_id, token=tokens[feed.feed_id], next_poll_at=now + FAR_S,
            fields=poll_fields(feed), listed_all=True, url=url, address=feed.feed_id,
        )  # fmt: skip
        for entry_id in context.ledger.claim(entries_of(parsed, feed, now), now=now, feed=claim):
            context.ledger.settle(entry_id, Outcome.REJECTED)


def _until(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"the polls did not end within {timeout_s:.0f} s")
        time.sleep(LOOK_S)


def _cpu_s(process: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--feeds", type=int, default=4_000, help="on as many hosts; 4000")
    parser.add_argument("--rounds", type=int, default=5, help="of which medians are taken; 5")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="of polling, sandbox; all")
    options = parser.parse_args()
    figures: dict[str, Figure] = {}
    if "sandbox" in (options.rows or ["sandbox"]):
        figures |= asyncio.run(sandbox(options.rounds))
    if "polling" in (options.rows or ["polling"]):
        with server() as url, _world(url, options.feeds) as world:
            say(f"{world.feeds} feeds, {world.port}")
            figures |= stored(world) | resident(world)
            rival = Rival(world.port, options.feeds)
            try:
                figures |= polling(world, rival, options.rounds)
            finally:
                rival.process.kill()
                rival.process.wait()
    sys.stdout.write(table(figures) + "\n")
    short = {
        name: {"ours": row.ours, "theirs": row.theirs, "ratio": row.ratio, "unit": row.unit}
        for name, row in figures.items()
    }
    sys.stdout.write(json.dumps(short) + "\n")


if __name__ == "__main__":
    main()
