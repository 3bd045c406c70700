"""Workers that are killed, told to end, or lose Redis, as real processes with signals and a server.

A worker is held at a place of its work by tests/gate; the test itself reconciles, as `poll` would.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import redis
from conftest import SERVERS, until
from intruder import push, put_unreadable
from program import command, environment, furnish
from seeding import FLOOD
from structlog.testing import capture_logs

from worker.model import EntryId
from worker.settings import load_settings
from worker.steps.audit import audit
from worker.supervisor import Supervisor
from worker.testing import an_entry
from worker.wiring import Context

GATE = Path(__file__).parents[1] / "gate"
PROGRAM = next((program for program in SERVERS.values() if program), "")
LEASE_S = 3.0  # of the entries; short, because a test waits for one to end
LONG_S = 600.0  # or so long that no test could


@dataclass
class Server:
    """A Redis of a test's own, to be killed, frozen and brought back."""

    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"unix://{self.folder}/redis.sock?db=0"

    def start(self) -> None:
        """Start it, on what it had written, and wait until it answers."""
        options = ["--port", "0", "--unixsocket", f"{self.folder}/redis.sock", "--save", ""]
        options += ["--dir", str(self.folder), "--appendonly", "yes"]
        self.process = subprocess.Popen([PROGRAM, *options], stdout=subprocess.DEVNULL)
        until(self._answers)

    def kill(self) -> None:
        """Kill it, and wait until it is dead."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, retry=None) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


@dataclass
class Scene:
    """A server, a home for the program, gates, and a look into both from outside."""

    server: Server
    home: Path
    lease_s: float = LEASE_S
    running: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gates = self.home / "gates"
        self.gates.mkdir()
        overrides = [f"ledger.lease_s={self.lease_s}", f"paths.archive={self.home}/var/archive"]
        self.context = Context(load_settings(overrides=overrides), self.server.url)
        self.context.check()

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a worker, or whatever else, and wait until somebody listens."""
        path = os.pathsep.join([str(GATE), *filter(None, [os.environ.get("PYTHONPATH")])])
        known = self.workers()
        with (self.home / "log").open("ab") as log:
            process = subprocess.Popen(
                command(f"--set=ledger.lease_s={self.lease_s}", *arguments),
                cwd=self.home,
                env=environment(self.server.url, GATES=str(self.gates), PYTHONPATH=path),
                stdout=log,
                stderr=log,
            )
        self.running.append(process)
        until(lambda: bool(self.workers() - known) or process.poll() is not None, timeout_s=60)
        assert process.poll() is None, self.log()
        return process

    def workers(self) -> set[bytes]:
        """Return the keys of the workers that have registered."""
        return set(self.context.client.smembers("rq:workers"))

    def close(self, place: str) -> None:
        """Let whoever comes to this place wait there."""
        (self.gates / f"{place}.closed").touch()

    def open(self, place: str) -> None:
        """Let whoever waits there go on."""
        (self.gates / f"{place}.closed").unlink()

    def held(self, place: str) -> int:
        """Wait until a process is held, and return its id."""
        found: list[Path] = []

        def look() -> bool:
            found[:] = [p for p in self.gates.glob(f"{place}.*") if p.suffix != ".closed"]
            return bool(found)

        until(look, timeout_s=60)
        found[0].unlink()
        return int(found[0].suffix[1:])

    def hint(self, *names: str) -> list[EntryId]:
        """Put entries that have their text on the ledger, and hint at them."""
        entries = [replace(an_entry(name), summary=FLOOD) for name in names]
        ids = list(self.context.ledger.claim(entries, now=time.time()))
        for entry_id in ids:
            self.context.ledger.advance(entry_id, "", now=time.time())
        self.context.hints.send(ids, now=time.time())
        return ids

    def outcome(self, entry_id: EntryId) -> str:
        """Return what became of an entry; empty while it is pending."""
        row = self.context.ledger.row(entry_id)
        assert row is not None
        return row.outcome

    def attempts(self, entry_id: EntryId) -> int:
        """Return how often an entry was begun."""
        row = self.context.ledger.row(entry_id)
        assert row is not None
        return row.attempts

    def finish(self, *entry_ids: EntryId) -> None:
        """Reconcile until the entries are attached, each once."""

        def done() -> bool:
            with capture_logs():
                self.context.reconciler.run(now=time.time())
            return all(self.outcome(entry_id) for entry_id in entry_ids)

        until(done, timeout_s=60)
        assert [self.outcome(entry_id) for entry_id in entry_ids] == ["attached"] * len(entry_ids)
        counts = self.context.ledger.counts()
        assert (counts["claimed"], counts["attached"]) == (len(entry_ids),) * 2
        assert audit(self.context.ledger, self.context.stories, self.context.census).offences == ()

    def log(self) -> str:
        """Return what the processes wrote."""
        return (self.home / "log").read_text()

    def restarts(self) -> int:
        """Return how many children the supervisor found ended."""
        return self.log().count('"child_ended"')


