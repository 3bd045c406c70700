"""Workers that race: one story for one event, however many attach to it at the same moment."""

import multiprocessing
import os
import queue
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from test_attach import NOW, PARAMS, QUAKE, QUAKE_TOLD_AGAIN

from worker.model import EntryId, StoryId
from worker.settings import DAY_S, load_settings
from worker.steps.attach import membership_of
from worker.steps.audit import audit
from worker.store.index import Known, Member, Refusal
from worker.testing import a_sketch, an_article
from worker.wiring import Context

# So many of each; `RACES=500` runs more of those of sixteen workers.
PAIRS, RACES = 1_000, int(os.environ.get("RACES", "20"))
WORKERS = 16
TIMEOUT_S = 180  # for one round, on a machine that is busy with other things
APART_S = 40 * DAY_S  # between two rounds: each has a window of its own

# The same event in four phrasings of each fact. Two accounts share at most half of the sentences.
FACTS = (
    (
        "A quake of magnitude 6.1 struck the Kerevan valley before dawn.",
        "The Kerevan valley was shaken early on Tuesday, at magnitude 6.1.",
        "People in the Kerevan valley woke to an earthquake measured at 6.1.",
        "Seismographs put the tremor under the Kerevan valley at 6.1.",
    ),
    (
        "In Olvany two floors of a school came down.",
        "A school lost its upper storeys in the town of Olvany.",
        "Worst hit was Olvany, whose school partly collapsed.",
        "Olvany saw the roof and second floor of its school give way.",
    ),
    (
        "Governor Mirela Dusan spoke of eleven injured.",
        "Eleven people were hurt, according to the governor, Mirela Dusan.",
        "The number of wounded rose to eleven, Mirela Dusan told reporters.",
        "Mirela Dusan, who governs the province, counted eleven casualties.",
    ),
    (
        "A landslide blocked the road to Tarsk.",
        "Boulders and mud cut off the highway towards Tarsk.",
        "Traffic to Tarsk was halted where the slope had slipped.",
        "Nobody could reach Tarsk by car after a hillside slid.",
    ),
    (
        "Nine villages on the river Sova were without power.",
        "Along the Sova the lights went out in nine villages.",
        "Electricity failed for nine hamlets beside the Sova.",
        "The grid operator disconnected nine places near the Sova.",
    ),
    (
        "Rescue crews with dogs searched the ruins all morning.",
        "Teams combed the rubble with dogs until noon.",
        "Dogs helped the searchers to look for anyone trapped.",
        "Handlers led their dogs across the debris for hours.",
    ),
    (
        "Engineer Pavel Horst inspects the Lomnice dam today.",
        "The dam at Lomnice is being checked by Pavel Horst.",
        "Pavel Horst was sent to see whether the Lomnice dam held.",
        "Cracks in the Lomnice dam are unlikely, said Pavel Horst.",
    ),
    (
        "The ministry in Zelvar promised tents and blankets.",
        "Tents will come from Zelvar, where the ministry met.",
        "Zelvar is sending blankets by lorry, the ministry announced.",
        "From Zelvar the ministry dispatched a convoy with tents.",
    ),
)
NAMES = ("Kerevan", "Olvany", "Dusan", "Tarsk", "Sova", "Horst", "Lomnice", "Zelvar")


def _pair(number: int, worker: int) -> str:
    text = (QUAKE, QUAKE_TOLD_AGAIN)[worker % 2]
    return _elsewhere(text, number) + f" Report {worker} of round {number}."


def _copy(number: int, worker: int) -> str:
    return _elsewhere(QUAKE, number) + f" Read on at outlet {worker}."


def _account(number: int, worker: int) -> str:
    first, step = divmod(worker, 4)
    told = (fact[(first + step * place) % 4] for place, fact in enumerate(FACTS))
    return _elsewhere(" ".join(told), number)


def _elsewhere(text: str, number: int) -> str:
    """Return a text about other people and places, so that each round is an event of its own."""
    for name in NAMES:
        text = text.replace(name, f"{name}{number}x")
    return text


def test_a_thousand_races_of_two_workers_split_no_story(redis_url: str) -> None:
    """Fault F31: two processes open the same new story at the same moment: 0 splits."""
    stories = _race(redis_url, _pair, workers=2, rounds=PAIRS)
    splits = [number for number, ids in stories.items() if len(set(ids)) != 1]
    assert (len(stories), splits) == (PAIRS, [])


@pytest.mark.parametrize(("text", "reprints"), [(_copy, WORKERS - 1), (_account, 0)])
def test_sixteen_workers_with_one_new_story_make_one_story_of_sixteen(
    redis_url: str, context: Context, text: Callable[[int, int], str], reprints: int
) -> None:
    """Fault F32: one opens and all others join, be they copies or accounts of their own."""
    stories = _race(redis_url, text, workers=WORKERS, rounds=RACES)
    assert sorted(stories) == list(range(RACES))
    context.client.sadd(context.keys.langs, "en")  # settle's part
    for number, ids in stories.items():
        current = {context.stories.current(StoryId(story_id)) for story_id in ids}
        assert len(current) == 1, number
        story = context.stories.story(current.pop())
        assert story is not None
        assert (story.articles, story.reprints, story.sources) == (WORKERS, reprints, WORKERS)
    assert not [o for o in _offences(context) if o.startswith(("story", "article "))]


