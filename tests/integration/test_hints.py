"""Hints through RQ: they run one function only, leave nothing behind, and may be lost or doubled."""

import contextlib
import json
import logging
import os
import signal
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from conftest import until
from intruder import push, put_job, put_unreadable
from outlet import Site
from rq.utils import now
from seeding import HEAVY_PAGE
from structlog.testing import capture_logs

from worker import jobs
from worker.archive.warc import Archive
from worker.daemon import WordLists
from worker.decode.lexicon import prior_for
from worker.hints import WORK_FUNCTION
from worker.model import Entry, EntryId, Outcome, Page
from worker.rqworker import HintWorker
from worker.settings import WorkSettings, load_settings
from worker.steps.audit import audit
from worker.steps.prepare import Draft, prepare, warm_up
from worker.store.ledger import WORK, Started
from worker.sweep import Sweep
from worker.testing import an_entry
from worker.wiring import Context

FERRY = (
    "The last ferry between Sund and Holm sails on Friday, after a hundred and ten years, since "
    "the tunnel took its passengers away. Captain Mia Roos will keep the wheel in her garden. The "
    "county sells both ships to a yard in Estland and turns the pier into a bathing place, for "
    "which the residents of Holm have collected two hundred thousand kroner since last autumn."
)

DANISH = (
    "Den sidste færge mellem Sund og Holm sejler på fredag efter hundrede og ti år, fordi tunnelen "
    "har taget dens passagerer. Kaptajnen vil have rattet stående i sin have, og kommunen sælger begge "
    "skibe til et værft og gør molen til badeplads, som beboerne har samlet penge ind til siden efteråret."
)


@pytest.fixture(scope="module", autouse=True)
def models() -> None:
    """Load what horses need once, before they are forked, as the worker does."""
    warm_up(["en"])


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """RQ's worker puts handlers of its own on signals and loggers; give back what was there."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = {number: signal.getsignal(number) for number in numbers}
    level = logging.getLogger("rq.worker").level
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    logging.getLogger("rq.worker").setLevel(level)


@pytest.fixture(autouse=True)
def job_context(context: Context) -> Iterator[None]:
    """The jobs of this process work on the test's context."""
    jobs.set_context(context)
    with capture_logs():
        yield
    assert audit(context.ledger, context.stories, context.census).offences == ()


def _work_off(
    context: Context,
    settings: WorkSettings | None = None,
    *,
    before_fork: Callable[[], None] = lambda: None,
    checks: bool = True,
) -> HintWorker:
    """Run every hint that waits, each in a horse of its own; without the check at the start or with."""
    worker = HintWorker(
        context.hints, context.ledger, settings or WorkSettings(), before_fork=before_fork
    )
    if not checks:
        worker.last_cleaned_at = now()  # type: ignore[assignment]
    worker.work(burst=True, logging_level="CRITICAL")
    return worker


def _claimed(context: Context, name: str, summary: str = FERRY) -> Entry:
    """Put an entry on the ledger that has its text and waits for the work stage."""
    entry = replace(an_entry(name), summary=summary)
    context.ledger.claim([entry], now=time.time())
    context.ledger.advance(entry.entry_id, "", now=time.time())
    return entry


def _outcome(context: Context, entry_id: EntryId) -> str:
    row = context.ledger.row(entry_id)
    assert row is not None
    return row.outcome


def _job_keys(context: Context) -> list[bytes]:
    return list(context.client.scan_iter("rq:job:*"))


def test_hint_when_worked_off_then_entries_have_their_outcome_and_no_job_is_left(
    context: Context,
) -> None:
    """A hint brings its entries to their outcome in a horse, and its job leaves no key."""
    entries = [_claimed(context, "ferry"), _claimed(context, "again")]
    context.hints.send([entry.entry_id for entry in entries], now=time.time())
    assert context.hints.waiting() == 1
    _work_off(context)
    assert [_outcome(context, entry.entry_id) for entry in entries] == ["attached", "attached"]
    assert (context.hints.waiting(), _job_keys(context)) == (0, [])