@contextmanager
def _scene(tmp_path: Path, lease_s: float = LEASE_S) -> Iterator[Scene]:
    folder = Path(tempfile.mkdtemp(prefix="samestory-"))  # a path short enough for a socket
    server = Server(folder)
    server.start()
    made = Scene(server, furnish(tmp_path), lease_s)
    try:
        yield made
    finally:
        for process in made.running:
            process.kill()
            process.wait()
        made.context.client.close()
        server.kill()
        shutil.rmtree(folder)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A scene with a short lease."""
    with _scene(tmp_path) as made:
        yield made


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Scene]:
    """A scene whose leases end in no test by themselves."""
    with _scene(tmp_path, LONG_S) as made:
        yield made


def _stat(pid: int) -> list[str]:
    """Return what the kernel says of a process after its name: state, parent and more."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()


def _gone(pid: int) -> bool:
    """Say whether a process is dead, whoever may have to bury it."""
    try:
        return _stat(pid)[0] == "Z"
    except OSError:
        return True


def _parent(pid: int) -> int:
    """Return the id of a process's parent."""
    return int(_stat(pid)[1])


# --- killed -----------------------------------------------------------------------------------


def test_worker_when_killed_then_its_horse_dies_with_it_and_another_worker_does_the_rest(
    scene: Scene,
) -> None:
    """No orphan goes on with a job that another worker takes up; the other one starts at once."""
    worker = scene.start("work", "--single")
    scene.close("started")
    entries = scene.hint("flood")
    horse = scene.held("started")
    worker.kill()
    until(lambda: _gone(horse))
    scene.open("started")
    scene.start("work", "--single")
    scene.finish(*entries)
    assert scene.context.client.zcard("{live}:pending") == 0


def test_worker_when_killed_then_a_neighbour_takes_over_before_any_lease_ends(
    patient: Scene,
) -> None:
    """Who lives on the same machine sees that it is dead, and nothing of it is left in Redis."""
    worker = patient.start("work", "--single")
    patient.close("started")
    entries = patient.hint("flood", "later", "latest")
    patient.held("started")
    patient.start("work", "--single")
    dead, _ = sorted(patient.workers(), key=lambda key: f"-{worker.pid}-" not in key.decode())
    worker.kill()
    patient.open("started")
    until(lambda: all(map(patient.outcome, entries)), timeout_s=60)
    assert dead not in patient.workers()
    assert not list(patient.context.client.scan_iter(dead + b"*"))
    patient.finish(*entries)


def test_horse_when_killed_then_its_worker_goes_on_and_the_entry_is_tried_again(
    scene: Scene,
) -> None:
    """As when the system is out of memory: the attempt counts, and the next one succeeds."""
    worker = scene.start("work", "--single")
    scene.close("started")
    (entry,) = scene.hint("flood")
    os.kill(scene.held("started"), signal.SIGKILL)
    until(lambda: scene.context.client.zcard("rq:failed:samestory-live"))
    assert scene.attempts(entry) == 1
    scene.open("started")
    scene.finish(entry)
    assert worker.poll() is None


def test_worker_when_killed_between_pop_and_note_then_the_ledger_brings_the_entry_back(
    scene: Scene,
) -> None:
    """RQ would need a minute to find the job, or never, with a second queue; nobody waits for it."""
    worker = scene.start("work", "--single")
    scene.close("popped")
    entries = scene.hint("flood")
    scene.held("popped")
    assert scene.context.client.llen("rq:queue:samestory-live:intermediate") == 1
    worker.kill()
    scene.open("popped")
    scene.start("work", "--single")
    scene.finish(*entries)


def test_horse_when_killed_after_the_attach_then_the_next_attempt_changes_nothing(
    scene: Scene,
) -> None:
    """The article is in its story, its entry unsettled: the second attempt settles it, no more."""
    scene.start("work", "--single")
    scene.close("attached")
    (entry,) = scene.hint("flood")
    horse = scene.held("attached")
    before = {k: scene.context.client.dump(k) for k in scene.context.client.keys("{live:en}:*")}
    os.kill(horse, signal.SIGKILL)
    scene.open("attached")
    scene.finish(entry)
    after = {k: scene.context.client.dump(k) for k in scene.context.client.keys("{live:en}:*")}
    assert len(before) > 5
    assert after == before


