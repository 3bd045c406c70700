"""The supervisor: keeps child processes of this program alive, and ends them in time."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

import structlog

from worker.core.retry import back_offs

log = structlog.get_logger()

# Not SAMESTORY_…: those are settings.
SUPERVISOR_VARIABLE = "_SAMESTORY_SUPERVISOR"
# A child that lived so long did not fail at its start, which takes ten seconds on a busy machine.
_GOOD_LIFE_S = 60.0


@dataclass(slots=True)
class _Child:
    """One supervised process and its history."""

    name: str
    arguments: tuple[str, ...]
    process: "subprocess.Popen[bytes] | None" = None
    start_at: float = 0.0  # monotonic; not before
    started_at: float = 0.0
    waits: Iterator[float] = field(default_factory=back_offs)


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
                    os.killpg(process.pid, signal.SIGKILL)  # its horse dies with it
                process.wait()
        return all_left

    def _ended(self, child: _Child, now: float) -> None:
        status = child.process.returncode if child.process else None
        if now - child.started_at > _GOOD_LIFE_S:
            child.waits = back_offs()
        wait_s = next(child.waits)
        child.start_at = now + wait_s
        log.warning("child_ended", child=child.name, status=status, restart_in_s=wait_s)
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