def test_hint_when_a_language_came_up_then_the_worker_has_its_words_before_the_next_horse(
    context: Context,
) -> None:
    """A word list is loaded once in the worker, not by each horse that meets the language."""
    lists = WordLists(context)
    lists.load_new()
    prior_for.cache_clear()
    for name, lists_then in (("færge", 0), ("igen", 1)):  # the first horse takes its list along
        entry = _claimed(context, name, summary=DANISH)
        context.hints.send([entry.entry_id], now=time.time())
        _work_off(context, before_fork=lists.load_new)
        assert _outcome(context, entry.entry_id) == "attached"
        assert prior_for.cache_info().currsize == lists_then
    assert context.stories.languages() == ("da",)


def test_word_lists_when_redis_is_gone_then_leave_it_for_another_time(context: Context) -> None:
    """Loading ahead is a favour: it raises nothing that would end the worker."""
    nowhere = Context(settings=context.settings, redis_url="unix:///nowhere/redis.sock")
    WordLists(nowhere).load_new()


def test_hint_when_doubled_then_changes_nothing(context: Context) -> None:
    """A second hint at settled entries is worked off without any effect on the books."""
    entry = _claimed(context, "ferry")
    context.hints.send([entry.entry_id], now=time.time())
    _work_off(context)
    counts, row = context.ledger.counts(), context.ledger.row(entry.entry_id)
    context.hints.send([entry.entry_id, entry.entry_id], now=time.time())
    _work_off(context)
    assert (context.ledger.counts(), context.ledger.row(entry.entry_id)) == (counts, row)
    assert _job_keys(context) == []


@pytest.mark.parametrize("checks", [True, False], ids=["at the start", "at run time"])
@pytest.mark.parametrize(
    "function", ["os.system", "subprocess.check_call", "worker.jobs.set_context", "builtins.exec"]
)
def test_job_when_it_names_another_function_then_is_not_run_and_the_next_one_is(
    context: Context, tmp_path: Path, function: str, *, checks: bool
) -> None:
    """A job written by hand runs nothing but the function of hints, and stops nobody."""
    trace, entry = tmp_path / "trace", _claimed(context, "ferry")
    argument = f"touch {trace}" if function == "os.system" else f"open({str(trace)!r}, 'w')"
    put_job(context.client, "intruder", function, argument)
    push(context.client, "intruder")
    context.hints.send([entry.entry_id], now=time.time())
    _work_off(context, checks=checks)
    assert not trace.exists()
    assert _outcome(context, entry.entry_id) == "attached"
    Sweep(context.hints, id).leavings()
    assert _job_keys(context) == []


