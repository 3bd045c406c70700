"""Seeded faults, due by progress and not by time, so that each of them strikes while there is work."""

import math
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from plant import Plant, descendants, send
from proxy import Fate, Proxy
from watch import Watch

# Who is killed, in shares. A horse is the cheapest to replace and the likeliest to die.
KILLS = {
    "horse": 40,
    "worker": 18,  # an RQ worker with its horse
    "parent": 16,  # an RQ worker alone: its horse has to end with it
    "tree": 12,  # a `samestory work` with all its workers and their horses
    "supervisor": 4,  # a `samestory work` alone: its workers have to follow it
    "poller": 6,
    "redis": 4,  # started again on its append-only file
}
# The other faults, per hundred kills.
OTHERS = {"dropped reply": 20, "reset request": 10, "delay": 5, "stop": 8, "clock": 10}
FROM, TO = 0.01, 0.95  # of the progress
# A kill waits so long for a worker that has something in hand, while another one is up: recovery would
# else be the time that Python takes to start.
PATIENCE_S = 30.0
HOUR_S = 3_600.0
STOPS_S = (2.0, 15.0)  # the lease is in between
JUMPS_S = (2.0, 20.0)
DELAYS_S = (2.0, 8.0)
DELAY_S = 0.2
REDIS_AWAY_S = (0.1, 3.0)
FATES = {"dropped reply": Fate.LOST_REPLY, "reset request": Fate.LOST_REQUEST}
# Requests to be hit: any script, an RQ transaction, the pop of a hint, whatever comes.
REQUESTS = (b"EVALSHA", b"EVALSHA", b"EXEC", b"MOVE", b"")


@dataclass(frozen=True, slots=True)
class Fault:
    """One that struck. ``in_hand``: entries without outcome that the killed had."""

    at: float  # seconds into the campaign
    kind: str
    pid: int
    in_hand: int


