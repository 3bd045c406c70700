"""The long-lived roles: the poll loop, one RQ worker, and the supervisor of child processes."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import structlog

from worker import jobs
from worker.errors import StoreError
from worker.hints import hint_worker
from worker.model import EntryId
from worker.steps.prepare import warm_up
from worker.store.feeds import Lease
from worker.wiring import Context, PollSteps, poll_steps

log = structlog.get_logger()

Work = Coroutine[Any, Any, None]
Act = Callable[[], Work]

TICK_S = 0.2  # how long a due feed or a fetched page waits at most
RECONCILE_S = 1.0
# Longer than any poll may take: two hops of waiting for the host and the feed's deadline.
POLL_LEASE_S = 120.0
# Entries whose pages one poller holds at a time; more stay on the ledger, due a lease later.
MOST_PAGES = 1_000
FIRST_BACK_OFF_S = 0.5
LONGEST_BACK_OFF_S = 30.0
# Not SAMESTORY_…: those are settings.
SUPERVISOR_VARIABLE = "_SAMESTORY_SUPERVISOR"


# --- poll -----------------------------------------------------------------------------------


@dataclass(slots=True)
class PollLoop:
    """Polls due feeds, fetches the pages of their entries, and reconciles, until told to stop."""

    context: Context
    steps: PollSteps
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _polling: int = 0
    _pages: set[EntryId] = field(default_factory=set)
    _fetched: list[EntryId] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set, then finish what is under way, within the drain time."""
        loops = [
            asyncio.create_task(self._every(TICK_S, self._poll_due)),
            asyncio.create_task(self._every(TICK_S, self._send_hints)),
            asyncio.create_task(self._every(RECONCILE_S, self._reconcile)),
            asyncio.create_task(self._every(self.context.settings.ledger.lease_s / 3, self._renew)),
        ]
        await stop.wait()
        loops[0].cancel()
        loops[2].cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.context.settings.work.drain_s / 2)
        for task in [*loops, *self._tasks]:
            task.cancel()
        await asyncio.gather(*loops, *self._tasks, return_exceptions=True)
        with contextlib.suppress(StoreError):  # reconcile hints again after the next start
            await self._send_hints()

    async def _every(self, seconds: float, act: Act) -> None:
        """Repeat one act; a lost Redis is named and waited for, longer each time."""
        back_off = FIRST_BACK_OFF_S
        while True:
            try:
                await act()
                back_off = FIRST_BACK_OFF_S
                await asyncio.sleep(seconds)
            except StoreError as e:
                log.error("redis_unreachable", error=str(e), retry_in_s=back_off)
                await asyncio.sleep(back_off)
                back_off = min(2 * back_off, LONGEST_BACK_OFF_S)

    async def _poll_due(self) -> None:
        free = self.context.settings.poll.concurrency - self._polling
        if free <= 0 or len(self._pages) >= MOST_PAGES:
            return
        leases = await asyncio.to_thread(
            self.context.feeds.due, now=time.time(), lease_s=POLL_LEASE_S, limit=free
        )
        for lease in leases:
            self._polling += 1
            self._spawn(self._poll(lease))

    async def _poll(self, lease: Lease) -> None:
        try:
            self._fetch_all(await self.steps.poller.poll(lease))
        finally:
            self._polling -= 1

    def _fetch_all(self, entry_ids: Sequence[EntryId]) -> None:
        for entry_id in entry_ids:
            if entry_id not in self._pages and len(self._pages) < MOST_PAGES:
                self._pages.add(entry_id)
                self._spawn(self._fetch(entry_id))

    async def _fetch(self, entry_id: EntryId) -> None:
        try:
            if await self.steps.pages.fetch(entry_id):
                self._fetched.append(entry_id)
        finally:
            self._pages.discard(entry_id)

    async def _send_hints(self) -> None:
        if self._fetched:
            entry_ids = list(self._fetched)
            await asyncio.to_thread(self.context.reconciler.send, entry_ids)
            del self._fetched[: len(entry_ids)]

    async def _reconcile(self) -> None:
        self._fetch_all(await asyncio.to_thread(self.context.reconciler.run, now=time.time()))

    async def _renew(self) -> None:
        await asyncio.to_thread(self.context.ledger.renew, tuple(self._pages), now=time.time())

    def _spawn(self, work: Work) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Work) -> None:
        """Run one poll or fetch. What it leaves undone, its lease brings back."""
        try:
            await work
        except Exception as e:  # noqa: BLE001 - the poll loop's boundary: it outlives any feed
            log.error("poll_task_failed", error=f"{type(e).__name__}: {e}")


