"""A clock that can be moved from outside: Python imports this module, if it finds it, before any other.

The campaign puts this folder on the path of the processes it starts. Each of them then has a file of
its own, named by its process id, with the seconds by which its `time.time` is ahead. A process that it
forks shares the clock.
"""

import mmap
import os
import struct
import time
from pathlib import Path

AHEAD = struct.Struct("d")


def _movable(folder: str) -> None:
    with (Path(folder) / str(os.getpid())).open("wb+") as file:
        file.write(AHEAD.pack(0.0))
        file.flush()
        memory = mmap.mmap(file.fileno(), AHEAD.size)
    real = time.time
    time.time = lambda: real() + AHEAD.unpack_from(memory)[0]


if "CHAOS_CLOCKS" in os.environ:
    _movable(os.environ["CHAOS_CLOCKS"])
