"""What the C library is asked for is what it does."""

import subprocess
import sys

import pytest

# Four threads hold some megabytes each at the same time; an arena's memory begins at a multiple of 64 MiB.
HOLD = """
import threading
from pathlib import Path
{0}
barrier = threading.Barrier(5)
def hold():
    kept = [bytearray(60_000) for _ in range(50)]
    barrier.wait()
    barrier.wait()
threads = [threading.Thread(target=hold) for _ in range(4)]
for thread in threads:
    thread.start()
barrier.wait()
lines = Path("/proc/self/maps").read_text().splitlines()
barrier.wait()
starts = [int(line.partition("-")[0], 16) for line in lines if line.split()[1] == "rw-p"]
print(sum(start % 2**26 == 0 for start in starts))
"""
SHARE = "from worker.limits import share_one_heap; share_one_heap()"


@pytest.mark.skipif(sys.platform != "linux", reason="memory maps are read in /proc")
def test_threads_share_one_heap_when_told_to() -> None:
    """Without it each has an arena; where the C library knows no arenas, there is none either way."""

    def arenas(first: str) -> int:
        answer = subprocess.run(
            [sys.executable, "-c", HOLD.format(first)], capture_output=True, text=True, check=True
        )
        return int(answer.stdout)

    assert arenas(SHARE) == 0
    if arenas("") == 0:
        pytest.skip("this C library has no arenas to begin with")
