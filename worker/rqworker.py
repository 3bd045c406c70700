"""RQ's worker, made to outlive what it runs, Redis, and signals. Run by `samestory work`.

It takes up hints one by one, each in a horse (a forked process) with limits, and meanwhile keeps
the leases of the entries hinted at. It never decides an entry's fate: that is on the ledger.
"""

import contextlib
import signal
import time
from collections.abc import Callable

import redis
import structlog
from rq import Queue, Worker
from rq.exceptions import StopRequested
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker import WorkerStatus

from worker.core.retry import FIRST_S, LONGEST_BACK_OFF_S, back_offs
from worker.endings import on_ending
from worker.errors import StoreError
from worker.hints import HintJob, HintQueue, Hints, hinted_at
from worker.limits import allow_cpu, die_with, limit_memory, no_core_file
from worker.neighbours import own_name
from worker.settings import WorkSettings
from worker.store.client import store_errors
from worker.store.ledger import Ledger
from worker.sweep import Sweep

log = structlog.get_logger()

_LOST = (redis.ConnectionError, redis.TimeoutError)
_WORKER_TTL_S = 30  # RQ adds a minute to it
_SWEEP_S = 2
# RQ counts it in whole seconds. A lease of 3 s or more is then renewed three times, and a drain
# ends within a second of its deadline. Renewing takes two round trips.
_MONITOR_S = 1


class HintWorker(Worker):
    """A worker of one queue: with two, RQ loses a job whose worker dies as it pops it."""

    # Seconds that a wait for a hint takes at Redis, and that its answer may take: a connection
    # that died unseen is found out after the second. RQ's own figures are 405 and 415.
    dequeue_timeout = 2
    connection_timeout = 4
    max_connection_wait_time = LONGEST_BACK_OFF_S  # RQ's own is 60

    def __init__(
        self,
        hints: Hints,
        ledger: Ledger,
        settings: WorkSettings,
        *,
        clock: Callable[[], float] = time.time,
        reconcile: Callable[[], None] = lambda: None,
        before_fork: Callable[[], None] = lambda: None,
    ) -> None:
        """Make a worker under a name never given before, so that it can restart at once.

        Args:
            hints: the queue.
            ledger: where the entries of hints have their leases.
            settings: the limits of a horse, and how long a drain may take.
            clock: Unix seconds that leases go by.
            reconcile: takes up what others left lying; called every second or two.
            before_fork: called in the worker, without limits, before each job; must not raise.
        """
        super().__init__(
            [hints.queue],
            name=own_name(),
            connection=hints.queue.connection,
            serializer=JSONSerializer,
            job_class=HintJob,
            queue_class=HintQueue,
            worker_ttl=_WORKER_TTL_S,
            maintenance_interval=_SWEEP_S,
            job_monitoring_interval=_MONITOR_S,
            log_job_description=False,  # it would show arguments
        )
        self._ledger = ledger
        self._settings = settings
        self._clock = clock
        self._reconcile = reconcile
        self._before_fork = before_fork
        self._sweep = Sweep(hints, self._hand_back)
        self._drain_until = float("inf")

    # --- its horses ---

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job. When Redis is lost meanwhile, wait for it: RQ would end the worker.

        The horse is ended, and what it left goes to whoever is free when Redis is back.
        """
        try:
            super().execute_job(job, queue)
        except _LOST as e:
            log.error("redis_failed", error=str(e))
            if self.horse_pid:
                self.kill_horse()
                self.wait_for_horse()
            left = [one.composite_key.encode() for one in self.executions.values()]
            self.executions.clear()
            self._wait_for_redis()
            with contextlib.suppress(StoreError), store_errors():  # or when the leases end
                self._ledger.hand_back(hinted_at(job), now=self._clock())
                for member in left:
                    self._sweep.forget(self.executions_key, member)

    def _wait_for_redis(self) -> None:
        """Return when Redis answers, or when told to stop."""
        for wait_s in back_offs():
            if self._stop_requested:
                raise StopRequested
            with contextlib.suppress(*_LOST):
                self.connection.ping()
                return
            time.sleep(wait_s)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Let the owner prepare what this horse and all later ones share, then fork."""
        self._before_fork()
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Bind the freshly forked horse to its worker and its limits, then run the job.

        RQ's own time-out is an ordinary exception raised late: C code delays it and any `except
        Exception` swallows it. The kernel's limits do neither.
        """
        die_with(int(self.pid or 0))
        limit_memory(self._settings.memory_mb)
        allow_cpu(self._settings.cpu_s)
        no_core_file()
        super().main_work_horse(job, queue)

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Keep the leases of the entries in hand; called every second while a horse is alive.

        It is the worker who does it, because a horse deep in C code could not. At the end of a
        drain the horse is ended instead, and what it left goes to another worker at once.
        """
        try:
            with store_errors():
                if time.monotonic() < self._drain_until:
                    super().maintain_heartbeats(job, execution)
                    self._ledger.renew(hinted_at(job), now=self._clock())
                    self._sweep.take_over()
                    self._reconcile()
                else:
                    self._end_horse(job)
        except StoreError as e:  # the horse meets it too, and notes it for its entry
            log.warning("leases_not_renewed", error=str(e))

    def handle_work_horse_killed(self, job: Job, *_: object) -> None:
        """Let others have what a horse that died left."""
        self._hand_back(job)

    def _hand_back(self, job: Job) -> None:
        """Let others have what the dead left, at once; its page may be why, so that one waits."""
        with contextlib.suppress(StoreError):  # or when the leases end
            self._ledger.hand_back(hinted_at(job), now=self._clock(), back_off_s=FIRST_S)

    def _end_horse(self, job: Job) -> None:
        self.kill_horse()
        self.wait_for_horse()
        entries = self._ledger.hand_back(hinted_at(job), now=self._clock())
        self.connection.unlink(job.key)  # or RQ would note it as failed
        log.warning("handed_back", entries=entries)

    # --- its queue ---

    def run_maintenance_tasks(self) -> None:
        """Sweep, instead of RQ's maintenance: everything at the start, later what is in hand."""
        if self.last_cleaned_at is None:
            self._sweep.everything()
        else:
            self._sweep.leavings()
            try:
                self._reconcile()
            except StoreError as e:  # RQ waits for a Redis that is away in a moment, by itself
                log.warning("not_reconciled", error=str(e))
        self.last_cleaned_at = now()  # type: ignore[assignment] # RQ declares None alone

    def subscribe(self) -> None:
        """Take no commands: RQ's channel lets whoever may publish end workers and horses."""

    def register_death(self) -> None:
        """Say that this worker is gone; without Redis, its key says so when it expires."""
        with contextlib.suppress(*_LOST):
            super().register_death()  # type: ignore[no-untyped-call]

    # --- signals ---

    def _shutdown(self) -> None:
        """Stop after the job in hand. Asks nothing of Redis, which may be away just now.

        Further signals are ignored: this one sets a deadline.
        """
        on_ending(signal.SIG_IGN)
        self._drain_until = time.monotonic() + self._settings.drain_s
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested
        self._stop_requested = True

    def setup_work_horse_signals(self) -> None:
        """Leave the end of a horse to its worker, also when a signal goes to every process."""
        on_ending(signal.SIG_IGN)
