"""The seeds: four accounts of one event among distractors become one story, in whatever order."""

import multiprocessing
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from worker.core.entries import article_id_of_record
from worker.demo import DemoServer, load_world
from worker.model import ArticleId, Outcome, Rejected
from worker.settings import load_settings
from worker.steps.prepare import Draft, Prepared, prepare
from worker.steps.records import Record, dated, in_event_order, read_source
from worker.steps.replay import Replayed
from worker.testing import Clock, an_article
from worker.wiring import Context, replay_steps

SEEDS = Path(__file__).parents[2] / "seeds"
WORLD = {article.slug: article for article in load_world(SEEDS).articles}
REPORTS = sorted(slug for slug, a in WORLD.items() if a.kind == "report")
REPRINTS = sorted(slug for slug, a in WORLD.items() if a.kind == "reprint")
WALLS = sorted(slug for slug, a in WORLD.items() if a.kind in ("wall", "teaser"))
OTHERS = sorted(set(WORLD) - set(REPORTS) - set(REPRINTS) - set(WALLS))
SETTINGS = load_settings()
ORDERS = list(permutations(range(4)))


@dataclass(frozen=True)
class Seed:
    """A seed with its page as served and what the pipeline makes of it."""

    draft: Draft
    prepared: Prepared | Rejected


@pytest.fixture(scope="module")
def seeds() -> dict[str, Seed]:
    """Every seed, fetched as a page over HTTP and prepared as a worker does."""
    found = {}
    with DemoServer(SEEDS) as server:
        for slug, article in WORLD.items():
            host = f"{article.outlet}:{server.port}"
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.port}/{slug}.html", headers={"Host": host}
            )
            with urllib.request.urlopen(request) as response:
                page = response.read()
            draft = Draft(
                title=article.title, text="", html=page, url=f"http://{host}/{slug}.html", lang=""
            )
            found[slug] = Seed(
                draft, prepare(draft, SETTINGS.index.params(), SETTINGS.match.policy())
            )
    return found


def _arrival(order: Sequence[int]) -> list[str]:
    """Return all slugs: the reports in this order, everything else spread between them."""
    slugs: list[str] = []
    for place, number in enumerate(order):
        slugs += OTHERS[place::4] + WALLS[place::4] + [REPORTS[number]]
        slugs += REPRINTS[place - 2 : place - 1] if place >= 2 else []
    return slugs


def _check(stories: dict[str, str | None], where: object) -> None:
    """One story of the four and their reprints, and nothing else in it; walls in none."""
    story = {stories[slug] for slug in REPORTS}
    assert len(story) == 1, (where, {slug: stories[slug] for slug in REPORTS})
    (the_story,) = story
    assert the_story is not None
    members = sorted(slug for slug, found in stories.items() if found == the_story)
    assert members == sorted(REPORTS + REPRINTS), where
    assert [slug for slug in WALLS if stories[slug]] == [], where


def test_walls_are_rejected_and_nothing_else_is(seeds: dict[str, Seed]) -> None:
    """A consent wall and a paywall teaser are no articles; all others are."""
    rejected = {s: v.prepared.reason for s, v in seeds.items() if isinstance(v.prepared, Rejected)}
    assert sorted(rejected) == WALLS
    assert set(rejected.values()) <= {"consent_wall", "paywall"}


@pytest.mark.parametrize("redis_server", ["embedded"], indirect=True)  # once is enough: 20 s
@pytest.mark.parametrize("workers", [1, 4])
def test_four_reports_are_one_story_in_every_order_of_a_replay(
    context: Context, seeds: dict[str, Seed], workers: int
) -> None:
    """All 24 orders, prepared by one and by four processes."""
    for number, order in enumerate(ORDERS):
        slugs = _arrival(order)
        records = [_record(s, seeds[s].draft, 1.8e9 + 60 * i) for i, s in enumerate(slugs)]
        with replay_steps(_context(context, f"order-{number}"), workers) as steps:
            done = steps.in_the_end(list(steps.run(records)))
        _check({str(r.record.name): r.story_id for r in done}, order)
        _check_reprints(done)


