"""What the campaign sees while it runs, all of it read from Redis: settled entries and recoveries."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import redis
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from world import Item, World

from worker.model import EntryId
from worker.store.keys import LIVE, Keys

SAMPLE_S = 0.25
QUEUE = f"rq:queue:samestory-{LIVE}"
FIELDS = ("outcome", "stage", "attempts", "running")
AWAY = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)  # loading is one of them


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger says of an entry."""

    outcome: str
    stage: str
    attempts: str
    running: bool


@dataclass(frozen=True, slots=True)
class Victim:
    """An entry that a killed process had in hand."""

    at: float  # monotonic, of the kill
    kind: str
    stage: str
    attempts: str


@dataclass
class Watch:
    """Looks at every entry that is listed and has no outcome yet."""

    client: redis.Redis
    world: World
    started: float = field(default_factory=time.monotonic)
    open: dict[EntryId, Item] = field(default_factory=dict)
    settled: int = 0
    settled_at: float = field(default_factory=time.monotonic)  # the last one
    pending: int = 0
    hints: int = 0  # in the queue
    victims: dict[EntryId, Victim] = field(default_factory=dict)
    # kind of the kill, when it was, how long it took, in seconds, and which entry it hit
    recoveries: list[tuple[str, float, float, int]] = field(default_factory=list)
    # seconds, entries listed, settled, pending, hints in the queue
    samples: list[tuple[float, int, int, int, int]] = field(default_factory=list)
    keys: Keys = field(default_factory=lambda: Keys(LIVE))

    def publish(self, count: int) -> None:
        """Let the world list so many entries in all, and look out for them."""
        for item in self.world.publish(count):
            self.open[self.world.entry_id(item)] = item

    def look(self) -> bool:
        """Read the ledger; return False while the server is away."""
        try:
            rows = self.rows(self.open)
            self.pending = int(self.client.zcard(self.keys.pending))
            self.hints = int(self.client.llen(QUEUE))
        except AWAY:
            return False
        now = time.monotonic()
        for entry_id, row in rows.items():
            victim = self.victims.get(entry_id)
            if victim and (
                row.outcome or (row.stage, row.attempts) != (victim.stage, victim.attempts)
            ):
                number = self.open[entry_id].number
                found = (victim.kind, victim.at - self.started, now - victim.at, number)
                self.recoveries.append(found)
                del self.victims[entry_id]
            if row.outcome:
                self.world.retire(self.open.pop(entry_id).number)
                self.settled += 1
                self.settled_at = now
        seconds, listed = now - self.started, len(self.world.published)
        if not self.samples or seconds > self.samples[-1][0] + SAMPLE_S:
            self.samples.append((seconds, listed, self.settled, self.pending, self.hints))
        return True

    def rows(self, entry_ids: Iterable[EntryId]) -> dict[EntryId, Row]:
        """Read entries; those that the ledger does not know are left out."""
        ids = list(entry_ids)
        with self.client.pipeline(transaction=False) as pipe:
            for entry_id in ids:
                pipe.hmget(self.keys.entry(entry_id), FIELDS)
            answers: Sequence[Sequence[bytes | None]] = pipe.execute()
        found = {}
        for entry_id, answer in zip(ids, answers, strict=True):
            outcome, stage, attempts, running = ((raw or b"").decode() for raw in answer)
            if stage:
                found[entry_id] = Row(outcome, stage, attempts, running == "1")
        return found

    def ready(self) -> dict[int, bytes]:
        """Return the keys of the workers that RQ knows, dead ones included, by process id."""
        keys = list(self.client.smembers("rq:workers"))
        with self.client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(key, "pid")
            return {int(pid): key for key, pid in zip(keys, pipe.execute(), strict=True) if pid}

    def in_hand(self, pids: Sequence[int]) -> list[EntryId]:
        """Return the entries of the hints that RQ says these workers work off."""
        ready = self.ready()
        found: list[EntryId] = []
        for key in [ready[pid] for pid in pids if pid in ready]:
            for execution in self.client.smembers(key + b":executions"):
                job_id = execution.decode().partition(":")[0]
                with suppress(NoSuchJobError):  # it has just been done
                    _, hinted = Job.fetch(job_id, self.client, JSONSerializer).args
                    found += map(EntryId, hinted)
        return found

    def being_fetched(self) -> list[EntryId]:
        """Return the entries whose pages the poller is about to fetch."""
        rows = self.rows(self.open)
        return [i for i, row in rows.items() if row.stage == "fetch" and row.running]

    def killed(self, kind: str, entry_ids: Sequence[EntryId]) -> int:
        """Look out for what a killed process had in hand; return how many had no outcome yet."""
        at = time.monotonic()
        self.struck_again(entry_ids, at)
        rows = self.rows(entry_ids)
        left = {i: row for i, row in rows.items() if not row.outcome and i in self.open}
        for entry_id, row in left.items():
            self.victims[entry_id] = Victim(at, kind, row.stage, row.attempts)
        return len(left)

    def struck_again(self, entry_ids: Iterable[EntryId], at: float) -> None:
        """End the recovery of victims: another process had them in hand, and it was struck as well."""
        for entry_id in entry_ids:
            if earlier := self.victims.pop(entry_id, None):
                number = self.open[entry_id].number
                found = (earlier.kind, earlier.at - self.started, at - earlier.at, number)
                self.recoveries.append(found)
