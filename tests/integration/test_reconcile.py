"""Reconcile: what was left lying is hinted at again, on its own if it was tried before."""

import json
import zlib

from structlog.testing import capture_logs

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
