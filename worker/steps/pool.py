"""Prepares many drafts on several cores, in order; one that kills its process costs only itself."""

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from types import TracebackType

from worker.limits import allow_cpu, limit_memory, no_core_file
from worker.model import IndexParams, MatchPolicy, Rejected
from worker.steps.prepare import Draft, Prepared, prepare

# A text takes 2 ms, a hand-over between processes .2 ms; eight at a time make that small.
CHUNK = 8
# The pool is ahead and may wait; the process that attaches, and Redis, are what a replay waits for.
NICENESS = 10
# Chunks in work ahead of the one that is waited for, per process.
AHEAD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A draft whose preparation ended its process."""

    reason: str


Result = Prepared | Rejected | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one draft may cost."""

    cpu_s: int
    memory_mb: int


class PreparePool:
    """A pool of processes; use it as ``with PreparePool(…) as pool``."""

    def __init__(
        self, workers: int, params: IndexParams, policy: MatchPolicy, limits: Limits
    ) -> None:
        self._workers = workers
        self._params = params
        self._policy = policy
        self._limits = limits
        self._executor = self._start()

    def __enter__(self) -> "PreparePool":  # noqa: PYI034 - Self came with Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown(cancel_futures=True)

    def map(self, drafts: Iterable[Draft]) -> Iterator[Result]:
        """Yield the result of each draft, in order, reading ahead only as far as needed."""
        source = iter(drafts)
        window: deque[tuple[list[Draft], Future[list[Result]]]] = deque()
        while True:
            while len(window) < AHEAD * self._workers and (chunk := list(islice(source, CHUNK))):
                window.append((chunk, self._submit(chunk)))
            if not window:
                return
            chunk, future = window.popleft()
            try:
                yield from future.result()
            except BrokenProcessPool:
                # Which draft did it is unknown, and every chunk in the pool is lost with it.
                yield from [self._alone(draft) for draft in chunk]
                window = deque((later, self._submit(later)) for later, _ in window)

    def again(self, draft: Draft, repeated: frozenset[int]) -> Result:
        """Prepare a draft without repeated lines."""
        return self._alone(draft, repeated)

    def _alone(self, draft: Draft, repeated: frozenset[int] = frozenset()) -> Result:
        """Prepare one draft in a process of the pool, whatever that does to the process."""
        try:
            return self._submit([draft], repeated).result()[0]
        except BrokenProcessPool:
            return Failed(reason="its preparation used too much processor time or memory")

    def _submit(
        self, chunk: list[Draft], repeated: frozenset[int] = frozenset()
    ) -> "Future[list[Result]]":
        cpu_s = self._limits.cpu_s
        task = partial(_prepare_chunk, chunk, self._params, self._policy, cpu_s, repeated)
        try:
            return self._executor.submit(task)
        except BrokenProcessPool:
            self._executor.shutdown()
            self._executor = self._start()
            return self._executor.submit(task)

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._workers,
            mp_context=get_context("fork"),  # what is imported here need not be there again
            initializer=_enter,
            initargs=(self._limits.memory_mb,),
        )


def _prepare_chunk(
    chunk: list[Draft],
    params: IndexParams,
    policy: MatchPolicy,
    cpu_s: int,
    repeated: frozenset[int],
) -> list[Result]:
    """Prepare drafts in a pool process, each with the processor time of one."""
    results: list[Result] = []
    for draft in chunk:
        allow_cpu(cpu_s)
        try:
            results.append(prepare(draft, params, policy, repeated))
        except MemoryError:
            results.append(Failed(reason="its preparation needed too much memory"))
        except Exception as e:  # noqa: BLE001 - the process's boundary: a fault is an answer too
            results.append(Failed(reason=f"its preparation failed: {type(e).__name__}: {e}"))
    return results


def _enter(memory_mb: int) -> None:
    """Bound a fresh pool process, let others go first, and leave Ctrl-C to its parent."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_memory(memory_mb)
    no_core_file()
