"""The sweep of RQ's structures: what cannot be read, or is left over, goes; the rest stays."""

import json
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from intruder import QUEUE, push, put_job, put_unreadable
from rq.job import Job
from rq.registry import StartedJobRegistry
from structlog.testing import capture_logs

from worker.hints import HintJob, UnreadableJobError, hinted_at
from worker.model import EntryId
from worker.neighbours import own_name
from worker.rqworker import HintWorker
from worker.sweep import Sweep
from worker.wiring import Context

INTERMEDIATE = f"{QUEUE}:intermediate"
STARTED = "rq:wip:samestory-live"
REGISTRIES = ("failed", "finished", "deferred", "scheduled", "canceled", "ready")
LATER = 4e9  # a time far ahead


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What the sweep logs is not what these tests are about."""
    with capture_logs():
        yield


@pytest.fixture
def sweep(context: Context) -> Sweep:
    """The sweep of the live queue."""
    return _sweep(context)


def _sweep(context: Context, hand_back: Callable[[Job], object] = id) -> Sweep:
    return Sweep(context.hints, hand_back)


def _kept(context: Context) -> dict[str, dict[str, object]]:
    records = [json.loads(raw) for raw in context.client.zrange("{live}:unreadable", 0, -1)]
    return {record["job"]: record for record in records}


def _put_everywhere(context: Context, job_id: bytes) -> None:
    push(context.client, job_id)
    context.client.rpush(INTERMEDIATE, job_id)
    context.client.zadd(STARTED, {job_id + b":0123": LATER})
    for registry in REGISTRIES:
        context.client.zadd(f"rq:{registry}:samestory-live", {job_id: LATER})


def _members(context: Context) -> set[bytes]:
    """Return whatever is in any list or registry of the queue."""
    found = {*context.client.lrange(QUEUE, 0, -1), *context.client.lrange(INTERMEDIATE, 0, -1)}
    for registry in ("wip", *REGISTRIES):
        found.update(context.client.zrange(f"rq:{registry}:samestory-live", 0, -1))
    return found


def test_start_when_jobs_cannot_be_read_then_takes_them_out_of_everything_and_keeps_why(
    context: Context, sweep: Sweep
) -> None:
    """Of each kind of rubbish only a short record is left, and the readable job stays."""
    reasons = put_unreadable(context.client)
    for job_id in reasons:
        _put_everywhere(context, job_id)
    context.hints.send([EntryId("0" * 16)], now=time.time())
    (good,) = (raw for raw in context.client.lrange(QUEUE, -1, -1))
    sweep.everything()
    assert _members(context) == {good}
    assert set(context.client.scan_iter("rq:job:*")) == {b"rq:job:" + good}
    kept = _kept(context)
    for job_id, reason in reasons.items():
        name = ascii(job_id.decode("latin-1"))[1:-1]
        why = str(kept[name]["why"]) if name in kept else ""
        assert (reason in why) if reason else not why, (name, why)
    assert str(kept["status"]["fields"]).startswith("{'data': '[\"worker.jobs.work\"")
    assert all(len(json.dumps(record)) < 6_000 for record in kept.values())


def test_records_of_unreadable_jobs_are_bounded_in_number_and_time(
    context: Context, sweep: Sweep
) -> None:
    """However many come, the newest hundred are kept, and a week after the last none."""
    for number in range(130):
        put_job(context.client, f"job-{number}", status="garbage")
        push(context.client, f"job-{number}")
    sweep.everything()
    assert (len(_kept(context)), _members(context)) == (100, set())
    assert 0 < context.client.ttl("{live}:unreadable") <= 7 * 86_400


def test_leavings_when_a_popped_job_cannot_be_read_then_takes_it_out(
    context: Context, sweep: Sweep
) -> None:
    """What a running worker passes over is found where RQ has put it: in the intermediate list."""
    for job_id in put_unreadable(context.client):
        context.client.rpush(INTERMEDIATE, job_id)
        context.client.zadd(STARTED, {job_id + b":0123": LATER})
    sweep.leavings()
    assert _members(context) == set()
    assert len(_kept(context)) == 15


def test_popped_job_when_nobody_begins_it_then_is_handed_back_after_seconds(
    context: Context,
) -> None:
    """As when the answer to the pop was lost; whoever looks next sees how long ago it was seen first."""
    handed: list[str] = []

    def look() -> None:
        Sweep(context.hints, lambda job: handed.append(job.id)).take_over()

    for job_id in ("popped", "begun"):
        put_job(context.client, job_id, "worker.jobs.work", "live", [])
        context.client.rpush(INTERMEDIATE, job_id)
    look()
    assert 55 <= context.client.ttl("rq:job:popped") <= 60
    context.client.expire("rq:job:popped", 57)
    look()
    assert (_members(context), handed) == ({b"popped", b"begun"}, [])
    context.client.expire("rq:job:popped", 56)  # as it is four seconds later
    context.client.lrem(INTERMEDIATE, 0, b"begun")
    look()
    look()
    assert (_members(context), handed, _kept(context)) == (set(), ["popped"], {})
    assert not context.client.exists("rq:job:popped")


def test_started_job_when_its_worker_is_dead_then_is_dropped_and_a_living_one_is_not(
    context: Context, sweep: Sweep
) -> None:
    """A job whose heart stopped beating is gone; a failed one is kept until its time is over.

    Whatever the clocks of those who run them said: one is two hours ahead, one behind.
    """
    for name in ("dead", "alive"):
        put_job(context.client, name, "worker.jobs.work", "live", [], status="started")
    now = time.time()
    context.client.zadd(STARTED, {"dead:0123": now + 7_200, "alive:4567": now - 7_200})
    context.client.hset("rq:execution:alive:4567", "id", "4567")
    put_job(context.client, "failed", "worker.jobs.work", "live", [], status="failed")
    context.client.zadd("rq:failed:samestory-live", {"failed": LATER, "past": time.time() - 1})
    sweep.leavings()
    assert _members(context) == {b"alive:4567", b"failed"}
    assert not context.client.exists("rq:job:dead")


def _register(context: Context, name: str, job_id: str) -> None:
    """Let RQ know of a worker, and of a job that it has in hand."""
    for registry in ("rq:workers", "rq:workers:samestory-live"):
        context.client.sadd(registry, f"rq:worker:{name}")
    context.client.hset(f"rq:worker:{name}", "birth", "2026-03-01T00:00:00.000000Z")
    context.client.sadd(f"rq:worker:{name}:executions", f"{job_id}:0123")
    context.client.hset(f"rq:execution:{job_id}:0123", "id", "0123")
    context.client.zadd(STARTED, {f"{job_id}:0123": LATER})


def test_what_a_dead_neighbour_had_in_hand_is_handed_back_by_one_of_many_that_look(
    context: Context,
) -> None:
    """Its job goes, readable or not, and it itself; the living and the far away keep theirs."""
    machine, pid, _, draw = own_name().split("-")
    dead = f"{machine}-{pid}-1-{draw}"  # a process of that number, but of another time
    far = f"{'0' * 12}-{pid}-1-{draw}"
    put_job(context.client, "in-hand", "worker.jobs.work", "live", ["one", "two"])
    put_job(context.client, "theirs", "worker.jobs.work", "live", ["three"])
    _register(context, own_name(), "theirs")
    _register(context, far, "theirs")
    _register(context, dead, "in-hand")
    put_unreadable(context.client)
    context.client.sadd(f"rq:worker:{dead}:executions", b"garbage:0123", b"\xff:0123", b"none:0")
    handed: list[tuple[EntryId, ...]] = []
    acts = [_sweep(context, lambda job: handed.append(hinted_at(job))).take_over] * 4
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handed == [("one", "two")]
    assert {b"theirs:0123"} == _members(context) & {b"theirs:0123", b"in-hand:0123"}
    assert context.client.scard("rq:workers:samestory-live") == 2
    assert context.client.scard("rq:workers") == 2
    assert not list(context.client.scan_iter(f"rq:worker:{dead}*"))
    assert not context.client.exists("rq:job:in-hand")


def test_list_or_registry_of_another_type_is_deleted_at_the_start(
    context: Context, sweep: Sweep
) -> None:
    """With a string under the queue's name no worker could pop and no hint be sent."""
    for key in (QUEUE, INTERMEDIATE, STARTED, "rq:failed:samestory-live"):
        context.client.set(key, "no such thing")
    sweep.everything()
    context.hints.send([EntryId("0" * 16)], now=time.time())
    assert context.hints.waiting() == 1