@dataclass
class Faults:
    """The faults of one campaign."""

    plant: Plant
    proxy: Proxy
    watch: Watch
    due: list[tuple[float, str]]  # progress, kind; the last is the next
    draw: random.Random
    struck: list[Fault] = field(default_factory=list)
    _undo: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _waits_since: float = 0.0
    _redis_away: bool = False

    def tick(self, progress: float) -> None:
        """Undo what has lasted long enough; strike when the next fault is due."""
        now = time.monotonic()
        for entry in [entry for entry in self._undo if entry[0] <= now]:
            self._undo.remove(entry)
            entry[1]()
        if self._redis_away or not self.due or progress < self.due[-1][0]:
            return
        kind = self.due[-1][1]
        self._waits_since = self._waits_since or now
        struck = self._strike(kind, patient=now - self._waits_since < PATIENCE_S)
        if struck:
            self.struck.append(struck)
            self.due.pop()
            self._waits_since = 0.0

    @property
    def next_at(self) -> float:
        """The progress at which the next fault is due; infinity with none left."""
        return self.due[-1][0] if self.due else math.inf

    def end(self) -> None:
        """Undo everything at once, and strike no more."""
        self.due.clear()
        for _, undo in self._undo:
            undo()
        self._undo.clear()
        self.proxy.fate = lambda _: Fate.PASS
        self.proxy.delay_s = 0.0
        self.plant.reset_clocks()

    def counts(self) -> dict[str, int]:
        """Return how often each kind struck."""
        return dict(Counter(fault.kind for fault in self.struck))

    @property
    def kills(self) -> int:
        """How many were kills."""
        return sum(fault.kind in KILLS for fault in self.struck)

    def _strike(self, kind: str, *, patient: bool) -> Fault | None:
        if kind == "redis":
            return self._kill_redis()
        if kind == "poller":
            return self._kill_poller()
        if kind in KILLS:
            return self._kill_work(kind, patient=patient)
        if kind in FATES:
            self._hit(self.draw.choice(REQUESTS), FATES[kind])
        elif kind == "delay":
            self.proxy.delay_s = DELAY_S
            self._later(self.draw.uniform(*DELAYS_S), self._no_delay)
        else:
            return self._stop_or_jump(kind)
        return self._fault(kind)

    def _kill_work(self, kind: str, *, patient: bool) -> Fault | None:
        workers = self.plant.workers()
        ready = self.watch.ready().keys() & workers.keys()
        choice = sorted(worker for worker in ready if workers[worker] or not patient)
        if not choice:
            return None
        worker = self.draw.choice(choice)
        struck = [worker]
        pids = {"horse": workers[worker], "parent": [worker]}.get(kind, [worker, *workers[worker]])
        if kind in ("tree", "supervisor"):
            top = next((top for top in self.plant.tops() if worker in descendants(top)), None)
            if top is None:
                return None  # its supervisor was killed, and it is about to follow
            below = descendants(top)
            pids = [top] if kind == "supervisor" else [top, *below]
            struck = [pid for pid in below if pid in workers]
        if patient and kind != "horse" and not ready.difference(struck):
            return None
        return self._kill(kind, pids, self.watch.in_hand(struck)) if pids else None

    def _kill_poller(self) -> Fault | None:
        pid = self.plant.poller()
        if not pid:
            return None
        return self._kill("poller", [pid, *descendants(pid)], self.watch.being_fetched())

    def _kill(self, kind: str, pids: list[int], in_hand: list[str]) -> Fault:
        for pid in pids:
            send(pid, signal.SIGKILL)
        left = self.watch.killed(kind, in_hand)  # type: ignore[arg-type]
        return self._fault(kind, pids[0], left)

    def _kill_redis(self) -> Fault:
        pid = self.plant.redis_pid
        self.plant.kill_redis()
        self._redis_away = True
        self._later(self.draw.uniform(*REDIS_AWAY_S), self._redis_back)
        return self._fault("redis", pid)

    def _redis_back(self) -> None:
        self.plant.start_redis()
        self._redis_away = False

    def _hit(self, needle: bytes, fate: Fate) -> None:
        """Let the next request that holds some bytes meet its fate; an earlier one still waiting is off."""
        waits = threading.Lock()

        def fate_of(request: bytes) -> Fate:
            return fate if needle in request and waits.acquire(blocking=False) else Fate.PASS

        self.proxy.fate = fate_of

    def _no_delay(self) -> None:
        self.proxy.delay_s = 0.0

    def _stop_or_jump(self, kind: str) -> Fault | None:
        workers = self.plant.workers()
        if not workers:
            return None
        worker = self.draw.choice(sorted(workers))
        if kind == "stop":
            pids = [worker, *workers[worker]]
            self.watch.struck_again(self.watch.in_hand([worker]), time.monotonic())
            for pid in pids:
                send(pid, signal.SIGSTOP)

            def go_on() -> None:
                for pid in pids:
                    send(pid, signal.SIGCONT)

            self._later(self.draw.uniform(*STOPS_S), go_on)
            return self._fault(kind, worker)
        # A host's: workers share the clock of the process that they were forked from.
        hosts = [*self.plant.tops(), self.plant.poller()]
        pid = self.draw.choice([pid for pid in hosts if pid] or [worker])
        self.plant.set_clock(pid, self.draw.choice((-HOUR_S, HOUR_S)))
        self._later(self.draw.uniform(*JUMPS_S), lambda: self.plant.set_clock(pid, 0.0))
        return self._fault(kind, pid)

    def _later(self, seconds: float, undo: Callable[[], None]) -> None:
        self._undo.append((time.monotonic() + seconds, undo))

    def _fault(self, kind: str, pid: int = 0, in_hand: int = 0) -> Fault:
        return Fault(time.monotonic() - self.watch.started, kind, pid, in_hand)


def schedule(
    draw: random.Random, entries: int, kills: int, without: frozenset[str]
) -> list[tuple[float, str]]:
    """Return so many kills, and the other faults that go with them, the first one last."""
    who = {kind: share for kind, share in KILLS.items() if kind not in without}
    others = {kind: share for kind, share in OTHERS.items() if kind not in without}
    kinds = draw.choices(list(who), list(who.values()), k=kills) if who else []
    for kind, share in others.items():
        kinds += [kind] * max(1, kills * share // 100) if kills else []
    draw.shuffle(kinds)
    step = (TO - FROM) * entries / max(len(kinds), 1)
    due = [(FROM * entries + (n + draw.random()) * step, kind) for n, kind in enumerate(kinds)]
    return due[::-1]
