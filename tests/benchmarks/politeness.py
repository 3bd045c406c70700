"""Thousands of feeds for a month of virtual days: who is asked too early, too often, or in a burst?

The schedule, the rhythms and the turns of hosts are the real ones; servers, latencies and time are
simulated. `python tests/benchmarks/politeness.py --feeds 10000 --days 30`; the last line is one JSON
object. Hosts do not know of each other, so several processes share them. Cost: a fifth of a
millisecond a poll.
"""

import argparse
import asyncio
import heapq
import json
import math
import random
import selectors
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace

from worker.core.rhythm import watched
from worker.core.schedule import (
    FEW,
    LATE_S,
    PollPolicy,
    caught_up_at,
    first_poll_at,
    next_poll,
    standing_of,
)
from worker.core.wishes import first_allowed, refusal_wait_s, server_wish, skipping
from worker.fetch.budget import HostBudget
from worker.model import Feed, FeedId, FeedWishes, Validators, Why, Wish
from worker.settings import PollSettings

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
BEGIN = 1_800_000_000.0 // DAY * DAY
GAP_S = 1.0  # fetch.host_gap_s
FEEDS_A_HOST = 2.5  # about what lists of feeds have, most hosts one and a few a great many
AWAY_S = 60.0  # of the poller that is started anew
LONG_AWAY_S = 6 * HOUR  # of the one that was forgotten
TICK_S = 0.2  # as the poll loop's
LOOK_S = HOUR / 2  # a feed that was polled is due an hour later at the soonest: this misses none
POLICY = PollPolicy(**PollSettings().model_dump(exclude={"max_new_a_day"}))


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which nobody waits: time goes on to the next timer at once."""

    def __init__(self) -> None:
        self.now = BEGIN
        super().__init__(_NoWaiting(self))
        # asyncio lets a timer pass that is due by less; Unix seconds as floats are .24 us apart.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Return the virtual time."""
        return self.now


