"""A short campaign of `make chaos`, and that its verdict sees what it is there to see."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest
from outlet import fetch_all, follow, poll_all, with_steps
from structlog.testing import capture_logs

from worker.networking import PollSteps
from worker.wiring import Context

CHAOS = Path(__file__).parents[1] / "chaos"
KILLS, ENTRIES = 50, 1_000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


@pytest.mark.slow
def test_campaign_of_fifty_kills_when_over_then_nothing_is_lost_doubled_or_split(
    tmp_path: Path,
) -> None:
    """Workers, the poller and Redis are killed, replies lost, clocks moved, a thousand entries long.

    Faults F1 to F3, F8, F11, F12, F16 to F18 and F39, one after another and on top of each other.
    """
    command = [sys.executable, str(CHAOS / "run.py")]
    command += ["--entries", str(ENTRIES), "--kills", str(KILLS)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    figures = json.loads(run.stdout.splitlines()[-1])
    assert run.returncode == 0, run.stdout + run.stderr
    assert (figures["entries"], figures["kills"]) == (ENTRIES, KILLS)
    assert (figures["lost"], figures["doubled"], figures["split"]) == (0, 0, 0)
    assert figures["misjudged"] == 0
    assert figures["audit"] == {"balanced": True, "offences": 0}
    assert sum(figures["outcomes"].values()) == ENTRIES


@pytest.fixture
def chaos(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the campaign that judge, as they are imported beside each other."""
    monkeypatch.syspath_prepend(str(CHAOS))
    import verdict
    import world

    class Chaos:
        World, Item, Kind, judge = world.World, world.Item, world.Kind, staticmethod(verdict.judge)

    return Chaos


@pytest.fixture
def small(chaos: Any, context: Context) -> Any:
    """A world of three stories, two of them with a copy, all of it attached."""
    stories = ((0, 0), (0, 1), (1, 0), (2, 0), (2, 1))
    items = [
        chaos.Item(n, chaos.Kind.WELL, story, copy, n, n, n)
        for n, (story, copy) in enumerate(stories)
    ]
    made = chaos.World(1, items)
    overrides = {"allow_private": (".localhost",), "host_gap_s": 0.0}
    fetch = context.settings.fetch.model_copy(update=overrides)
    settings = context.settings.model_copy(update={"fetch": fetch})
    for item in made.publish(len(items)):
        follow(context, made.feed_url(item.outlet))
    hurried = Context(settings=settings, redis_url=context.redis_url)

    async def act(steps: PollSteps) -> None:
        await fetch_all(steps, await poll_all(hurried, steps))

    with made.served(), capture_logs():
        with_steps(hurried, act)
        for item in items:
            hurried.ingest().work([made.entry_id(item)])
    return made


def test_verdict_when_all_went_well_then_finds_nothing(
    chaos: Any, context: Context, small: Any
) -> None:
    """Nothing is wrong with a world that was simply worked off."""
    verdict = chaos.judge(context, small)
    assert list(verdict.lines(5)) == []
    assert verdict.outcomes == {"attached": 5}


def _lose(context: Context, world: Any) -> None:
    context.client.hdel(context.keys.entry(world.entry_id(world.items[2])), "outcome")


def _tell_twice(context: Context, world: Any) -> None:
    event = {"type": "article_attached", "article": world.article_id(world.items[0])}
    context.client.xadd(context.keys.lang_prefix("en") + "events", event)


def _tell_nobody(context: Context, world: Any) -> None:
    key = context.keys.lang_prefix("en") + "events"
    context.client.xdel(key, context.client.xrange(key)[0][0])


def _attach_twice(context: Context, world: Any) -> None:
    (other,) = [s for s in _homes(context, world) if s != _home(context, world, 0)][:1]
    member = {world.article_id(world.items[0]): time.time()}
    context.client.zadd(context.keys.members(other), member)


def _split(context: Context, world: Any) -> None:
    (other,) = [s for s in _homes(context, world) if s != _home(context, world, 0)][:1]
    key = context.keys.article("en", world.article_id(world.items[0]))
    record = msgpack.unpackb(context.client.get(key), raw=True)
    context.client.set(key, msgpack.packb([other.encode(), *record[1:]], use_bin_type=False))


def _misjudge(context: Context, world: Any) -> None:
    context.client.hset(context.keys.entry(world.entry_id(world.items[2])), "outcome", "rejected")


def _home(context: Context, world: Any, number: int) -> Any:
    article = context.stories.article(world.article_id(world.items[number]))
    assert article is not None
    return article.story_id


def _homes(context: Context, world: Any) -> list[Any]:
    return [_home(context, world, n) for n in range(len(world.items))]


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (_lose, "lost"),
        (_tell_nobody, "lost"),
        (_tell_twice, "doubled"),
        (_attach_twice, "doubled"),
        (_split, "split"),
        (_misjudge, "misjudged"),
    ],
)
def test_verdict_when_the_state_was_harmed_then_says_so(
    chaos: Any, context: Context, small: Any, harm: Callable[[Context, Any], None], kind: str
) -> None:
    """Each kind of loss that a campaign asserts the absence of is one that it would have seen."""
    harm(context, small)
    assert getattr(chaos.judge(context, small), kind)
