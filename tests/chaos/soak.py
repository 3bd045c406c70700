"""`make soak`: the same world without faults, to see what grows: memory of each role, keys of Redis.

    python tests/chaos/soak.py [--entries N] [--window-s N]

Window and retention are shortened, so that what expires does so within the run. The last line of
output is one JSON object; docs/reliability.md says what its figures mean. Ctrl-C ends the world's
growth; the figures are then of what was listed.
"""

import json
import re
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import redis
from plant import Plant, descendants, rss_mb
from stage import FULL_LOAD, SAY_S, Stage, parser, say, staged

from worker.settings import DAY_S

TICK_S = 0.5  # the machine is for those who are watched
SAMPLE_S = 5.0
WARM = 0.3  # of the entries: what grows before does not count
PER = 100_000
FLEETING = "horse"  # lives for one hint, so its size is known and it does not grow
_NAME = re.compile(rb"^(?:\{[^}]*\}|rq):([a-z_]+)")

Samples = defaultdict[str, list[tuple[int, float]]]  # role -> settled entries, MB


def main() -> None:
    """Run one soak; print what grew."""
    made = parser(__doc__ or "", 200_000)
    made.add_argument("--window-s", type=float, default=600.0, help="window and retention")
    options = made.parse_args()
    days = options.window_s / DAY_S
    with (
        tempfile.TemporaryDirectory(prefix="samestory-soak-") as folder,
        staged(
            Path(folder) / "home",
            options,
            ahead=FULL_LOAD,
            tick_s=TICK_S,
            retention_days=days,
            window_days=days,
        ) as stage,
    ):
        samples = _run(stage)
        seconds = time.monotonic() - stage.watch.started
        stage.plant.stop()
        at_end = _keys(stage.watch.client)
        say(f"waiting until all is past window and retention, {2 * options.window_s:g} s")
        time.sleep(2 * options.window_s)
        after = _keys(stage.watch.client)
    lasting = {role: seen for role, seen in sorted(samples.items()) if role != FLEETING}
    figures = {
        "entries": stage.watch.settled,
        "rss_growth_mb_per_100k": {r: _growth(s, stage.watch.settled) for r, s in lasting.items()},
        "rss_max_mb": {r: round(max(mb for _, mb in s), 1) for r, s in sorted(samples.items())},
        "keys_at_end": at_end,
        "keys_after_window": after,
        "window_s": options.window_s,
        "seconds": round(seconds, 1),
        "seed": options.seed,
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    raise SystemExit(not stage.done)


def _run(stage: Stage) -> Samples:
    """Let the world pass through, and sample memory on the way."""
    samples: Samples = defaultdict(list)
    signal.signal(signal.SIGINT, lambda *_: stage.world.end())
    watch, sampled, said = stage.watch, 0.0, time.monotonic()
    while not stage.done and stage.tick():
        now = time.monotonic()
        if now - sampled > SAMPLE_S:
            sampled = now
            for role, megabytes in _memory(stage.plant).items():
                samples[role].append((watch.settled, megabytes))
        if now - said > SAY_S:
            said = now
            say(f"{watch.settled} settled, {watch.pending} pending")
    return samples


def _memory(plant: Plant) -> dict[str, float]:
    """Return the resident memory of each role, of the largest process where there are several."""
    poller = plant.poller()
    pids = {
        "poll": [poller],
        "feed decoder": descendants(poller) if poller else [],
        "supervisor": plant.tops(),
        "worker": list(plant.workers()),
        "horse": [horse for horses in plant.workers().values() for horse in horses],
        "redis": [plant.redis_pid],
    }
    largest = {role: max(map(rss_mb, found), default=0.0) for role, found in pids.items()}
    return {role: megabytes for role, megabytes in largest.items() if megabytes}


def _growth(seen: Sequence[tuple[int, float]], entries: int) -> float | None:
    """Return the slope of memory over entries, per 100 000 of them, once warm; None of too few."""
    warm = [(settled, megabytes) for settled, megabytes in seen if settled >= WARM * entries]
    if len({settled for settled, _ in warm}) < 3:
        return None
    settled, megabytes = np.array(warm).T
    return round(float(np.polyfit(settled, megabytes, 1)[0]) * PER, 2)


def _keys(client: redis.Redis) -> dict[str, int]:
    """Count the keys by the first word of their name."""
    counts: Counter[str] = Counter()
    for key in client.scan_iter(count=1_000):
        found = _NAME.match(key)
        counts[found.group(1).decode() if found else "other"] += 1
    return dict(sorted(counts.items()))


if __name__ == "__main__":
    main()