@pytest.mark.parametrize("after_s", [-1.0, 1.0])
def test_attach_when_the_window_ends_after_the_probe_then_joins_or_opens_and_nothing_between(
    context: Context, after_s: float
) -> None:
    """Fault F33: an index entry that gets too old between probe and attach leaves no half story."""
    first = context.attacher.attach(
        an_article("old", source="old.example"), a_sketch(QUAKE, PARAMS),
        entry_id=EntryId("old"), now=NOW,
    )  # fmt: skip
    edge = NOW + PARAMS.window_s
    last = context.attacher.attach(
        an_article("late", source="late.example", at=edge + after_s),
        a_sketch(QUAKE_TOLD_AGAIN, PARAMS), entry_id=EntryId("late"), now=edge + after_s,
    )  # fmt: skip
    again = context.attacher.attach(
        an_article("late", source="late.example", at=edge + after_s),
        a_sketch(QUAKE_TOLD_AGAIN, PARAMS), entry_id=EntryId("late"), now=edge + 2 * DAY_S,
    )  # fmt: skip
    assert again.story_id == last.story_id
    sizes = {s.story_id: s.articles for s in context.stories.newest(limit=5, lang="en")}
    joined = last.story_id == first.story_id
    assert sizes == ({first.story_id: 2} if joined else {first.story_id: 1, last.story_id: 1})


@pytest.mark.parametrize("text", [QUAKE_TOLD_AGAIN, f"{QUAKE} More soon."], ids=["account", "copy"])
@pytest.mark.parametrize("gone", ["story", "article"])
def test_attach_when_what_it_was_decided_on_expired_then_decides_again(
    context: Context, text: str, gone: str
) -> None:
    """Fault F33: a story or a text that expires between probe and attach is joined no more."""
    first = context.attacher.attach(
        an_article("old"), a_sketch(QUAKE, PARAMS), entry_id=EntryId("old"), now=NOW
    )
    article, sketch = an_article("new", source="new.example"), a_sketch(text, PARAMS)
    probe = context.index.probe("en", sketch, now=NOW)
    found = _decided(context, article, sketch, probe)
    # A story outlives its articles: each attach gives it as long as the article.
    expired = [context.keys.article("en", an_article("old").article_id)]
    expired += [context.keys.story(first.story_id)] if gone == "story" else []
    for key in expired:
        context.client.pexpireat(key, 1)  # long ago: it expires at once
    answer = context.index.attach(
        article, sketch, found, seq=probe.seq, now=NOW, entry_id=EntryId("new")
    )
    needed = gone == "story" or found.copy_of is not None
    assert answer is Refusal.CONFLICT if needed else isinstance(answer, Member)
    done = context.attacher.attach(article, sketch, entry_id=EntryId("new"), now=NOW)
    assert (done.story_id != first.story_id) is (gone == "story")
    story = context.stories.story(done.story_id)
    assert story is not None
    assert "new" in {member.ref for member in context.stories.members(done.story_id)}
    assert isinstance(
        context.index.attach(
            article, sketch, replace(found, story_id=done.story_id), seq=probe.seq, now=NOW,
            entry_id=EntryId("new"),
        ),
        Known,
    )  # fmt: skip


def _decided(context: Context, article: Any, sketch: Any, probe: Any) -> Any:
    from worker.core.stories import decide

    attacher = context.attacher
    df = context.index.frequencies("en", seq=probe.seq, now=NOW)
    decision = decide(
        sketch, probe, df=df, at=article.at, policy=attacher.policy, scorer=attacher.scorer
    )
    return membership_of(article, sketch, probe, decision, 0)


def _offences(context: Context) -> tuple[str, ...]:
    return audit(context.ledger, context.stories, context.census).offences


def _race(
    redis_url: str, text: Callable[[int, int], str], *, workers: int, rounds: int
) -> dict[int, list[str]]:
    """Let processes attach one article each of one event a round; return the stories by round."""
    fork = multiprocessing.get_context("fork")
    barrier, results = fork.Barrier(workers, timeout=TIMEOUT_S), fork.Queue()
    racers = [
        fork.Process(target=_racer, args=(redis_url, text, number, rounds, barrier, results))
        for number in range(workers)
    ]
    for racer in racers:
        racer.start()
    stories: dict[int, list[str]] = {}
    try:
        for _ in range(workers * rounds):
            number, story_id = results.get(timeout=TIMEOUT_S)
            stories.setdefault(number, []).append(story_id)
    except queue.Empty:
        for racer in racers:
            racer.kill()
        raise
    finally:
        for racer in racers:
            racer.join()
    return stories


def _racer(
    redis_url: str, text: Callable[[int, int], str], worker: int, rounds: int, barrier: Any, results: Any,
) -> None:  # fmt: skip
    context = Context(settings=load_settings(), redis_url=redis_url)
    for number in range(rounds):
        sketch = a_sketch(text(number, worker), PARAMS)
        at = NOW + number * APART_S
        barrier.wait()
        attached = context.attacher.attach(
            an_article(f"{number}-{worker}", source=f"{worker}.example", at=at),
            sketch,
            entry_id=EntryId(f"{number}-{worker}"),
            now=at,
        )
        results.put((number, attached.story_id))