class _NoWaiting(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        super().__init__()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let the time-out pass. Nothing but time happens here: no file is looked at."""
        self._loop.now += timeout or 0.0
        return []


@dataclass(frozen=True, slots=True)
class Times:
    """What happens when: an hour without a network at noon of the middle day, and two absences."""

    days: float

    @property
    def end(self) -> float:
        """When all is over."""
        return BEGIN + self.days * DAY

    @property
    def outage(self) -> tuple[float, float]:
        """When nobody can be reached."""
        noon = BEGIN + self.days // 2 * DAY + 12 * HOUR
        return noon, noon + HOUR

    @property
    def absences(self) -> tuple[tuple[float, float], ...]:
        """When the poller ends, and for how many seconds."""
        noon, _ = self.outage
        return (noon + DAY, AWAY_S), (noon + 2 * DAY, LONG_AWAY_S)


@dataclass(slots=True)
class Server:
    """What serves one feed, and what it remembers of us."""

    host: str
    rate: float  # changes a second by day; a tenth of it by night
    morning: int  # the hour (UTC) at which its day begins
    validators: bool
    fails: float  # chance of an error
    headers: dict[str, str]
    wishes: FeedWishes
    latency_s: float
    changed_to: float = BEGIN
    known: bool = False  # it gave validators
    not_before: float = 0.0
    asked: int = 0


@dataclass(slots=True)
class Seen:
    """What servers saw of us."""

    feeds: int = 0
    hosts: int = 0
    polls: Counter[int] = field(default_factory=Counter)  # by minute
    most_in_flight: int = 0
    early: int = 0
    unconditional: int = 0
    skipped: int = 0
    never_asked: int = 0
    why: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Seen") -> None:
        """Add what other servers saw."""
        self.feeds += other.feeds
        self.hosts += other.hosts
        self.polls += other.polls
        self.most_in_flight = max(self.most_in_flight, other.most_in_flight)
        self.early += other.early
        self.unconditional += other.unconditional
        self.skipped += other.skipped
        self.never_asked += other.never_asked
        self.why += other.why


@dataclass(slots=True)
class World:
    """The feeds and their servers."""

    draw: random.Random
    times: Times
    feeds: list[Feed] = field(default_factory=list)
    servers: list[Server] = field(default_factory=list)
    in_flight: Counter[str] = field(default_factory=Counter)
    seen: Seen = field(default_factory=Seen)

    def populate(self, count: int, part: int, parts: int) -> None:
        """Follow one part of so many feeds at once, on hosts whose sizes go by Zipf's law."""
        hosts = max(1, int(count / FEEDS_A_HOST))
        weights = [1.0 / rank for rank in range(1, hosts + 1)]
        for number, host in enumerate(self.draw.choices(range(hosts), weights, k=count)):
            server = self._server(f"host{host}.example")
            at = first_poll_at(BEGIN, POLICY.interval_s, count=count, draw=self.draw.random())
            if host % parts == part:
                self.servers.append(server)
                name = FeedId(str(number))
                self.feeds.append(Feed(feed_id=name, url=f"https://{number}", next_poll_at=at))

    def _server(self, host: str) -> Server:
        draw, headers, wishes = self.draw, {}, FeedWishes()
        kind = draw.random()
        if kind < 0.2:
            headers = {"cache-control": f"max-age={draw.choice((300, 900, 3_600, 14_400, 86_400))}"}
        elif kind < 0.3:
            wishes = FeedWishes(every_s=draw.choice((900.0, 3_600.0, 10_800.0)))
        elif kind < 0.35:
            hours, _ = skipping(draw.sample(range(24), 8), ())
            wishes = FeedWishes(skip_hours=hours)
        fails = draw.choices((0.002, 0.1, 1.0), (0.9, 0.06, 0.04))[0]
        return Server(
            host=host,
            rate=10 ** draw.uniform(-1.5, 1.7) / DAY,
            morning=draw.choice((5, 6, 7, 8, 12, 13, 14, 23)),
            validators=draw.random() < 0.9,
            fails=fails,
            headers=headers,
            wishes=wishes,
            latency_s=draw.lognormvariate(-1.2, 0.8),
        )

    def ask(self, number: int, now: float) -> None:
        """Count what a server sees of a request."""
        server, feed = self.servers[number], self.feeds[number]
        seen = self.seen
        seen.polls[int((now - BEGIN) // MINUTE)] += 1
        seen.early += now < server.not_before
        seen.unconditional += server.known and not feed.validators.given
        seen.skipped += first_allowed(feed.next_poll_at, feed.wishes) != feed.next_poll_at
        server.asked += 1

    def answer(self, number: int, now: float) -> None:
        """Let a feed's server answer, and plan the next poll as the poller does."""
        server, feed = self.servers[number], self.feeds[number]
        begin, end = self.times.outage
        if begin <= now < end or self.draw.random() < server.fails:
            feed, wish = self._refused(server, feed, now)
        else:
            feed, wish = self._answered(server, feed, now)
        floors = [POLICY.interval_s, wish.seconds if wish else 0.0, feed.wishes.every_s]
        if feed.rhythm.until and not server.validators:
            floors.append(POLICY.unconditional_interval_s)
        server.not_before = now + max(floors)
        plan = next_poll(now, POLICY, standing_of(feed, wish, now, POLICY), draw=self.draw.random())
        self.seen.why[plan.why.value] += 1
        self.feeds[number] = replace(
            feed, next_poll_at=plan.at, interval_s=plan.at - now, polled_at=now
        )

    def _refused(self, server: Server, feed: Feed, now: float) -> tuple[Feed, Wish | None]:
        headers, status = {}, 500
        if server.fails < 1.0 and self.draw.random() < 0.5:
            status = self.draw.choice((429, 503))
            seconds = str(self.draw.choice((600, 7_200, 100_000)))
            headers = {self.draw.choice(("retry-after", "x-ratelimit-reset")): seconds}
        wait_s = refusal_wait_s(headers, now, status=status)
        wish = None if wait_s is None else Wish(seconds=wait_s, why=Why.ASKED)
        return replace(feed, failures=feed.failures + 1), wish

    def _answered(self, server: Server, feed: Feed, now: float) -> tuple[Feed, Wish | None]:
        new = self._news(server, now)
        if server.validators:
            server.known = True
        return (
            replace(
                feed,
                failures=0,
                validators=Validators(etag='"1"' if server.validators else ""),
                wishes=server.wishes,
                rhythm=watched(feed.rhythm, now, new),
                changed_at=now if new else feed.changed_at,
            ),
            server_wish(server.headers, now),
        )

    def _news(self, server: Server, now: float) -> list[float]:
        """Return when a feed changed since it was looked at last (a Poisson process with nights)."""
        new, at = [], server.changed_to
        while True:
            at -= math.log(1.0 - self.draw.random()) / server.rate
            if at > now:
                break
            by_day = (int(at // HOUR) - server.morning) % 24 < 14
            if by_day or self.draw.random() < 0.1:
                new.append(at)
        server.changed_to = now
        return new


async def poll_all(world: World) -> None:
    """Poll every feed whenever it is due, host by host in turn, but for the absences."""
    loop, seen = asyncio.get_running_loop(), world.seen
    due = [(feed.next_poll_at, number) for number, feed in enumerate(world.feeds)]
    heapq.heapify(due)
    for until, away_s in (*world.times.absences, (world.times.end, 0.0)):
        budget = HostBudget(GAP_S, loop.time, asyncio.sleep)
        tasks: dict[asyncio.Task[None], int] = {}

        async def poll(number: int, budget: HostBudget = budget) -> None:
            server = world.servers[number]
            async with budget.slot(server.host):
                world.in_flight[server.host] += 1
                seen.most_in_flight = max(seen.most_in_flight, world.in_flight[server.host])
                try:
                    world.ask(number, loop.time())
                    await asyncio.sleep(server.latency_s)
                    world.answer(number, loop.time())
                finally:
                    world.in_flight[server.host] -= 1
            heapq.heappush(due, (world.feeds[number].next_poll_at, number))

        while loop.time() < until:
            while due and due[0][0] <= loop.time():
                number = heapq.heappop(due)[1]
                task = asyncio.create_task(poll(number))
                tasks[task] = number
                task.add_done_callback(tasks.pop)
            next_at = due[0][0] if due else until
            await asyncio.sleep(
                min(max(next_at - loop.time(), TICK_S), LOOK_S, until - loop.time())
            )
        lost = dict(tasks)
        for task, number in lost.items():
            task.cancel()
            # A poll without an answer was none: its lease ends, and the feed is due as it was.
            heapq.heappush(due, (world.feeds[number].next_poll_at, number))
        await asyncio.gather(*lost, return_exceptions=True)
        await asyncio.sleep(away_s)
        due[:] = caught_up(world, due, loop.time())
        heapq.heapify(due)


def caught_up(world: World, due: list[tuple[float, int]], now: float) -> list[tuple[float, int]]:
    """Return what is due once the poller is back, as steps/catch_up has it."""
    many = sum(at < now - LATE_S for at, _ in due) > FEW

    def again(at: float, number: int) -> float:
        if at >= now - LATE_S:
            return at
        feed, draw = world.feeds[number], world.draw.random()
        wait_s = feed.interval_s or POLICY.interval_s
        return caught_up_at(now, at, wait_s, feed.wishes, many=many, draw=draw)

    return [(again(at, number), number) for at, number in due]


def peak(seen: Seen, begin: float, end: float, usual: tuple[float, float]) -> float:
    """Return how many times the usual polls there were in the busiest span of a time.

    A span is a minute, longer where there are too few feeds to tell a burst from chance: some eighty
    polls.
    """
    minutes = max(1, 30_000 // seen.feeds)

    def spans(begin: float, end: float) -> list[int]:
        first, last = (int((at - BEGIN) // MINUTE) for at in (begin, end))
        return [
            sum(seen.polls[minute] for minute in range(at, at + minutes))
            for at in range(first, last - minutes + 1, minutes)
        ]

    before = spans(*usual)
    return max(spans(begin, end)) / (sum(before) / len(before))


def simulate(count: int, days: float, seed: int, part: int, parts: int) -> Seen:
    """Return what the servers of one part of so many feeds saw in so many days."""
    world = World(draw=random.Random(seed), times=Times(days))
    world.populate(count, part, parts)
    world.draw.seed(f"{seed} {part}")
    loop = VirtualLoop()
    try:
        loop.run_until_complete(poll_all(world))
    finally:
        loop.close()
    seen = world.seen
    seen.feeds, seen.hosts = len(world.feeds), len({server.host for server in world.servers})
    seen.never_asked = sum(server.asked == 0 for server in world.servers)
    return seen


def figures(seen: Seen, days: float) -> dict[str, float | int | dict[str, int]]:
    """Return what is printed.

    ``early`` polls came before a wait was over that the server, the feed or B5 asks for; the peaks are
    multiples of the mean: at the start of the first six hours; after the outage, for twelve hours, of the
    same hours a day before; after the new start, for an hour, of the hour a day before the outage; after
    the long absence, for six hours, of the same hours a day before.
    """
    times = Times(days)
    down, up = times.outage
    (again, _), (left, away_s) = times.absences
    back = left + away_s
    first = (BEGIN, BEGIN + 6 * HOUR)
    return {
        "feeds": seen.feeds,
        "hosts": seen.hosts,
        "days": days,
        "polls": seen.polls.total(),
        "polls_a_feed_and_day": round(seen.polls.total() / seen.feeds / days, 2),
        "early": seen.early,
        "in_skipped_hours": seen.skipped,
        "unconditional": seen.unconditional,
        "most_in_flight_at_a_host": seen.most_in_flight,
        "peak_at_start": round(peak(seen, *first, first), 2),
        "peak_after_outage": round(peak(seen, up, up + 12 * HOUR, (up - DAY, up - DAY / 2)), 2),
        "peak_after_restart": round(peak(seen, again, again + HOUR, (down - DAY, up - DAY)), 2),
        "peak_after_absence": round(
            peak(seen, back, back + 6 * HOUR, (back - DAY, back - DAY + 6 * HOUR)), 2
        ),
        "never_asked": seen.never_asked,
        "decided_by": dict(seen.why.most_common()),
    }


def main() -> None:
    """Run it and print what it counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feeds", type=int, default=10_000)
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    begun, seen = time.monotonic(), Seen()
    with ProcessPoolExecutor(asked.processes) as pool:
        for part in [
            pool.submit(simulate, asked.feeds, asked.days, asked.seed, part, asked.processes)
            for part in range(asked.processes)
        ]:
            seen.add(part.result())
    found = figures(seen, asked.days)
    sys.stdout.write(json.dumps({**found, "took_s": round(time.monotonic() - begun)}) + "\n")


if __name__ == "__main__":
    main()
