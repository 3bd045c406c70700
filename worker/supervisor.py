"""The supervisor: keeps child processes of this program alive, and ends them in time."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

import structlog

from worker.core.retry import back_offs
from worker.endings import ENDINGS, on_ending

log = structlog.get_logger()

# Not SAMESTORY_…: those are settings.
SUPERVISOR_VARIABLE = "_SAMESTORY_SUPERVISOR"
# A child that lived so long did not fail at its start, which takes ten seconds on a busy machine.
_GOOD_LIFE_S = 60.0


class _Process(Protocol):
    """What is asked of a child: a part of `subprocess.Popen`."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit status, None while it runs."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its status; `subprocess.TimeoutExpired` where it takes longer."""


@dataclass(slots=True)
class _Child:
    """One supervised process and its history."""

    name: str
    arguments: tuple[str, ...]
    process: _Process | None = None
    start_at: float = 0.0  # monotonic; not before
    started_at: float = 0.0
    waits: Iterator[float] = field(default_factory=back_offs)


class Supervisor:
    """Keeps child processes of this program alive: restarts them on any exit, with back-off.

    RQ's worker exits with status 0 on troubles of its own, so the status decides nothing.
    """

    def __init__(
        self,
        options: Sequence[str],
        environ: Mapping[str, str],
        *,
        log: IO[str] | None = None,
        program: Callable[[Sequence[str]], object] | None = None,
    ) -> None:
        """Say what every child gets.

        Args:
            options: what stands before each child's own arguments.
            environ: their environment.
            log: where their standard error goes; ours when None.
            program: called with the arguments in a fork of this process, instead of a new Python:
                for children that need at once what this process has loaded already.
        """
        self._options = tuple(options)
        self._log = log
        self._program = program
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
                child.process = self._start((*self._options, *child.arguments))

    def _start(self, arguments: Sequence[str]) -> _Process:
        if self._program:
            return _Fork(self._program, arguments, self._environ)
        return subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "worker", *arguments],
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
        status = child.process.poll() if child.process else None
        if now - child.started_at > _GOOD_LIFE_S:
            child.waits = back_offs()
        wait_s = next(child.waits)
        child.start_at = now + wait_s
        log.warning("child_ended", child=child.name, status=status, restart_in_s=wait_s)
        child.process = None


class _Fork:
    """A child that goes on from where this process is, as a leader of its own session."""

    def __init__(
        self,
        program: Callable[[Sequence[str]], object],
        arguments: Sequence[str],
        environ: Mapping[str, str],
    ) -> None:
        """Fork. A signal that comes meanwhile is for the child's own handlers, not for ours in it."""

        def go_on() -> None:
            os.setsid()
            os.environ.update(environ)
            on_ending(signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
            program(arguments)

        self._process = multiprocessing.get_context("fork").Process(target=go_on, daemon=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
        self.pid = int(self._process.pid or 0)

    def poll(self) -> int | None:
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return self._process.exitcode


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
