"""Reconcile: what was left lying is hinted at again, on its own if it was tried before."""

import json
import math
import zlib

from structlog.testing import capture_logs

from worker.hints import Oldest
from worker.model import EntryId
from worker.store.ledger import WORK, Started
from worker.testing import Clock, an_entry
from worker.wiring import Context

LEASE_S = 10.0


def _waiting(context: Context, clock: Clock, *names: str) -> list[EntryId]:
    """Put entries on the ledger that wait for the work stage."""
    entries = [an_entry(name) for name in names]
    context.ledger.claim(entries, now=clock())
    for entry in entries:
        context.ledger.advance(entry.entry_id, "", now=clock())
    return [entry.entry_id for entry in entries]


def _hinted(context: Context) -> list[list[str]]:
    """Return the entries that each hint names."""
    client = context.client
    job_ids = client.lrange(context.hints.queue.key, 0, -1)
    data = [client.hget(b"rq:job:" + job_id, "data") for job_id in job_ids]
    return [json.loads(zlib.decompress(one))[2][1] for one in data if one]


def test_entry_that_was_tried_before_is_hinted_at_alone(context: Context) -> None:
    """A page that kills its worker had fifteen others with it once, and has none the next time."""
    clock = Clock()
    poison, *others = _waiting(context, clock, "poison", *"abc")
    assert isinstance(context.ledger.start(poison, WORK, now=clock()), Started)
    clock.move(LEASE_S + 1)  # its worker died
    with capture_logs():
        assert context.reconciler.run(now=clock()) == ()
    assert sorted(map(sorted, _hinted(context))) == sorted([[poison], sorted(others)])


def test_entry_is_hinted_at_once_a_lease(context: Context) -> None:
    """Any number of nodes may look; the one that finds an entry has it for a lease."""
    clock = Clock()
    entry_ids = _waiting(context, clock, *"abc")
    clock.move(LEASE_S + 1)
    with capture_logs():
        for _ in range(3):
            context.reconciler.run(now=clock())
    assert list(map(sorted, _hinted(context))) == [sorted(entry_ids)]


def test_entry_whose_hint_still_waits_is_not_hinted_at_again(context: Context) -> None:
    """In a queue longer than a lease each entry is told of once, not once a lease."""
    clock = Clock()
    first = _waiting(context, clock, "first")
    context.reconciler.send(first, now=clock())
    clock.move(1)
    second = _waiting(context, clock, "second")
    context.reconciler.send(second, now=clock())
    clock.move(LEASE_S + 1)
    with capture_logs():
        context.reconciler.run(now=clock())
        assert _hinted(context) == [first, second]
        context.client.lpop(context.hints.queue.key)  # a worker took it, and died
        clock.move(LEASE_S + 1)
        context.reconciler.run(now=clock())
        assert _hinted(context) == [first, second]  # told again, before what waits
        context.client.lpop(context.hints.queue.key)
        clock.move(LEASE_S + 1)
        context.reconciler.run(now=clock())
    assert _hinted(context) == [first, second]


def test_ids_of_jobs_that_are_no_hints_of_ours_hide_no_entry(context: Context) -> None:
    """Whoever may write to the queue cannot make reconcile wait for a hint that is none."""
    clock = Clock()
    entry_ids = _waiting(context, clock, "one")
    clock.move(LEASE_S + 1)
    context.client.rpush(context.hints.queue.key, "n00000000000zz-00000000", b"\xff", "x")
    assert context.hints.oldest() == Oldest(new=math.inf, again=math.inf)
    with capture_logs():
        context.reconciler.run(now=clock())
    assert context.client.lindex(context.hints.queue.key, 0).startswith(b"a1800000011000-")
    assert context.client.hget(context.keys.entry(entry_ids[0]), "again") == b"1"


def test_worker_takes_up_what_waits_for_work_and_leaves_pages_to_the_poller(
    context: Context,
) -> None:
    """While no poller lives, entries of dead workers are hinted at all the same."""
    clock = Clock()
    work = _waiting(context, clock, "work")
    page = an_entry("page")
    context.ledger.claim([page], now=clock())
    clock.move(LEASE_S + 1)
    with capture_logs():
        context.reconciler.hint_again(now=clock())
        assert _hinted(context) == [work]
        assert context.reconciler.run(now=clock()) == (page.entry_id,)
