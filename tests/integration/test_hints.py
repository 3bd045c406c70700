"""Hints through RQ: they run one function only, leave nothing behind, and may be lost or doubled."""

import json
import logging
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from rq.utils import utcformat
from seeding import HEAVY_PAGE
from structlog.testing import capture_logs

from worker import jobs
from worker.archive.warc import Archive
from worker.daemon import WordLists
from worker.decode.lexicon import prior_for
from worker.model import Entry, EntryId, Outcome, Page
from worker.rqworker import HintWorker
from worker.settings import WorkSettings, load_settings
from worker.steps.audit import audit
from worker.steps.prepare import warm_up
from worker.store.ledger import WORK, Started
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
    context: Context, *, cpu_s: int = 20, before_fork: Callable[[], None] = lambda: None
) -> None:
    """Run every hint that waits, each in a horse of its own."""
    settings = WorkSettings(cpu_s=cpu_s)
    worker = HintWorker(context.hints, context.ledger, settings, before_fork=before_fork)
    worker.work(burst=True, logging_level="CRITICAL")


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


def _push_raw(
    context: Context, job_id: str, function: str, *arguments: object, **more: str
) -> None:
    """Write a job as somebody with access to Redis could."""
    queue = context.hints.queue
    now = str(utcformat(datetime.now(timezone.utc)))
    context.client.hset(
        f"rq:job:{job_id}",
        mapping={
            "data": json.dumps([function, None, list(arguments), {}]),
            "origin": queue.name,
            "created_at": now,
            "enqueued_at": now,
            "status": "queued",
            "timeout": 60,
            "failure_ttl": 60,
            **more,
        },
    )
    context.client.sadd("rq:queues", queue.key)
    context.client.rpush(queue.key, job_id)


def test_hint_when_worked_off_then_entries_have_their_outcome_and_no_job_is_left(
    context: Context,
) -> None:
    """A hint brings its entries to their outcome in a horse, and its job leaves no key."""
    entries = [_claimed(context, "ferry"), _claimed(context, "again")]
    context.hints.send([entry.entry_id for entry in entries])
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
        context.hints.send([entry.entry_id])
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
    context.hints.send([entry.entry_id])
    _work_off(context)
    counts, row = context.ledger.counts(), context.ledger.row(entry.entry_id)
    context.hints.send([entry.entry_id, entry.entry_id])
    _work_off(context)
    assert (context.ledger.counts(), context.ledger.row(entry.entry_id)) == (counts, row)
    assert _job_keys(context) == []


@pytest.mark.parametrize(
    "function", ["os.system", "subprocess.check_call", "worker.jobs.set_context", "builtins.exec"]
)
def test_job_when_it_names_another_function_then_is_not_run_and_the_next_one_is(
    context: Context, tmp_path: Path, function: str
) -> None:
    """A job written by hand runs nothing that is not on the list, and stops nobody."""
    trace, entry = tmp_path / "trace", _claimed(context, "ferry")
    argument = f"touch {trace}" if function == "os.system" else f"open({str(trace)!r}, 'w')"
    _push_raw(context, "intruder", function, argument)
    context.hints.send([entry.entry_id])
    _work_off(context)
    assert not trace.exists()
    assert context.client.hget("rq:job:intruder", "status") == b"failed"
    assert _outcome(context, entry.entry_id) == "attached"


def test_callbacks_and_webhooks_of_a_job_are_neither_imported_nor_called(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that only a job's callback names is never loaded, whether the job ends well or not."""
    trace = tmp_path / "trace"
    (tmp_path / "intruder.py").write_text(f"open({str(trace)!r}, 'w').close()\ndef act(*_): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    names = {f"{when}_callback_name": "intruder.act" for when in ("success", "failure", "stopped")}
    entry = _claimed(context, "ferry")
    _push_raw(context, "good", "worker.jobs.work", "live", [entry.entry_id], **names)
    _push_raw(context, "bad", "intruder.act", **names)
    _push_raw(context, "foreign", "worker.jobs.work", "elsewhere", [entry.entry_id], **names)
    _work_off(context)
    assert not trace.exists()
    assert _outcome(context, entry.entry_id) == "attached"
    assert context.client.hget("rq:job:foreign", "status") == b"failed"
    assert context.client.hget("rq:job:bad", "status") == b"failed"


@pytest.mark.parametrize(
    "data", [b"\x80\x04K\x01.", b"[]", b"null", b"", b'["worker.jobs.work"]', b"\xff\xfe"]
)
def test_job_when_its_data_is_no_job_then_the_next_one_is_done(
    context: Context, data: bytes
) -> None:
    """Pickle, rubbish and emptiness in a job hash stop no worker."""
    entry = _claimed(context, "ferry")
    _push_raw(context, "rubbish", "worker.jobs.work")
    context.client.hset("rq:job:rubbish", "data", data)
    context.hints.send([entry.entry_id])
    _work_off(context)
    assert _outcome(context, entry.entry_id) == "attached"


def test_hint_at_what_is_not_on_the_ledger_does_nothing(context: Context) -> None:
    """Ids that nobody claimed, as after a lost server, leave no trace."""
    context.hints.send([EntryId("0" * 16)])
    _work_off(context)
    assert context.ledger.counts() == {"pending": 0, "held": 0}


def test_entry_when_its_page_burns_the_processor_then_its_horse_is_killed_and_it_is_given_up(
    context: Context, redis_url: str
) -> None:
    """The kernel ends a horse at its limit; the next one finds the attempt counted, and gives up."""
    overrides = [
        f"paths.archive={context.settings.paths.archive}", "ledger.attempts=1", "ledger.lease_s=.2",
    ]  # fmt: skip
    hurried = Context(settings=load_settings(overrides=overrides), redis_url=redis_url)
    jobs.set_context(hurried)
    entry = _claimed(hurried, "heavy")
    page = Page(
        url=entry.url, final_url=entry.url, status=200, headers={"content-type": "text/html"},
        body=f"<html><body>{HEAVY_PAGE}</body></html>".encode(), fetched_at=time.time(),
    )  # fmt: skip
    archive = Archive(Path(context.settings.paths.archive), max_bytes=2**28)
    hurried.ledger.advance(entry.entry_id, archive.append(page), now=time.time())
    archive.close()
    hurried.hints.send([entry.entry_id])
    _work_off(hurried, cpu_s=1)
    (killed,) = hurried.hints.queue.failed_job_registry.get_job_ids()
    result = hurried.hints.queue.fetch_job(killed).latest_result()
    assert f"signal {signal.SIGXCPU:d}" in result.exc_string
    assert _outcome(hurried, entry.entry_id) == ""
    hurried.hints.send([entry.entry_id])
    _work_off(hurried, cpu_s=1)
    row = hurried.ledger.row(entry.entry_id)
    assert row is not None
    assert (row.outcome, row.reason) == ("quarantined", "its worker died every time")
    hurried.client.close()


def test_worker_is_seen_while_it_listens_and_gone_after(context: Context) -> None:
    """Whether anybody listens is known from RQ, also of a worker that has just left."""
    assert not context.hints.has_worker()
    _work_off(context)
    assert not context.hints.has_worker()


def test_lease_of_another_worker_is_respected(context: Context) -> None:
    """A hint at an entry that somebody is busy with leaves it to them."""
    entry = _claimed(context, "ferry")
    assert isinstance(context.ledger.start(entry.entry_id, WORK, now=time.time()), Started)
    context.hints.send([entry.entry_id])
    _work_off(context)
    assert _outcome(context, entry.entry_id) == ""
    assert context.ledger.settle(entry.entry_id, Outcome.REJECTED, reason="x") == "rejected"
