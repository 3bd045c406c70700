"""Redis in trouble: full, forgetful, slow, cut off, broken. Nothing is lost and nothing is doubled."""

import asyncio
import itertools
import random
import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import SERVERS, until
from outlet import Site, follow, poll_all, with_steps
from proxy import Fate, Proxy, proxied
from seeding import FLOOD
from servers import OwnServer, own_server
from structlog.testing import capture_logs

from worker.errors import StoreError
from worker.model import Entry, EntryId
from worker.networking import PollSteps
from worker.settings import Settings
from worker.steps.audit import audit
from worker.store.ledger import FETCH, Started
from worker.testing import Clock, an_entry
from worker.wiring import Context

LEASE_S = 10.0
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
PROGRAMS = [pytest.param(program, id=name) for name, program in sorted(SERVERS.items()) if program]


@contextmanager
def _on(url: str, settings: Settings) -> Iterator[Context]:
    """Give the live namespace of a server."""
    made = Context(settings=settings, redis_url=url)
    try:
        yield made
    finally:
        made.archive.close()
        made.client.close()


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    """A proxy in front of an empty server."""
    with proxied(redis_url) as made:
        yield made


@pytest.fixture
def cut_off(proxy: Proxy, settings: Settings) -> Iterator[Context]:
    """The live namespace as seen through the proxy."""
    with _on(proxy.url, settings) as made:
        made.check()
        yield made


def _entries(count: int, *, at: float) -> list[Entry]:
    return [
        replace(an_entry(f"flood-{n}", at=at), summary=FLOOD.replace("Oldtown", f"Town{n}ville"))
        for n in range(count)
    ]


def _take_up(context: Context, clock: Clock, entry_ids: Sequence[EntryId]) -> None:
    """Do with entries what the poll and the work role do with them."""
    ingest = replace(context.ingest(), clock=clock)
    for entry_id in entry_ids:
        if isinstance(context.ledger.start(entry_id, FETCH, now=clock()), Started):
            context.ledger.advance(entry_id, "", now=clock())
        ingest.work([entry_id])


def _settle_all(context: Context, clock: Clock) -> None:
    """Take up what is overdue, lease after lease, until nothing is pending."""
    for _ in range(20):
        clock.move(LEASE_S + 1)
        found = context.ledger.overdue(now=clock(), limit=1_000)
        _take_up(context, clock, [one.entry_id for one in found])
        if not context.ledger.counts()["pending"]:
            return
    pytest.fail(f"pending for ever: {context.ledger.counts()}")


def _nothing_lost(context: Context, entries: Sequence[Entry]) -> None:
    """Each entry was claimed once and is attached once, and all sums agree."""
    counts = context.ledger.counts()
    assert (counts["claimed"], counts["attached"]) == (len(entries), len(entries))
    assert context.stories.totals("en")["articles"] == len(entries)
    assert audit(context.ledger, context.stories, context.census).offences == ()


def test_scripts_when_forgotten_all_the_time_then_nobody_notices(
    redis_url: str, context: Context
) -> None:
    """Fault F15: a server that loses its scripts between any two commands costs no error."""
    clock, stop = Clock(), threading.Event()

    def flush() -> None:
        with _on(redis_url, context.settings) as other:
            while not stop.is_set():
                other.client.script_flush()

    flusher = threading.Thread(target=flush)
    flusher.start()
    try:
        entries = _entries(40, at=clock())
        context.ledger.claim(entries, now=clock())
        with capture_logs() as logs:
            _take_up(context, clock, [entry.entry_id for entry in entries])
    finally:
        stop.set()
        flusher.join()
    assert [line for line in logs if line["log_level"] != "info"] == []
    _nothing_lost(context, entries)


@pytest.mark.parametrize("fate", [Fate.LOST_REPLY, Fate.LOST_REQUEST])
def test_connection_when_it_breaks_again_and_again_then_every_effect_happens_once(
    proxy: Proxy, cut_off: Context, fate: Fate
) -> None:
    """Faults F16 and F17: one request in twenty, or its reply, is lost; sent again, it does no harm."""
    clock, draw = Clock(), random.Random(1)
    proxy.fate = lambda _: fate if draw.random() < 0.05 else Fate.PASS
    entries = _entries(30, at=clock())
    with capture_logs() as logs:
        for entry in entries:
            cut_off.ledger.claim([entry], now=clock())
        _take_up(cut_off, clock, [entry.entry_id for entry in entries])
        _settle_all(cut_off, clock)
    assert proxy.seen[fate] > 10
    assert [line for line in logs if line["log_level"] != "info"] == []
    _nothing_lost(cut_off, entries)