def test_four_reports_are_one_story_when_four_workers_race(
    redis_url: str, context: Context, seeds: dict[str, Seed]
) -> None:
    """All 24 orders, four processes taking articles off one queue at the same time."""
    fork = multiprocessing.get_context("fork")
    tasks, results = fork.Queue(), fork.Queue()
    racers = [fork.Process(target=_racer, args=(redis_url, seeds, tasks, results)) for _ in "1234"]
    for racer in racers:
        racer.start()
    for number, order in enumerate(ORDERS):
        raced = _context(context, f"race-{number}")
        slugs = [s for s in _arrival(order) if isinstance(seeds[s].prepared, Prepared)]
        for slug in slugs:
            tasks.put((f"race-{number}", slug))
        found = dict(results.get(timeout=60) for _ in slugs)
        now = raced.stories.stories_of({an_article(s).article_id: i for s, i in found.items()})
        stories = {slug: now[an_article(slug).article_id] for slug in found}
        _check({**dict.fromkeys(WALLS), **stories}, order)
    for _ in racers:
        tasks.put(None)
    for racer in racers:
        racer.join()


@pytest.mark.parametrize("redis_server", ["embedded"], indirect=True)  # once is enough: 30 s
def test_the_four_originals_are_one_story_also_inside_a_large_stream(
    context: Context, shared: Path
) -> None:
    """The four reference articles: alone, and after 5 647 others in the same namespace."""
    now = 1.8e9
    originals = [str(path) for path in sorted((shared / "seeds").glob("*.txt"))]
    stream = str(shared / "data" / "stories" / "stream_dev.jsonl.gz")
    for number, sources in enumerate([originals, [stream, *originals]]):
        records = dated([r for s in sources for r in _records(s, now)], now=now)
        with replay_steps(_context(context, f"originals-{number}"), workers=2) as steps:
            done = steps.in_the_end(list(steps.run(in_event_order(records))))
        four = {r.story_id for r in done if str(r.record.name) in {Path(p).stem for p in originals}}
        members = [r for r in done if r.story_id in four]
        assert (len(four), len(members)) == (1, 4)


def _records(source: str, now: float) -> Iterator[Record]:
    for record in read_source(source, now=now):
        assert isinstance(record, Record)
        yield record


def _context(context: Context, namespace: str) -> Context:
    made = Context(settings=context.settings, redis_url=context.redis_url, namespace=namespace)
    made.__dict__["client"] = context.client  # one connection pool for all namespaces
    made.check()
    return made


def _record(slug: str, draft: Draft, at: float) -> Record:
    article = article_id_of_record(slug)
    return Record(
        name=slug,
        entry_id=article,  # type: ignore[arg-type]
        article_id=article,
        at=at,
        draft=draft,
        source=WORLD[slug].outlet,
    )


def _check_reprints(done: Sequence[Replayed]) -> None:
    """The two reprints and their original are one family: two of the three copy another."""
    family = {*REPRINTS, WORLD[REPRINTS[0]].reprint_of}
    copies = {str(r.record.name): r.copy_of for r in done if r.copy_of}
    assert len(copies) == 2
    assert set(copies) | set(copies.values()) <= family


def _racer(redis_url: str, seeds: dict[str, Seed], tasks: Any, results: Any) -> None:
    while task := tasks.get():
        namespace, slug = task
        prepared = seeds[slug].prepared
        context = Context(settings=SETTINGS, redis_url=redis_url, namespace=namespace)
        attached = context.attacher.attach(
            an_article(slug, source=WORLD[slug].outlet),
            prepared.sketch,
            entry_id=ArticleId(slug),  # type: ignore[arg-type]
            now=Clock()(),
        )
        assert attached.outcome is Outcome.ATTACHED
        context.client.close()
        results.put((slug, attached.story_id))
