"""Takes out of RQ what no worker can read, or a dead one left; run by each worker (rqworker.py).

It does so in place of RQ's own maintenance, which stops the worker at a job that it cannot read,
holds a lock without an owner for 15 minutes, and brings abandoned jobs back after one or more. A
job is only a hint: without it the ledger's lease ends, and its entries are hinted at again. So
nothing is lost by removing one, no lock is needed, and several workers may sweep at once. Of a
worker that died on this machine they take over at once: nobody waits for its leases.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator

import redis
import structlog
from rq import Worker, worker_registration
from rq.exceptions import NoSuchJobError
from rq.executions import WORKER_EXECUTIONS_KEY_TEMPLATE
from rq.job import Job

from worker.hints import HintJob, Hints, UnreadableJobError, short_fields
from worker.neighbours import is_dead
from worker.store.keys import Keys

log = structlog.get_logger()

# Members of a list or registry looked at in one sweep. Those of the queue further back are read
# when their turn comes; those of registries further back, by nobody.
_MOST_MEMBERS = 1_000
# A horse takes a popped job over within a second or two, and RQ then lets it live on. Until then it
# has a minute to live, which tells every worker how long ago it was seen first; one whose worker is
# slow, or was never told of the pop, is at worst hinted at twice.
_POPPED_TTL_S = 60
_POPPED_S = 4
# Before the name of a job and its execution (rq/executions.py).
_EXECUTION = b"rq:execution:"
# What is kept of jobs that could not be read: the newest so many, each field so long.
_KEPT = 100
_KEPT_S = 7 * 86_400
_KEPT_CHARACTERS = 200


class Sweep:
    """The sweep of one queue. Raises redis-py's own errors, which RQ's loop waits out."""

    def __init__(self, hints: Hints, hand_back: Callable[[Job], object]) -> None:
        """Say what to sweep.

        Args:
            hints: the queue.
            hand_back: called with each job whose worker is dead, or popped it and knows nothing of it.
        """
        self._hand_back = hand_back
        queue = hints.queue
        self._queue = queue
        self._client: redis.Redis = queue.connection
        self._kept = Keys(hints.namespace).unreadable
        self._started = queue.started_job_registry.key
        self._failed = queue.failed_job_registry.key
        self._lists = (queue.key, queue.intermediate_queue_key)
        self._registries = (
            self._started,
            self._failed,
            queue.finished_job_registry.key,
            queue.deferred_job_registry.key,
            queue.scheduled_job_registry.key,
            queue.canceled_job_registry.key,
            queue.ready_job_registry.key,
        )

    def everything(self) -> None:
        """Look at every list and registry of the queue: the check at a worker's start."""
        for key, kind in self._kinds():
            if self._client.type(key) not in {kind, b"none"}:
                log.error("key_of_wrong_type", key=key)
                self._client.unlink(key)
        for key in (*self._lists, *self._registries):
            self._look_through(key)
        self.leavings()

    def leavings(self) -> None:
        """Look at what workers have in hand, and forget what is past."""
        self.take_over()
        self._look_through(self._started)
        self._client.zremrangebyscore(self._failed, "-inf", time.time())
        worker_registration.clean_worker_registry(self._queue)

    def take_over(self) -> None:
        """Hand back what nobody works off: of workers that died on this machine, and lost pops.

        Cost: two round trips where there is nothing.
        """
        self._look_through(self._lists[1])
        registry = worker_registration.WORKERS_BY_QUEUE_KEY % self._queue.name
        for key in self._client.smembers(registry):
            name = key.decode("latin-1").removeprefix(Worker.redis_worker_namespace_prefix)
            # Of several that see it only one goes on: what was handed back may be in work by now.
            if is_dead(name) and self._client.srem(registry, key):
                self._bury(name, key)

    def _bury(self, name: str, key: bytes) -> None:
        executions = WORKER_EXECUTIONS_KEY_TEMPLATE.format(name)
        for member in self._client.smembers(executions):
            job_id = member.partition(b":")[0]
            with contextlib.suppress(NoSuchJobError, UnicodeDecodeError):
                self._hand_back(self._job(job_id))
            self.forget(executions, member)
        with self._client.pipeline() as pipe:
            pipe.srem(worker_registration.REDIS_WORKER_KEYS, key)
            pipe.unlink(key)
            pipe.execute()
        log.warning("worker_dead", worker=name)

    def forget(self, executions: str, member: bytes) -> None:
        """Let go of a job that a worker had in hand.

        Args:
            executions: the key where RQ keeps what the worker has in hand.
            member: of it: the ids of job and execution.
        """
        self._take_out(member.partition(b":")[0], member)
        self._client.srem(executions, member)

    def _kinds(self) -> Iterator[tuple[str, bytes]]:
        yield from ((key, b"list") for key in self._lists)
        yield from ((key, b"zset") for key in self._registries)

    def _look_through(self, key: str) -> None:
        """Take out of one list or registry what is not a readable, living job."""
        if key in self._lists:
            members = self._client.lrange(key, 0, _MOST_MEMBERS - 1)
        else:
            members = self._client.zrange(key, 0, _MOST_MEMBERS - 1)
        for member in members:
            job_id = member.partition(b":")[0] if key == self._started else member
            try:
                job = self._job(job_id)
            except (UnreadableJobError, UnicodeDecodeError) as e:
                self._keep(job_id, key, str(e))
                self._take_out(job_id, member)
            except NoSuchJobError:
                self._take_out(job_id, member)
            else:
                self._age(job, key, member)

    def _age(self, job: Job, key: str, member: bytes) -> None:
        """End a job whose worker is dead, or has popped it and does nothing about it.

        The registry says when by the clock of the worker's host, which may be wrong; what RQ notes
        of a job that is being run expires at the same time by Redis's.
        """
        if key == self._started and not self._client.exists(_EXECUTION + member):
            log.warning("job_abandoned", job=job.id)
            self._take_out(job.id.encode(), member)
        elif key == self._lists[1]:
            left_s = self._client.ttl(job.key)
            if left_s < 0:
                self._client.expire(job.key, _POPPED_TTL_S)
            elif left_s <= _POPPED_TTL_S - _POPPED_S:
                log.warning("job_passed_over", job=job.id)
                self._hand_back(job)
                self._take_out(job.id.encode(), member)

    def _job(self, job_id: bytes) -> Job:
        """Read a job. Raises as HintJob.fetch does, and UnicodeDecodeError."""
        return HintJob.fetch(job_id.decode("ascii"), self._client, self._queue.serializer)

    def _keep(self, job_id: bytes, key: str, why: str) -> None:
        """Keep for the operator what is known of an unreadable job."""
        name = ascii(job_id.decode("latin-1"))[1:-1][:_KEPT_CHARACTERS]
        log.error("job_unreadable", job=name, found_in=key, why=why[:_KEPT_CHARACTERS])
        try:
            fields, _ = short_fields(self._client, _job_key(job_id))
        except UnreadableJobError:
            fields = {}
        record = {
            "job": name,
            "found_in": key,
            "why": why[:_KEPT_CHARACTERS],
            "fields": {n: v[:_KEPT_CHARACTERS].decode("latin-1") for n, v in fields.items()},
        }
        with self._client.pipeline() as pipe:
            pipe.zadd(self._kept, {json.dumps(record): time.time()})
            pipe.zremrangebyrank(self._kept, 0, -_KEPT - 1)
            pipe.expire(self._kept, _KEPT_S)
            pipe.execute()

    def _take_out(self, job_id: bytes, member: bytes) -> None:
        """Remove a job from everywhere. ``member`` is how the started registry names it."""
        with self._client.pipeline() as pipe:
            for key in self._lists:
                pipe.lrem(key, 0, job_id)
            for key in self._registries:
                pipe.zrem(key, job_id, member)
            pipe.unlink(_job_key(job_id))
            pipe.execute()


def _job_key(job_id: bytes) -> bytes:
    return HintJob.redis_job_namespace_prefix.encode() + job_id
