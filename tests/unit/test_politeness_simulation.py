"""The small form of tests/benchmarks/politeness.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_hundreds_of_feeds_when_polled_for_days_then_nobody_is_asked_early_or_in_a_burst() -> None:
    """Neither at the start, nor after an outage of an hour, nor after the poller was away."""
    done = subprocess.run(
        [sys.executable, "tests/benchmarks/politeness.py", "--feeds", "1000", "--days", "6"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["early"], found["unconditional"], found["in_skipped_hours"]) == (0, 0, 0)
    assert found["most_in_flight_at_a_host"] == 1
    assert found["never_asked"] == 0
    for burst in ("peak_at_start", "peak_after_outage", "peak_after_restart", "peak_after_absence"):
        assert found[burst] <= 2.0, burst
    assert set(found["decided_by"]) >= {"new", "rhythm", "fresh", "feed", "skipped", "failures"}
