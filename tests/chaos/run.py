"""`make chaos`: kills, lost replies and moved clocks against a running samestory, and what it cost.

    python tests/chaos/run.py [--entries N] [--kills N] [--seed N] [--without FAULT …] [--docs docs]

The last line of output is one JSON object; docs/reliability.md says what its figures mean. The exit
code is 1 when an entry was lost, an article counted twice, a story split, or the audit not balanced.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import redis
from faults import KILLS, OTHERS, Faults, schedule
from plant import Plant
from proxy import Proxy
from verdict import Verdict, judge
from watch import Watch
from world import World, plan

from worker.settings import load_settings
from worker.wiring import Context

TICK_S = 0.03
AHEAD = 120  # entries listed that have no outcome yet
STALL_S = 240.0  # twice the time that a feed waits whose poller was killed
POISON = 5_000  # one entry in so many costs its reader's life; one at least


def main() -> None:
    """Run one campaign; print what came of it."""
    options = _options()
    home = Path(tempfile.mkdtemp(prefix="samestory-chaos-"))
    with ExitStack() as stack:
        figures, verdict = _campaign(options, home, stack)
    for line in verdict.lines():
        sys.stdout.write(line + "\n")
    wrong = any(figures[name] for name in ("lost", "doubled", "split", "misjudged"))
    wrong = wrong or not figures["audit"]["balanced"]
    if wrong or options.keep:
        say(f"logs and data are kept in {home}")
    else:
        shutil.rmtree(home)
    sys.stdout.write(json.dumps(figures) + "\n")
    raise SystemExit(wrong)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without", nargs="*", default=[], choices=[*KILLS, *OTHERS])
    parser.add_argument("--supervisors", type=int, default=2, help="`samestory work` processes")
    parser.add_argument("--processes", type=int, default=2, help="workers of each")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and data")
    parser.add_argument("--docs", type=Path, help="draw the pictures into this folder's img")
    return parser.parse_args()


def _campaign(
    options: argparse.Namespace, home: Path, stack: ExitStack
) -> tuple[dict[str, Any], Verdict]:
    poison = max(1, options.entries // POISON)
    world = World(options.seed, plan(options.seed, options.entries, poison=poison))
    plant = Plant(home, options.supervisors, options.processes)
    stack.callback(plant.close)
    plant.start_redis()
    proxy = Proxy(plant.socket)
    url = stack.enter_context(proxy.running())
    stack.enter_context(world.served())
    added = plant.ask("feeds", "add", *world.feed_urls())
    if added.returncode:
        raise SystemExit(added.stderr)
    client = redis.Redis(unix_socket_path=str(plant.socket), retry=None, protocol=2)
    watch = Watch(client, world)
    draw = random.Random(f"faults {options.seed}")
    due = schedule(draw, options.entries, options.kills, frozenset(options.without))
    faults = Faults(plant, proxy, watch, due, draw)
    _run(plant, watch, faults, url)
    seconds = time.monotonic() - watch.started
    plant.stop()
    context = Context(settings=load_settings(), redis_url=plant.url)
    audit = json.loads(plant.ask("audit", "--json").stdout)
    verdict = judge(context, world)
    for line in audit["offences"][:20]:
        say(f"audit: {line}")
    if options.docs:
        from picture import draw_timeline

        draw_timeline(watch.samples, faults.struck, options.docs / "img")
    trace = {"faults": [asdict(f) for f in faults.struck], "recoveries": watch.recoveries}
    (home / "trace.json").write_text(json.dumps(trace, indent=1))
    return _figures(options, watch, faults, verdict, audit, seconds), verdict


def _run(plant: Plant, watch: Watch, faults: Faults, url: str) -> None:
    """Let the world grow and the faults strike until every entry has its outcome."""
    entries = len(watch.world.items)
    said = time.monotonic()
    while watch.settled < entries or watch.pending:
        plant.tend(url)
        watch.publish(min(entries, watch.settled + AHEAD))
        watch.look()
        faults.tick(watch.settled)
        now = time.monotonic()
        if now - watch.settled_at > STALL_S:
            say(f"nothing moved for {STALL_S:g} s: {len(watch.open)} entries are left")
            break
        if now - said > 15:
            said = now
            say(
                f"{watch.settled} of {entries} settled, {faults.kills} kills, {watch.pending} pending"
            )
        time.sleep(TICK_S)
    faults.end()


def _figures(
    options: argparse.Namespace,
    watch: Watch,
    faults: Faults,
    verdict: Verdict,
    audit: dict[str, Any],
    seconds: float,
) -> dict[str, Any]:
    of_work = sorted(s for kind, _, s in watch.recoveries if kind != "poller")
    of_poll = sorted(s for kind, _, s in watch.recoveries if kind == "poller")
    return {
        "entries": len(watch.world.items),
        "kills": faults.kills,
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "split": len(verdict.split),
        "recovery_p50_s": quantile(of_work, 0.5),
        "recovery_p99_s": quantile(of_work, 0.99),
        "recovery_max_s": quantile(of_work, 1.0),
        "recoveries": len(of_work),
        "poller_recovery_p50_s": quantile(of_poll, 0.5),
        "poller_recovery_p99_s": quantile(of_poll, 0.99),
        "misjudged": len(verdict.misjudged),
        "given_up": len(verdict.given_up),
        "audit": {"balanced": audit["balanced"], "offences": len(audit["offences"])},
        "outcomes": dict(verdict.outcomes),
        "faults": faults.counts(),
        "replies_dropped": faults.proxy.dropped,
        "requests_reset": faults.proxy.resets,
        "seconds": round(seconds, 1),
        "seed": options.seed,
    }


def quantile(ordered: list[float], share: float) -> float | None:
    """Return the value below which a share of an ordered list lies; None of an empty one."""
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


def say(line: str) -> None:
    """Tell the one who waits."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


if __name__ == "__main__":
    main()