# --- leases -----------------------------------------------------------------------------------


def test_lease_is_kept_while_the_horse_hangs_and_ends_with_the_horse(scene: Scene) -> None:
    """A frozen horse is as good as one deep in C code: its worker keeps all leases of the batch."""
    scene.start("work", "--single")
    scene.close("started")
    entries = scene.hint("flood", "later")
    horse = scene.held("started")
    os.kill(horse, signal.SIGSTOP)
    first = time.time()
    ends = [lambda e=e: scene.context.client.zscore("{live}:pending", e) for e in entries]
    until(lambda: all(end() > first + 2 * LEASE_S for end in ends))  # two leases long, at least
    assert scene.context.ledger.overdue(now=time.time(), limit=10) == ()
    os.kill(horse, signal.SIGKILL)
    told_again = [
        lambda e=e: scene.context.client.hget(f"{{live}}:entry:{e}", "again") for e in entries
    ]
    until(lambda: all(again() == b"1" for again in told_again))


# --- told to end ------------------------------------------------------------------------------


def test_worker_when_told_to_end_then_finishes_the_job_in_hand_and_takes_no_other(
    patient: Scene,
) -> None:
    """SIGTERM and SIGINT, five a second for two seconds: the job ends well, and so does the worker."""
    worker = patient.start("work", "--single")
    patient.close("started")
    (entry,) = patient.hint("flood")
    patient.held("started")
    patient.hint("later")
    patient.open("started")
    _storm(worker, lambda: patient.outcome(entry) == "attached")
    assert worker.wait(timeout=30) == 0
    assert patient.context.hints.waiting() == 1
    patient.start("work", "--single")
    until(lambda: patient.context.ledger.counts()["pending"] == 0)


@pytest.mark.parametrize("signals", ["one", "many"])
def test_worker_when_the_job_does_not_end_in_time_then_hands_its_entries_back(
    patient: Scene, signals: str
) -> None:
    """After the drain time another worker has the entries at once: their lease would last for long."""
    worker = patient.start("--set=work.drain_s=1.5", "work", "--single")
    patient.close("started")
    entries = patient.hint("flood", "later")
    horse = patient.held("started")
    os.kill(horse, signal.SIGSTOP)
    worker.terminate()
    if signals == "many":
        _storm(worker, lambda: _gone(horse))
    assert worker.wait(timeout=30) == 0
    assert _gone(horse)
    assert '"handed_back"' in patient.log()
    patient.open("started")
    patient.start("work", "--single")
    until(lambda: _reconciled(patient) and not patient.context.ledger.counts()["pending"])
    assert [patient.outcome(entry) for entry in entries] == ["attached", "attached"]


def test_command_when_told_to_end_gives_its_workers_time_to_hand_back(patient: Scene) -> None:
    """`work` with its supervisor ends its processes no sooner than their drain time is over."""
    supervisor = patient.start("--set=work.drain_s=1.5", "work", "--processes", "1")
    patient.close("started")
    patient.hint("flood")
    horse = patient.held("started")
    os.kill(horse, signal.SIGSTOP)
    _storm(supervisor, lambda: _gone(horse))
    assert supervisor.wait(timeout=30) == 0
    assert '"handed_back"' in patient.log()


def _reconciled(scene: Scene) -> bool:
    with capture_logs():
        scene.context.reconciler.run(now=time.time())
    return True


def _storm(process: "subprocess.Popen[bytes]", done: object) -> None:
    """Send SIGTERM and SIGINT in turn, five a second, until something is so and for ten at least."""
    sent = [0]
    last = [0.0]

    def send() -> bool:
        if process.poll() is None and time.monotonic() - last[0] > 0.2:
            process.send_signal((signal.SIGTERM, signal.SIGINT)[sent[0] % 2])
            sent[0], last[0] = sent[0] + 1, time.monotonic()
        return bool(done()) and (sent[0] >= 10 or process.poll() is not None)  # type: ignore[operator]

    until(send, timeout_s=60)


# --- rubbish in Redis -------------------------------------------------------------------------


def test_worker_when_jobs_that_nobody_can_read_come_in_then_goes_on(scene: Scene) -> None:
    """The process stays the same one, does what can be done, and what cannot is out of the way."""
    worker = scene.start("work", "--single")
    reasons = put_unreadable(scene.context.client)
    for job_id in reasons:
        push(scene.context.client, job_id)
    scene.finish(*scene.hint("flood"))
    until(lambda: scene.context.client.zcard("{live}:unreadable") == len(reasons) - 1)
    until(lambda: not scene.context.client.exists("rq:queue:samestory-live:intermediate"))
    assert scene.context.client.keys("rq:job:*") == []
    assert worker.poll() is None
    assert scene.log().count("job_unreadable") == len(reasons) - 1