def test_hint_when_its_reply_is_lost_then_is_doubled_and_harmless(
    proxy: Proxy, cut_off: Context
) -> None:
    """Fault F16 for the queue: a hint that is sent twice finds its entry settled the second time."""
    clock, lost = Clock(), iter([Fate.LOST_REPLY])
    (entry,) = _entries(1, at=clock())
    cut_off.ledger.claim([entry], now=clock())
    proxy.fate = lambda piece: next(lost, Fate.PASS) if b"PUSH" in piece else Fate.PASS
    cut_off.hints.send([entry.entry_id], now=time.time())
    assert proxy.seen[Fate.LOST_REPLY] == 1
    assert cut_off.hints.waiting() == 2
    with capture_logs():
        for _ in range(2):
            _take_up(cut_off, clock, [entry.entry_id])
    _nothing_lost(cut_off, [entry])


def test_claim_when_redis_is_away_for_a_moment_then_the_feed_is_not_asked_again(
    proxy: Proxy, cut_off: Context, site: Site
) -> None:
    """Fault F17 for a poll: what was fetched is claimed when Redis is back, without another request."""
    site.answers["/feed"] = (200, {}, site.feed("one", "two"))
    follow(cut_off, site.url("/feed"))

    async def act(steps: PollSteps) -> None:
        proxy.fate = lambda piece: Fate.LOST_REQUEST if b"listed_all" in piece else Fate.PASS
        with capture_logs() as logs:
            polling = asyncio.create_task(poll_all(cut_off, steps))
            await asyncio.to_thread(until, lambda: [x for x in logs if x["event"] == "claim_waits"])
            proxy.fate = lambda _: Fate.PASS
            assert len(await polling) == 2

    with_steps(cut_off, act)
    assert site.paths() == ["/feed"]
    assert cut_off.ledger.counts()["claimed"] == 2


@pytest.mark.parametrize("redis_server", ["embedded"], indirect=True)  # once is enough: 7 s
def test_network_when_slow_and_lossy_then_there_are_no_errors(
    proxy: Proxy, cut_off: Context
) -> None:
    """Fault F18: 200 ms a request, and one in fifty lost on its way: slower, but nothing fails."""
    clock, draw = Clock(), random.Random(2)
    entries = _entries(8, at=clock())
    proxy.delay_s = 0.2
    proxy.fate = lambda _: Fate.LOST_REQUEST if draw.random() < 0.02 else Fate.PASS
    with capture_logs() as logs, ThreadPoolExecutor(len(entries)) as pool:
        cut_off.ledger.claim(entries, now=clock())
        for done in [pool.submit(_take_up, cut_off, clock, [e.entry_id]) for e in entries]:
            done.result()
        proxy.delay_s = 0.0
        if cut_off.ledger.counts()["pending"]:
            _settle_all(cut_off, clock)
    assert [line for line in logs if line["log_level"] != "info"] == []
    _nothing_lost(cut_off, entries)


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OwnServer]:
    """A server of the test's own, whose program the test names."""
    with own_server(request.param, tmp_path / "redis") as made:
        yield made


@pytest.fixture
def there(server: OwnServer, settings: Settings) -> Iterator[Context]:
    """The live namespace on the test's own server."""
    with _on(server.url, settings) as made:
        made.check()
        yield made


def _runbook(heading: str) -> list[str]:
    """Return the commands that the operations manual has under a heading."""
    section = OPERATIONS.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    return [line.strip() for line in section.splitlines() if line.startswith("    ")]


def _work_with_half(context: Context, clock: Clock) -> list[Entry]:
    """Claim twenty entries and settle ten of them."""
    entries = _entries(20, at=clock())
    context.ledger.claim(entries, now=clock())
    with capture_logs():
        _take_up(context, clock, [entry.entry_id for entry in entries[:10]])
    return entries


