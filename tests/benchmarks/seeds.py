"""Are the seeds one story, whatever is around them? `python tests/benchmarks/seeds.py`.

The 33 150 background articles and the labelled stream, as they are dated, make one stream of 38 797,
replayed with the real pipeline and an embedded Redis. At PLACES in each of the two the data of Redis
are copied, and every trial runs in a copy of its own: the seeds arrive in random order, at random
moments of the next two days of the stream. A trial holds when the reports and their reprints are
one story with nothing else in it. What does not hold is printed with its decisions; exit 1.

The seeds are the project's own (their 24 articles but for walls) and the four reference texts in
../shared/seeds, in trials apart: they tell of the same event.

`--days 6` asks for more: the whole stream is drawn together into six days, so that the index, whose
window is seven, forgets nothing, and articles on the seeds' countries that are years apart meet.

Takes the better part of an hour on two cores. Options: --trials, how many at each place and
for each kind of seeds; --only one of SOURCES; --days; --workers.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import product
from pathlib import Path

import redis
from bench import SHARED, say

from worker.core.entries import article_id_of_record
from worker.core.evidence import unpack
from worker.demo import load_world
from worker.embedded import EmbeddedRedis
from worker.model import EntryId
from worker.settings import load_settings
from worker.steps.prepare import Draft
from worker.steps.records import Record, in_event_order, read_source
from worker.steps.replay import Replayed
from worker.wiring import Context, replay_steps

SOURCES = ("background/abp_33k", "stories/stream_dev")
PLACES = 5  # in each of them, evenly spaced
SPREAD_S = 2 * 86_400.0  # in which the seeds arrive
START_AT = 1_546_300_800.0  # 1 January 2019; any moment does
WORLD_SEEDS = Path(__file__).parents[2] / "seeds"
ONE_STORY, STRANGERS = ("report", "reprint"), ("distractor",)


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """Texts to mix into the stream, and which of them are one story."""

    kind: str
    records: Sequence[Record]
    together: frozenset[str]


def main() -> None:
    """Fill, try, tell."""
    options = _options()
    stream, places = _stream(options.only or SOURCES, options.days)
    kinds = [_own(), _reference()]
    failed, filled, tried = 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="samestory-seeds-") as folder:
        data = Path(folder) / "filled"
        for place in places:
            with EmbeddedRedis(data) as url:
                _replay(url, stream[filled:place], options.workers)
                _compact(url)
            filled = place
            say(f"{place} articles, the last of {_day(stream[place])}")
            for number, seeds in product(range(options.trials), kinds):
                trial = _mixed(stream[place:], seeds, random.Random(f"{place} {number}"))
                wrong = _try(data, trial, seeds, options.workers)
                tried, failed = tried + 1, failed + bool(wrong)
                print(f"{place} {seeds.kind} {number}: {wrong or 'one story'}", flush=True)
    print(f"{failed} of {tried} trials failed")
    raise SystemExit(1 if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--only", nargs="*", metavar="SOURCE", help=f"of {SOURCES}")
    parser.add_argument("--days", type=float, default=0.0)
    parser.add_argument("--workers", type=int, default=2)
    options: argparse.Namespace = parser.parse_args()
    if not (SHARED / "data").is_dir():
        parser.error("no development data; it lies beside the project, in ../shared")
    return options


def _stream(sources: Sequence[str], days: float) -> tuple[list[Record], list[int]]:
    """Return the articles of all sources in event order, and the places at which trials begin."""
    stream: list[Record] = []
    places: list[int] = []
    for source in sources:
        records = in_event_order(_records(str(SHARED / "data" / f"{source}.jsonl.gz")))
        places += [len(stream) + int((n + 0.5) / PLACES * len(records)) for n in range(PLACES)]
        if days:
            step = days * 86_400.0 / len(records)
            records = [replace(r, at=START_AT + step * n) for n, r in enumerate(records)]
        stream += records
    return in_event_order(stream), places


def _day(record: Record) -> str:
    return datetime.fromtimestamp(_at(record), timezone.utc).date().isoformat()


def _at(record: Record) -> float:
    return record.at or START_AT


def _records(source: str) -> Iterator[Record]:
    return (r for r in read_source(source, now=START_AT) if isinstance(r, Record))


def _reference() -> Seeds:
    texts = sorted((SHARED / "seeds").glob("*.txt"))
    records = [record for path in texts for record in _records(str(path))]
    return Seeds(
        kind="reference", records=records, together=frozenset(str(r.name) for r in records)
    )


def _own() -> Seeds:
    articles = [a for a in load_world(WORLD_SEEDS).articles if a.kind in ONE_STORY + STRANGERS]
    records = [
        Record(
            name=a.slug,
            entry_id=EntryId(article_id_of_record(a.slug)),
            article_id=article_id_of_record(a.slug),
            at=None,
            draft=Draft(title=a.title, text="\n".join(a.paragraphs), html=b"", url="", lang=""),
            source=a.outlet,
        )
        for a in articles
    ]
    together = frozenset(a.slug for a in articles if a.kind in ONE_STORY)
    return Seeds(kind="own", records=records, together=together)


def _mixed(stream: Sequence[Record], seeds: Seeds, draw: random.Random) -> list[Record]:
    """Return the next days of the stream with the seeds in them, at random moments."""
    begins = _at(stream[0])
    days = [r for r in stream if _at(r) <= begins + SPREAD_S]
    seeds_at = [replace(r, at=begins + draw.random() * SPREAD_S) for r in seeds.records]
    return in_event_order([*days, *seeds_at])


def _replay(url: str, records: Sequence[Record], workers: int) -> list[Replayed]:
    context = Context(settings=load_settings(), redis_url=url, namespace="seeds")
    context.check()
    with replay_steps(context, workers) as steps:
        return steps.in_the_end(list(steps.run(records)))


def _compact(url: str) -> None:
    """Rewrite the append-only file, so that a copy of it is small and soon read."""
    with redis.Redis.from_url(url) as client:
        while client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.1)
        client.bgrewriteaof()
        while client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.1)


def _try(filled: Path, trial: Sequence[Record], seeds: Seeds, workers: int) -> str:
    """Return what is wrong with the seeds' story in a copy of the index, or nothing."""
    copy = filled.parent / "trial"
    shutil.copytree(filled, copy, ignore=shutil.ignore_patterns("*.sock", "*.lock"))
    try:
        with EmbeddedRedis(copy) as url:
            done = {str(r.record.name): r for r in _replay(url, trial, workers)}
            context = Context(settings=load_settings(), redis_url=url, namespace="seeds")
            stories = {done[name].story_id for name in seeds.together} - {None}
            members = {m.ref: m for s in stories if s for m in context.stories.members(s)}
            if len(stories) == 1 and members.keys() == seeds.together:
                return ""
            blame = sorted(members) if len(stories) > 1 else sorted(members.keys() - seeds.together)
            told = [f"{n} -> {members[n].story_id}: {unpack(members[n].evidence)}" for n in blame]
            lost = sorted(seeds.together - members.keys())
            return "\n  ".join([f"{len(stories)} stories, without {lost}", *told])
    finally:
        shutil.rmtree(copy)


if __name__ == "__main__":
    sys.exit(main())
