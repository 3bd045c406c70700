"""What the kernel and the C library hold processes to that handle what strangers sent.

Python-level time-outs do not hold: C code delays them and any `except Exception` swallows them.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # from malloc.h
_LARGE_BYTES = 128 * 1024  # glibc's own, before it starts to raise it


def limit_memory(more_mb: int) -> None:
    """Let this process map so much more memory than it has now; beyond, MemoryError is raised.

    Relative, because libraries map hundreds of MiB that they never touch.
    """
    limit = _address_space_bytes() + more_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def allow_cpu(more_s: float) -> None:
    """Let this process use so much more processor time than it has used; beyond, it is killed."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(usage.ru_utime + usage.ru_stime + more_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def die_with(parent: int) -> None:
    """Let the kernel kill this process when the one that forked it ends, however that ends.

    Only Linux knows this; elsewhere the orphan lives on until its job is done or its limit reached.

    Args:
        parent: process id, as seen before the fork.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was faster
            os.kill(os.getpid(), signal.SIGKILL)


def share_one_heap() -> None:
    """Let all threads of this process share one heap, and give large blocks back when they are freed.

    By default glibc gives each thread an arena, which keeps the room of the largest feed or page that
    the thread ever held, and counts as small what is no larger than the largest block freed so far
    (mallopt(3), M_ARENA_MAX and M_MMAP_THRESHOLD). Call it before threads start. A poller had 95 MB so
    and no more after 9 000 entries, instead of 128 MB and growing. Does nothing without glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def no_core_file() -> None:
    """Leave no core file when a limit kills this process: it would hold what strangers sent."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _address_space_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - not a file
            return int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux: as much as was seen there
        return 2**30