def _work_for_ever(context: Context, clock: Clock, entries: Sequence[Entry]) -> None:
    """Claim and take up entries until Redis refuses."""
    for entry in itertools.cycle(entries):
        context.ledger.claim([entry], now=clock())
        _take_up(context, clock, [entry.entry_id])
        context.hints.send([entry.entry_id], now=time.time())  # writes something each time


@pytest.mark.parametrize("server", PROGRAMS, indirect=True)
def test_append_only_file_when_its_end_is_torn_then_what_is_missing_is_done_again(
    server: OwnServer, there: Context
) -> None:
    """Fault F23: a power cut takes the last writes; each script is there whole or not at all."""
    clock = Clock()
    entries = _work_with_half(there, clock)
    server.kill()
    torn = server.aof_file()
    size = torn.stat().st_size
    with torn.open("r+b") as file:
        file.truncate(size - 5_000)
    server.start()
    assert there.ledger.counts()["attached"] < 10
    with capture_logs():
        _settle_all(there, clock)
    _nothing_lost(there, entries)


@pytest.mark.parametrize("server", PROGRAMS, indirect=True)
def test_append_only_file_when_its_middle_is_broken_then_the_runbook_mends_it(
    server: OwnServer, there: Context
) -> None:
    """Fault F24: Redis refuses to start; `redis-check-aof --fix` keeps what stands before the damage."""
    if not shutil.which("redis-check-aof"):
        pytest.skip("no redis-check-aof on this machine")
    clock = Clock()
    entries = _work_with_half(there, clock)
    server.kill()
    broken = server.aof_file()
    written = broken.read_bytes()
    damage = written.index(b"\r\n$", len(written) * 3 // 4)  # in the lengths, where it is noticed
    broken.write_bytes(written[:damage] + bytes(50) + written[damage + 50 :])
    assert server.tries_to_start() != 0
    for line in _runbook("A broken append-only file"):
        subprocess.run(
            line, shell=True, check=True, cwd=server.folder, input=b"y\n", stdout=subprocess.DEVNULL
        )
    server.start()
    there.check()
    there.ledger.claim(entries, now=clock())  # what the next polls of the feeds bring
    with capture_logs():
        _settle_all(there, clock)
    _nothing_lost(there, entries)


@pytest.mark.parametrize("server", PROGRAMS, indirect=True)
def test_append_only_file_when_it_cannot_be_written_then_writers_wait_and_nothing_is_lost(
    server: OwnServer, there: Context
) -> None:
    """Fault F25: with a full disk Redis refuses writes (MISCONF); with room again all goes on."""
    clock = Clock()
    entries = _entries(20, at=clock())
    there.ledger.claim(entries[:5], now=clock())
    server.limit_file_size(server.aof_file().stat().st_size + 10_000)
    with capture_logs(), pytest.raises(StoreError, match="AOF file"):
        _work_for_ever(there, clock, entries)
    assert there.ledger.counts()["claimed"] > 0  # it can still be read
    server.limit_file_size(resource.RLIM_INFINITY)
    until(lambda: there.client.info("persistence")["aof_last_write_status"] == "ok")
    there.ledger.claim(entries, now=clock())
    with capture_logs():
        _settle_all(there, clock)
    _nothing_lost(there, entries)
    server.kill()
    server.start()
    _nothing_lost(there, entries)


@pytest.mark.parametrize("server", PROGRAMS, indirect=True)
def test_server_when_it_hangs_then_the_caller_is_told_in_time_and_goes_on(
    server: OwnServer, settings: Settings
) -> None:
    """Faults F14 and F50: no call waits longer than its time-out, and the next one works."""
    quick = settings.model_copy(
        update={"redis": settings.redis.model_copy(update={"timeout_s": 0.5})}
    )
    with _on(server.url, quick) as context:
        clock = Clock()
        context.check()
        (entry,) = entries = _entries(1, at=clock())
        server.hang()
        with ThreadPoolExecutor(1) as pool:
            told = pool.submit(context.ledger.claim, [entry], now=clock())
            with pytest.raises(StoreError, match=r"Timeout"):
                told.result(timeout=5)  # redis-py's own habit would be eleven time-outs
        server.go_on()
        context.ledger.claim(entries, now=clock())
        with capture_logs():
            _settle_all(context, clock)
        _nothing_lost(context, entries)