async def poll_forever(context: Context) -> None:
    """Run the poll role until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with poll_steps(context) as steps:
        await PollLoop(context, steps).run(stop)


# --- work -----------------------------------------------------------------------------------


def work_forever(context: Context) -> None:
    """Run one RQ worker until SIGTERM, which lets it finish the job in hand."""
    jobs.set_context(context)
    warm_up(["en", *context.stories.languages()])
    settings = context.settings.work
    worker = hint_worker(context.hints, cpu_s=settings.cpu_s, memory_mb=settings.memory_mb)
    worker.work(logging_level="WARNING")


# --- supervisor -----------------------------------------------------------------------------


@dataclass(slots=True)
class _Child:
    """One supervised process and its history."""

    name: str
    arguments: tuple[str, ...]
    process: "subprocess.Popen[bytes] | None" = None
    start_at: float = 0.0  # monotonic; not before
    started_at: float = 0.0
    back_off_s: float = FIRST_BACK_OFF_S


class Supervisor:
    """Keeps child processes of this program alive: restarts them on any exit, with back-off.

    RQ's worker exits with status 0 on troubles of its own, so the status decides nothing.
    """

    def __init__(
        self, options: Sequence[str], environ: Mapping[str, str], *, log: IO[str] | None = None
    ) -> None:
        """Say what every child gets.

        Args:
            options: what stands before each child's own arguments.
            environ: their environment.
            log: where their standard error goes; ours when None.
        """
        self._options = tuple(options)
        self._log = log
        self._environ = {**environ, SUPERVISOR_VARIABLE: str(os.getpid())}
        self._children: list[_Child] = []
        self._stopping = threading.Event()

    def add(self, name: str, arguments: Sequence[str]) -> None:
        """Supervise ``samestory <arguments>`` from the next tick on."""
        self._children.append(_Child(name=name, arguments=tuple(arguments)))

    @property
    def pids(self) -> dict[str, int]:
        """The processes running now, by name."""
        return {c.name: c.process.pid for c in self._children if c.process}

    def tick(self) -> None:
        """Start what is not running and may be started."""
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._ended(child, now)
            if child.process is None and now >= child.start_at and not self._stopping.is_set():
                child.started_at = now
                child.process = subprocess.Popen(  # noqa: S603 - this very program
                    [sys.executable, "-m", "worker", *self._options, *child.arguments],
                    env=self._environ,
                    stdin=subprocess.DEVNULL,
                    stderr=self._log,
                    start_new_session=True,  # a terminal's Ctrl-C reaches us; we tell them
                )

    def stop(self, deadline_s: float) -> bool:
        """End the children: SIGTERM, and SIGKILL for those that are left at the deadline.

        Returns: whether all left by themselves. What a killed one had in hand is on the ledger.
        """
        self._stopping.set()
        running = [c.process for c in self._children if c.process and c.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + deadline_s
        all_left = True
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                all_left = False
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # its horse too
                process.wait()
        return all_left

    def _ended(self, child: _Child, now: float) -> None:
        status = child.process.returncode if child.process else None
        lived = now - child.started_at
        if lived > LONGEST_BACK_OFF_S:
            child.back_off_s = FIRST_BACK_OFF_S
        child.start_at = now + child.back_off_s
        log.warning("child_ended", child=child.name, status=status, restart_in_s=child.back_off_s)
        child.back_off_s = min(2 * child.back_off_s, LONGEST_BACK_OFF_S)
        child.process = None


def follow_parent() -> None:
    """End this process when its supervisor is gone, so that none is left over unsupervised."""
    parent = int(os.environ.get(SUPERVISOR_VARIABLE, "0"))
    if not parent:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="follow-parent").start()