def test_lock_of_rqs_maintenance_is_neither_heeded_nor_taken(context: Context) -> None:
    """A lock that a dead worker left keeps nobody from cleaning up, and ours never leave one."""
    lock = "rq:clean_registries:samestory-live"
    worker = HintWorker(context.hints, context.ledger, context.settings.work)
    for left in (False, True):
        if left:
            context.client.set(lock, 1, ex=899)
        put_job(context.client, "dead", "worker.jobs.work", "live", [], status="started")
        context.client.zadd(STARTED, {"dead:0123": time.time() - 1})
        worker.run_maintenance_tasks()
        assert (_members(context), context.client.exists(lock)) == (set(), int(left))


def test_sweeps_and_rqs_own_cleaning_at_once_double_nothing(context: Context) -> None:
    """Whoever cleans at the same time, as `rq info` does, no job comes back and none is kept twice."""
    for number in range(20):
        put_job(context.client, f"job-{number}", "worker.jobs.work", "live", [], status="started")
        context.client.zadd(STARTED, {f"job-{number}:0123": time.time() - 1})
        put_job(context.client, f"bad-{number}", status="garbage")
        context.client.rpush(INTERMEDIATE, f"bad-{number}")
    registry = StartedJobRegistry(queue=context.hints.queue, job_class=HintJob)
    acts = [_sweep(context).everything, _sweep(context).leavings, registry.cleanup]
    threads = [threading.Thread(target=act) for act in acts * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sweep = _sweep(context)
    sweep.everything()
    assert context.hints.waiting() == 0
    assert {name.partition("-")[0] for name in _kept(context)} == {"bad"}
    assert context.client.llen(INTERMEDIATE) == context.client.zcard(STARTED) == 0


def test_bomb_is_refused_in_little_memory(context: Context) -> None:
    """50 MB in a job of 50 kB are never unpacked, as RQ's own reading would."""
    put_unreadable(context.client)
    for name in ("bomb", "twice", "long"):
        tracemalloc.start()
        with pytest.raises(UnreadableJobError, match=r"inflated|too long|decode"):
            HintJob.fetch(name, context.client, context.hints.queue.serializer)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**20
