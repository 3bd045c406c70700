"""`make outage`: Redis goes away in the middle of work, and how long it takes until all is as before.

    python tests/chaos/outage.py [--away-s N] [--hang]

The last line of output is one JSON object. `back_s` is the time from Redis's return until the first
moment from which entries are settled at the full rate for WINDOW_S; the full rate is FULL of what it was
before. The exit code is 1 when that takes longer than 15 s, or a worker was started anew twice.
"""

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from stage import FULL_LOAD, Stage, parser, say, staged

TICK_S = 0.1
WARM_S = 20.0  # workers start and load, and the first of the queue is worked off
BEFORE_S = 20.0  # what the rate before is taken of
WINDOW_S = 5.0
FULL = 0.9  # rates over five seconds differ by a tenth anyhow
LIMIT_S = 15.0
AFTER_S = 60.0


def main() -> None:
    """Run it once; print what came of it."""
    made = parser(__doc__ or "", 20_000)
    made.add_argument("--away-s", type=float, default=30.0)
    made.add_argument("--hang", action="store_true", help="stop the server instead of killing it")
    options = made.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="samestory-outage-") as folder,
        staged(Path(folder) / "home", options, ahead=FULL_LOAD, tick_s=TICK_S) as stage,
    ):
        _pass(stage, WARM_S)
        before = _pass(stage, BEFORE_S)
        workers = set(stage.plant.workers())
        say(f"{before:.1f} entries a second; Redis goes away for {options.away_s:g} s")
        _go_away(stage, options.away_s, hang=options.hang)
        returned_at = time.monotonic() - stage.watch.started
        _pass(stage, AFTER_S)
        replaced = len(workers - set(stage.plant.workers()))
        restarts = (Path(folder) / "home" / "log").read_text().count('"child_ended"')
    back_s = _back_s(stage, returned_at, before)
    figures = {
        "away_s": options.away_s,
        "hang": options.hang,
        "entries_per_s": round(before, 1),
        "back_s": back_s,
        "workers": len(workers),
        "workers_replaced": replaced,
        "restarts": restarts,
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    raise SystemExit(back_s is None or back_s > LIMIT_S or restarts > replaced)


def _pass(stage: Stage, seconds: float) -> float:
    """Let time pass; return how many entries were settled a second."""
    started, settled = time.monotonic(), stage.watch.settled
    while (passed := time.monotonic() - started) < seconds:
        stage.tick()
    return (stage.watch.settled - settled) / passed


def _go_away(stage: Stage, seconds: float, *, hang: bool) -> None:
    """Take the server away, and bring it back. Nobody looks meanwhile: there is nothing to see."""
    if hang:
        os.kill(stage.plant.redis_pid, signal.SIGSTOP)
    else:
        stage.plant.kill_redis()
    back_at = time.monotonic() + seconds
    while time.monotonic() < back_at:
        stage.plant.tend(stage.redis_url)
        time.sleep(TICK_S)
    if hang:
        os.kill(stage.plant.redis_pid, signal.SIGCONT)
    else:
        stage.plant.start_redis()


def _back_s(stage: Stage, returned_at: float, before: float) -> float | None:
    """Return how long after its return a time at the full rate began; None if none did."""
    after = [(s, settled) for s, _, settled, *_ in stage.watch.samples if s >= returned_at]
    for at, (began, settled) in enumerate(after):
        for s, then in after[at:]:
            if s >= began + WINDOW_S:
                if (then - settled) / (s - began) >= FULL * before:
                    return round(began - returned_at, 1)
                break
    return None


if __name__ == "__main__":
    main()
