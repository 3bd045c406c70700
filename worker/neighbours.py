"""Tells of a worker by its name whether it lived on this machine and is dead. On Linux.

A lease tells the same of any worker anywhere, seconds later. Who shares a kernel and its process
ids with the dead one need not wait for that.
"""

import functools
import hashlib
import os
import re
import secrets
from pathlib import Path

# What the kernel writes of a process: its state is the first field after its name, and the clock
# tick it was started at the 20th (proc(5), /proc/pid/stat, where they are (3) and (22)).
_STATE, _STARTED = 0, 19
_ENDED = frozenset({"Z", "X"})  # a zombie waits for nothing but its parent
_NAME = re.compile(r"([0-9a-f]{12})-([0-9]{1,10})-([0-9]{1,20})-[0-9a-f]{8}")


def own_name() -> str:
    """Return a name for this process, never given before: where it lives, and since when."""
    stat = _stat(os.getpid())
    started = stat[_STARTED] if stat else "0"
    return f"{_machine()}-{os.getpid()}-{started}-{secrets.token_hex(4)}"


def is_dead(name: str) -> bool:
    """Say whether a process that gave itself this name has ended.

    False as well of one on another machine or in another container, and of what is no such name.
    """
    match = _NAME.fullmatch(name)
    if not match or match[1] != _machine():
        return False
    pid = int(match[2])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    stat = _stat(pid)
    return bool(stat) and (stat[_STATE] in _ENDED or stat[_STARTED] != match[3])


@functools.cache
def _machine() -> str:
    """Return what all processes share that see each other's ids: one boot, one namespace of ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        seen = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        seen = secrets.token_hex()  # nobody's neighbour
    return hashlib.sha256(seen.encode()).hexdigest()[:12]


def _stat(pid: int) -> list[str]:
    """Return what the kernel says of a process; nothing where it says nothing."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
