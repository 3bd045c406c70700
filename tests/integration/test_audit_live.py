"""The audit of a live system: whatever order things happen in, and while they happen, it agrees."""

import multiprocessing
import random
import time
from dataclasses import replace

import pytest
from seeding import attach

from worker.model import ArticleId, Outcome, StoryId
from worker.settings import load_settings
from worker.steps.audit import audit
from worker.steps.repair import repair
from worker.store.index import ANY_VERSION, Membership, Refusal
from worker.store.ledger import FETCH
from worker.testing import a_sketch, an_article, an_entry
from worker.wiring import Context

PARAMS = load_settings().index.params()
EVENTS = 6
WORDS = (
    "bridge", "harbour", "festival", "strike", "wildfire", "election", "museum", "tunnel", "mayor",
    "police", "court", "school", "river", "engine", "market", "union", "doctor", "budget", "season",
)  # fmt: skip


def _offences(context: Context) -> tuple[str, ...]:
    return audit(context.ledger, context.stories, context.census).offences


def _account(draw: random.Random, event: int) -> str:
    """Return one account of an event: its names in words of its own."""
    told = [
        f"{draw.choice(WORDS)} {draw.choice(WORDS)} Person{event}son {draw.choice(WORDS)} "
        f"Placeton{event} Lake{event}x{draw.randrange(8)} {draw.choice(WORDS)} {draw.choice(WORDS)}."
        for _ in range(draw.randint(6, 14))
    ]
    return " ".join(told)


def _force(context: Context, name: str, text: str, *, into: StoryId, opens: bool) -> None:
    """Make an article a member where it would not go by itself: what merges and splits undo."""
    now, sketch = time.time(), a_sketch(text, PARAMS)
    article, entry = an_article(name, source=f"{name}.example", at=now), an_entry(name, at=now)
    context.ledger.claim([replace(entry, article_id=article.article_id)], now=now)
    forced = Membership(
        story_id=into, version=0 if opens else ANY_VERSION, copy_of=None, score=0.0, evidence=b"",
        exemplars=(sketch.vector,) if opens else (), exemplar_ids=(article.article_id,) * opens,
    )  # fmt: skip
    answer: object = Refusal.CONFLICT
    while answer is Refusal.CONFLICT:
        seq = context.index.probe("en", sketch, now=now).seq
        answer = context.index.attach(
            article, sketch, forced, seq=seq, now=now, entry_id=entry.entry_id
        )
    context.ledger.settle(entry.entry_id, Outcome.ATTACHED, reason="new_story", story_id=into)


def _tend(context: Context, draw: random.Random, text: str, opens: StoryId) -> str:
    """Merge the stories of an event, or take two articles out of one, more often than by itself."""
    now = time.time()
    probe = context.index.probe("en", a_sketch(text, PARAMS), now=now)
    stories = sorted(probe.stories, key=lambda s: -s.size)
    if len(stories) > 1 and draw.random() < 0.2:
        profile, bridge = (stories[0].exemplars, stories[0].exemplar_ids), ArticleId("0" * 16)
        if context.index.merge(stories[0], stories[1], profile, bridge=bridge, now=now):
            return "merge"
    elif stories and len(stories[0].exemplars) > 2 and draw.random() < 0.5:
        moved = stories[0].exemplar_ids[-2:]
        if context.index.split(stories[0], moved, opens=opens, now=now):
            return "split"
    return ""


@pytest.mark.parametrize("seed", range(3))
def test_articles_of_any_order_with_merges_and_splits_are_in_order_at_every_step(
    context: Context, seed: int
) -> None:
    """Whatever the steps make of some dozens of articles, their books agree, also half-way."""
    draw = random.Random(seed)
    happened: dict[str, int] = {}
    for number in range(48):
        event = draw.randrange(EVENTS)
        text = _account(draw, event)
        if draw.random() < 0.2:
            opened = StoryId(f"en-{number:012x}")
            _force(context, f"n{number}", text, into=opened, opens=True)
        else:
            attach(context, f"n{number}", text)
        done = _tend(context, draw, text, StoryId(f"en-{number + 99:012x}"))
        happened[done] = happened.get(done, 0) + 1
        if number % 6 == 0:
            assert _offences(context) == ()
    assert happened.keys() >= {"merge", "split"}
    assert _offences(context) == ()
    mended = repair(context.ledger, context.stories, context.census, context.archive)
    assert mended.repairs == ()


def test_audit_while_two_processes_work_never_cries_wolf(context: Context) -> None:
    """Claims, attaches, merges, splits, quarantine and retries go on under its eyes."""
    fork = multiprocessing.get_context("fork")
    context.client.connection_pool.disconnect()
    workers = [
        fork.Process(target=_busy, args=(context.redis_url, number, 60)) for number in range(2)
    ]
    for worker in workers:
        worker.start()
    audits = 0
    while any(worker.is_alive() for worker in workers):
        assert _offences(context) == ()
        audits += 1
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert audits > 3
    report = repair(context.ledger, context.stories, context.census, context.archive)
    assert (report.offences, report.repairs) == ((), ())
    assert report.sums["attached"] > 90


def _busy(redis_url: str, worker: int, articles: int) -> None:
    context = Context(settings=load_settings(), redis_url=redis_url)
    draw = random.Random(worker)
    for number in range(articles):
        name = f"w{worker}-{number}"
        text = _account(draw, draw.randrange(EVENTS))
        if number % 10 == 0:
            _force(
                context, name, text, into=StoryId(f"en-{worker + 1:04x}{number:08x}"), opens=True
            )
        elif number % 10 == 5:
            entry = an_entry(name, at=time.time())
            context.ledger.claim([entry], now=time.time())
            context.ledger.start(entry.entry_id, FETCH, now=time.time())
            context.ledger.give_up(entry.entry_id, "broken", now=time.time())
            context.ledger.release(entry.entry_id, now=time.time(), drop=number % 20 == 5)
            context.ledger.settle(entry.entry_id, Outcome.REJECTED, reason="too_short")
        else:
            attach(context, name, text)
            attach(context, f"shared-{number}", text)  # the other one attaches it too
            _tend(context, draw, text, StoryId(f"en-{worker + 1:04x}{number + 4096:08x}"))