# --- without Redis ----------------------------------------------------------------------------


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_worker_when_redis_is_killed_and_comes_back_then_is_at_work_again(
    scene: Scene, *, busy: bool
) -> None:
    """Restarted by its supervisor once at most, whether it had a job in hand or not."""
    scene.start("work", "--processes", "1")
    entries = []
    if busy:
        scene.close("started")
        entries = scene.hint("flood")
        scene.held("started")
    scene.server.kill()
    # Struck between two of its loops it ends, and is started anew, which then waits.
    told = (
        "leases_not_renewed",
        "could not connect",
        "redis_failed",
        "not_reconciled",
        "waiting for",
    )
    until(lambda: any(one in scene.log() for one in told), timeout_s=60)
    scene.server.start()
    if busy:
        scene.open("started")
    scene.finish(*entries, *scene.hint("after"))
    assert scene.restarts() <= 1


def test_worker_when_a_job_ends_while_redis_is_away_then_the_entry_is_done_once(
    patient: Scene,
) -> None:
    """The horse cannot say that it is done, nor the worker: its lease is handed back when Redis is."""
    patient.start("work", "--processes", "1")
    patient.close("attached")
    entries = patient.hint("flood")
    horse = patient.held("attached")
    patient.server.kill()
    patient.open("attached")
    until(lambda: _gone(horse), timeout_s=60)
    patient.server.start()
    until(lambda: all(map(patient.outcome, entries)), timeout_s=60)
    patient.finish(*entries)
    assert patient.restarts() <= 1


def test_worker_when_redis_hangs_then_is_at_work_again_when_it_answers(scene: Scene) -> None:
    """Frozen for longer than a client waits for an answer."""
    scene.start("work", "--processes", "1")
    assert scene.server.process
    scene.server.process.send_signal(signal.SIGSTOP)
    thaw_at = time.monotonic() + 1.5 * scene.context.settings.redis.timeout_s
    until(lambda: time.monotonic() > thaw_at)
    scene.server.process.send_signal(signal.SIGCONT)
    scene.finish(*scene.hint("flood"))
    assert scene.restarts() <= 1


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_worker_when_told_to_end_while_redis_is_away_then_ends_cleanly(
    scene: Scene, *, busy: bool
) -> None:
    """It waits neither for Redis nor, longer than its drain time, for a horse that waits for Redis."""
    worker = scene.start("--set=work.drain_s=1", "work", "--single")
    if busy:
        scene.close("started")
        scene.hint("flood")
        scene.held("started")
    scene.server.kill()
    worker.terminate()
    assert worker.wait(timeout=60) == 0
    assert "Traceback" not in scene.log()


# --- supervised -------------------------------------------------------------------------------


def test_command_when_a_worker_is_killed_then_forks_another_and_nobody_waits_for_leases(
    patient: Scene,
) -> None:
    """Its sibling, or the one that takes its place, does what it left; each is a fork of the command."""
    supervisor = patient.start("work", "--processes", "1")
    patient.close("started")
    entries = patient.hint("flood")
    worker = _parent(patient.held("started"))
    assert _parent(worker) == supervisor.pid
    os.kill(worker, signal.SIGKILL)
    patient.open("started")
    until(lambda: all(map(patient.outcome, entries)), timeout_s=60)
    patient.finish(*entries)
    (name,) = patient.workers()
    successor = int(name.split(b"-")[1])
    assert (successor != worker, _parent(successor)) == (True, supervisor.pid)
    assert patient.restarts() == 1


def test_supervisor_starts_again_what_ended_whatever_its_status_was(tmp_path: Path) -> None:
    """Also status 0, which is what RQ's worker gives when it cannot go on; later each time."""
    with (tmp_path / "log").open("w") as log, capture_logs() as told:
        supervisor = Supervisor([], dict(os.environ), log=log)
        supervisor.add("good", ["--version"])
        supervisor.add("bad", ["no-such-command"])

        def ended() -> bool:
            supervisor.tick()
            return all(sum(e["child"] == name for e in told) >= 2 for name in ("good", "bad"))

        until(ended, timeout_s=60)
        assert supervisor.stop(5.0)
    assert {(e["child"], e["status"]) for e in told} == {("good", 0), ("bad", 2)}
    waits = [e["restart_in_s"] for e in told if e["child"] == "good"]
    assert waits[:2] == [0.5, 1.0]
