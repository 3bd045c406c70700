"""A host with more feeds and pages than turns fills nothing: who is too many comes again later."""

import asyncio
import time

import pytest
from outlet import (
    QUAKE,
    Site,
    feed_of,
    fetch_all,
    follow,
    page,
    poll_all,
    row_of,
    with_steps,
)

from worker.fetch import budget
from worker.fetch.budget import HostBudget
from worker.networking import PollSteps
from worker.testing import Clock
from worker.wiring import Context

HOST = "127.0.0.1"


def test_host_when_many_wait_for_it_then_further_ones_get_a_time_each() -> None:
    """One a turn, behind all who wait; a slow answer makes turns longer; others are not concerned."""
    clock = Clock()

    async def act() -> list[float]:
        over = asyncio.Event()
        hosts = HostBudget(1.0, clock, asyncio.sleep)

        async def ask() -> None:
            async with hosts.slot("slow"):
                await over.wait()

        asked = [asyncio.create_task(ask()) for _ in range(int(budget.MOST_WAIT_S))]
        await asyncio.sleep(0)
        try:
            booked = [hosts.full_for_s("slow") for _ in range(3)]
            clock.move(10.0)
            booked += [hosts.full_for_s(host) for host in ("slow", "other")]
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return [*booked, hosts.full_for_s("slow")]

    assert asyncio.run(act()) == [61.0, 62.0, 63.0, 61.0, 0.0, 0.0]


def test_host_when_a_turn_took_long_then_so_will_the_others() -> None:
    """Where requests run into their time-out, the gap between them tells nothing."""
    clock = Clock()

    async def act() -> float:
        hosts = HostBudget(1.0, clock, asyncio.sleep)
        async with hosts.slot("slow"):
            clock.move(30.0)
        async with hosts.slot("slow"):
            waiting = [asyncio.create_task(_wait(hosts))]
            await asyncio.sleep(0)
            full_for_s = hosts.full_for_s("slow")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return full_for_s

    assert asyncio.run(act()) == 3 * 30.0


def test_host_when_it_is_fast_then_many_may_wait_but_not_all() -> None:
    """What it is done with in seconds is not sent away, as long as there is room for others."""

    async def act() -> list[bool]:
        hosts = HostBudget(0.0, Clock(), asyncio.sleep)
        async with hosts.slot("fast"):
            waiting = []
            full = []
            for _ in range(budget.MOST_WAITING):
                full.append(hosts.full_for_s("fast") > 0.0)
                waiting.append(asyncio.create_task(_wait(hosts, "fast")))
                await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        return full

    # The one that has its turn is counted; of a host that has not answered yet a tenth of a second is assumed.
    assert asyncio.run(act()).index(True) == budget.MOST_WAITING - 1


async def _wait(hosts: HostBudget, host: str = "slow") -> None:
    async with hosts.slot(host):
        pass


def test_feed_when_its_host_is_full_then_is_due_later_and_not_asked(
    context: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is noted on it, and whoever polls it then finds it free."""
    monkeypatch.setattr(budget, "MOST_WAITING", 1)
    site.answers["/feed"] = (200, {}, site.feed("quake"))
    name = follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        async with steps.poller.fetcher._budget.slot(HOST):
            assert await poll_all(context, steps) == ()
        feed = feed_of(context, name)
        assert (feed.polled_at, feed.failures) == (0.0, 0)
        assert context.clock() < feed.next_poll_at < context.clock() + 10.0
        assert len(await poll_all(context, steps)) == 1

    with_steps(context, act)


@pytest.mark.usefixtures("books")
def test_page_when_its_host_is_full_then_comes_later_and_the_attempt_is_not_counted(
    context: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is put off, it is fetched in the end."""
    monkeypatch.setattr(budget, "MOST_WAITING", 1)
    site.answers["/feed"] = (200, {}, site.feed("quake"))
    site.answers["/quake"] = (200, {"Content-Type": "text/html"}, page("Quake", QUAKE))
    follow(context, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        (entry_id,) = await poll_all(context, steps)
        async with steps.pages.fetcher._budget.slot(HOST):
            for _ in range(2 * steps.pages.attempts):
                assert await fetch_all(steps, [entry_id]) == [False]
        row = row_of(context, entry_id)
        assert (row.stage, row.attempts, row.error) == ("fetch", 0, "")
        due_at = context.client.zscore(context.keys.pending, entry_id)
        assert time.time() < due_at < time.time() + 3_600.0
        assert await fetch_all(steps, [entry_id]) == [True]

    with_steps(context, act)
