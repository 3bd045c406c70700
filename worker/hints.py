"""RQ, used as a hint: 'these entries wait for you'. Carries ids only; the ledger is the truth.

RQ's defaults are changed where they lose or leak (docs/decisions.md, RQ): JSON instead of pickle;
jobs may only run what is on the list here, because JSON alone still imports any callable that a
job names; callbacks and webhooks, which a job hash could name too, are never run; one queue a
worker, the only way in which RQ keeps a job that a dying worker has popped; no arguments in logs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import redis
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from worker.limits import allow_cpu, limit_memory, no_core_file
from worker.model import EntryId
from worker.store.client import store_errors

WORK_FUNCTION = "worker.jobs.work"
_ALLOWED = frozenset({WORK_FUNCTION})
_JOB_TIMEOUT_S = 60
_FAILURE_TTL_S = 7 * 86_400  # RQ's own is a year
_WORKER_TTL_S = 30
_MAINTENANCE_S = 15
_MONITOR_S = 5


class ForbiddenJobError(Exception):
    """A job names a function that hints never carry. Raised and logged inside RQ's worker."""


class HintJob(Job):
    """A job that runs only what is on the list."""

    @property
    def func(self) -> Callable[..., Any] | None:
        """The function to run.

        Raises:
            ForbiddenJobError: it is not on the list.
        """
        if self.func_name not in _ALLOWED or self.instance is not None:
            raise ForbiddenJobError(f"job {self.id} names a function that is not allowed")
        return super().func  # type: ignore[no-any-return]

    @property
    def success_callback(self) -> None:
        """Hints have none."""

    @property
    def failure_callback(self) -> None:
        """Hints have none."""

    @property
    def stopped_callback(self) -> None:
        """Hints have none."""

    def send_webhooks(self, status: Any, *, exc_string: str | None = None) -> None:
        """Send nothing: RQ's webhooks open any address that a job hash names."""


class Hints:
    """The queue of one namespace."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.namespace = namespace
        self.queue = Queue(
            f"samestory-{namespace}",
            connection=client,
            serializer=JSONSerializer,
            job_class=HintJob,
            default_timeout=_JOB_TIMEOUT_S,
        )

    @store_errors()
    def send(self, entry_ids: Sequence[EntryId]) -> None:
        """Tell the workers of entries. May be lost or doubled without harm."""
        self.queue.enqueue_call(
            WORK_FUNCTION,
            args=(self.namespace, list(entry_ids)),
            result_ttl=0,
            failure_ttl=_FAILURE_TTL_S,
            description="hint",
        )

    @store_errors()
    def waiting(self) -> int:
        """Return how many hints no worker has taken yet.

        Never asks RQ's registries, whose look-ups clean up, unlocked, as a side effect.
        """
        return int(self.queue.count)

    @store_errors()
    def has_worker(self) -> bool:
        """Say whether any worker is listening."""
        return Worker.count(queue=self.queue) > 0


class HintWorker(Worker):
    """A worker whose horse may use only so much processor time and memory.

    RQ's own time-out is an ordinary exception raised late: C code delays it and any `except
    Exception` swallows it. The kernel's limits do neither.
    """

    cpu_s = 20
    memory_mb = 1_024
    before_fork: Callable[[], None] | None = None

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Let the owner prepare what this horse and all later ones share, then fork."""
        if self.before_fork is not None:
            self.before_fork()
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Set the limits in the freshly forked horse, then run the job."""
        limit_memory(self.memory_mb)
        allow_cpu(self.cpu_s)
        no_core_file()
        super().main_work_horse(job, queue)


def hint_worker(
    hints: Hints, *, cpu_s: int, memory_mb: int, before_fork: Callable[[], None] | None = None
) -> HintWorker:
    """Return a worker for one queue, under a random name so that it can restart at once.

    Args:
        hints: the queue.
        cpu_s: processor time of one job.
        memory_mb: its memory, beside what the worker has.
        before_fork: called in the worker, without limits, before each job; must not raise.
    """
    worker = HintWorker(
        [hints.queue],
        connection=hints.queue.connection,
        serializer=JSONSerializer,
        job_class=HintJob,
        worker_ttl=_WORKER_TTL_S,
        maintenance_interval=_MAINTENANCE_S,
        job_monitoring_interval=_MONITOR_S,
        log_job_description=False,
    )
    worker.cpu_s, worker.memory_mb, worker.before_fork = cpu_s, memory_mb, before_fork
    return worker