def test_callbacks_webhooks_and_dependents_of_a_job_do_not_exist(
    context: Context, tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that only a job's callback names is never loaded, an address that it names never asked."""
    trace = tmp_path / "trace"
    (tmp_path / "intruder_module.py").write_text(f"open({str(trace)!r}, 'w')\ndef act(*_): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    more: dict[str, object] = {
        f"{when}_callback_name": "intruder_module.act" for when in ("success", "failure", "stopped")
    }
    statuses = ("finished", "failed")
    more["webhooks"] = json.dumps([{"url": site.url("/"), "job_status": s} for s in statuses])
    more |= {"retries_left": 5, "repeats_left": 5, "repeat_intervals": "[0]", "result_ttl": -1}
    more |= {"rate_limit_key": "k", "rate_limit_concurrency": 1, "timeout": -1, "failure_ttl": -1}
    entry = _claimed(context, "ferry")
    for name, namespace in (("good", "live"), ("foreign", "elsewhere")):
        put_job(context.client, name, WORK_FUNCTION, namespace, [entry.entry_id], **more)
        context.client.sadd(f"rq:job:{name}:dependents", "next")
        push(context.client, name)
    put_job(context.client, "next", WORK_FUNCTION, "live", [], status="deferred")
    _work_off(context)
    assert not trace.exists()
    assert site.asked == []
    assert _outcome(context, entry.entry_id) == "attached"
    assert context.client.hget("rq:job:foreign", "status") == b"failed"
    assert context.client.hget("rq:job:next", "status") == b"deferred"
    assert not context.client.exists("rq:job:good")


def test_jobs_that_cannot_be_read_never_stop_a_worker(context: Context) -> None:
    """Popped one after the other between good hints, each is passed over, and the last hint done."""
    entries = [_claimed(context, str(number)) for number in range(2)]
    context.hints.send([entries[0].entry_id], now=time.time())
    for job_id in put_unreadable(context.client):
        push(context.client, job_id)
    context.hints.send([entries[1].entry_id], now=time.time())
    _work_off(context, checks=False)
    assert [_outcome(context, entry.entry_id) for entry in entries] == ["attached", "attached"]
    Sweep(context.hints, id).leavings()
    assert (_job_keys(context), context.client.zcard("{live}:unreadable")) == ([], 15)


def test_job_when_its_hash_becomes_rubbish_while_it_runs_then_the_next_one_is_done(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status that RQ does not know, or a key of another type, met after the horse's death."""

    def spoil(draft: Draft, *_: object) -> Draft:
        if draft.title != "spoilt":
            return prepare(draft, *_)  # type: ignore[arg-type, return-value]
        with redis.Redis.from_url(context.redis_url) as client:
            for key in client.keys("rq:job:*"):
                client.hset(key, "status", "garbage") if kind == "status" else client.delete(key)
                if kind == "type":
                    client.set(key, "a string")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    monkeypatch.setattr("worker.steps.ingest.prepare", spoil)
    for kind in ("status", "type"):
        spoilt, entry = _claimed(context, "spoilt"), _claimed(context, kind)
        context.hints.send([spoilt.entry_id], now=time.time())
        worker = HintWorker(context.hints, context.ledger, WorkSettings())
        worker.work(burst=True, max_jobs=1, logging_level="CRITICAL")
        context.hints.send([entry.entry_id], now=time.time())
        _work_off(context)
        assert _outcome(context, entry.entry_id) in {"attached", "duplicate"}


def test_hint_is_json_and_everything_that_rq_keeps_of_it_has_an_end(context: Context) -> None:
    """No pickle goes to Redis, and of a failed hint nothing is left after a week, of a worker sooner."""
    context.hints.send([EntryId("0" * 16)], now=time.time())
    (key,) = _job_keys(context)
    data = zlib.decompress(context.client.hget(key, "data") or b"")
    assert json.loads(data) == ["worker.jobs.work", None, ["live", ["0" * 16]], {}]
    jobs.set_context(replace(context, namespace="elsewhere"))
    worker = _work_off(context)
    jobs.set_context(context)
    assert context.client.hget(key, "status") == b"failed"
    forever = {b"rq:queues", b"rq:workers", b"rq:failed:samestory-live"}
    ends = {k: context.client.ttl(k) for k in context.client.scan_iter("rq:*") if k not in forever}
    assert ends.pop(key) > 0
    assert ends.pop(f"rq:worker:{worker.name}".encode()) <= 90
    assert all(0 < ttl <= 7 * 86_400 for ttl in ends.values()), ends


def test_worker_logs_no_arguments(context: Context, tmp_path: Path) -> None:
    """Even a chatty log of RQ's, of a job that fails, does not show what a job was called with."""
    logger, handler = logging.getLogger("rq"), logging.FileHandler(tmp_path / "log")
    logger.addHandler(handler)
    secret = EntryId("s3cr3t")
    jobs.set_context(replace(context, namespace="elsewhere"))
    context.hints.send([secret], now=time.time())
    HintWorker(context.hints, context.ledger, WorkSettings()).work(burst=True, logging_level="INFO")
    jobs.set_context(context)
    logger.removeHandler(handler)
    handler.close()
    assert "does not work for namespace" in (tmp_path / "log").read_text()
    assert secret not in (tmp_path / "log").read_text()


def test_worker_listens_on_one_queue_under_a_name_of_its_own_and_takes_no_commands(
    context: Context,
) -> None:
    """With two queues RQ loses popped jobs; a fixed name or an open channel could be used against it."""
    ours, another = (HintWorker(context.hints, context.ledger, WorkSettings()) for _ in range(2))
    assert [queue.name for queue in ours.queues] == ["samestory-live"]
    assert ours.name != another.name
    ours.bootstrap("CRITICAL")
    assert context.client.publish(ours.pubsub_channel_name, '{"command": "shutdown"}') == 0
    assert context.hints.has_worker()
    ours.teardown()


def test_hint_at_what_is_not_on_the_ledger_does_nothing(context: Context) -> None:
    """Ids that nobody claimed, as after a lost server, leave no trace."""
    context.hints.send([EntryId("0" * 16)], now=time.time())
    _work_off(context)
    assert context.ledger.counts() == {"pending": 0, "held": 0}


@pytest.fixture
def hurried(context: Context, redis_url: str) -> Iterator[Context]:
    """A ledger that gives up after one attempt, and soon."""
    overrides = [
        f"paths.archive={context.settings.paths.archive}", "ledger.attempts=1", "ledger.lease_s=.2",
    ]  # fmt: skip
    made = Context(settings=load_settings(overrides=overrides), redis_url=redis_url)
    jobs.set_context(made)
    yield made
    made.client.close()


def _is_killed_by_the_kernel_and_given_up(context: Context, entry_id: EntryId) -> None:
    """Work an entry off twice; the first horse must die, the second time finds it once too often."""
    context.hints.send([entry_id], now=time.time())
    _work_off(context, WorkSettings(cpu_s=1))
    (killed,) = context.hints.queue.failed_job_registry.get_job_ids()
    result = context.hints.queue.fetch_job(killed).latest_result()
    assert f"signal {signal.SIGXCPU:d}" in result.exc_string
    assert _outcome(context, entry_id) == ""
    until(lambda: context.reconciler.run(now=time.time()) == () and context.hints.waiting())
    _work_off(context, WorkSettings(cpu_s=1))
    row = context.ledger.row(entry_id)
    assert row is not None
    assert (row.outcome, row.reason) == ("quarantined", "its worker died every time")


def test_entry_when_its_page_burns_the_processor_then_its_horse_is_killed_and_it_is_given_up(
    hurried: Context,
) -> None:
    """The kernel ends a horse at its limit; the next one finds the attempt counted, and gives up."""
    entry = _claimed(hurried, "heavy")
    page = Page(
        url=entry.url, final_url=entry.url, status=200, headers={"content-type": "text/html"},
        body=f"<html><body>{HEAVY_PAGE}</body></html>".encode(), fetched_at=time.time(),
    )  # fmt: skip
    archive = Archive(Path(hurried.settings.paths.archive), max_bytes=2**28)
    hurried.ledger.advance(entry.entry_id, archive.append(page), now=time.time())
    archive.close()
    _is_killed_by_the_kernel_and_given_up(hurried, entry.entry_id)


def test_entry_when_its_text_makes_a_loop_that_catches_everything_then_is_given_up_too(
    hurried: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RQ's time-out is an exception, which such a loop swallows; the kernel asks nobody."""

    def swallow(*_: object) -> None:
        while True:
            with contextlib.suppress(Exception):
                sum(range(1_000))

    monkeypatch.setattr("worker.steps.ingest.prepare", swallow)
    _is_killed_by_the_kernel_and_given_up(hurried, _claimed(hurried, "loop").entry_id)


def test_entry_when_it_hogs_memory_then_gets_an_error_instead_and_is_given_up(
    hurried: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond its limit a horse gets no memory; the attempt fails, and after the last one the entry."""
    monkeypatch.setattr("worker.steps.ingest.prepare", lambda *_: bytearray(4 * 2**30))
    entry = _claimed(hurried, "hog")
    hurried.hints.send([entry.entry_id], now=time.time())
    _work_off(hurried, WorkSettings(memory_mb=256))
    row = hurried.ledger.row(entry.entry_id)
    assert row is not None
    assert (row.outcome, row.error) == ("", "MemoryError: ")
    hurried.hints.send([entry.entry_id], now=time.time())
    _work_off(hurried)
    row = hurried.ledger.row(entry.entry_id)
    assert row is not None
    assert (row.outcome, row.reason) == ("quarantined", "MemoryError: ")


def test_worker_is_seen_while_it_listens_and_gone_after(context: Context) -> None:
    """Whether anybody listens is known from RQ, also of a worker that has just left."""
    assert not context.hints.has_worker()
    _work_off(context)
    assert not context.hints.has_worker()


def test_lease_of_another_worker_is_respected(context: Context) -> None:
    """A hint at an entry that somebody is busy with leaves it to them."""
    entry = _claimed(context, "ferry")
    assert isinstance(context.ledger.start(entry.entry_id, WORK, now=time.time()), Started)
    context.hints.send([entry.entry_id], now=time.time())
    _work_off(context)
    assert _outcome(context, entry.entry_id) == ""
    assert context.ledger.settle(entry.entry_id, Outcome.REJECTED, reason="x") == "rejected"
