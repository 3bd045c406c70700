"""`make chaos`: kills, lost replies and moved clocks against a running samestory, and what it cost.

    python tests/chaos/run.py [--entries N] [--kills N] [--seed N] [--without FAULT …] [--docs docs]

The last line of output is one JSON object; docs/reliability.md says what its figures mean. The exit
code is 1 when an entry was lost, an article counted twice, a story split, or the audit not balanced.
Ctrl-C ends the faults and the world's growth; the verdict is then on what was listed.
"""

import argparse
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faults import KILLS, OTHERS, Faults, schedule
from proxy import Fate, Proxy, proxied
from stage import SAY_S, Stage, parser, say, staged
from verdict import Verdict, judge

from worker.settings import load_settings
from worker.wiring import Context

AHEAD = (
    60  # entries: a second or two of work, so that what a kill hits is in hand and not in a queue
)
TICK_S = 0.03  # what recoveries are measured to
SHOWN = 20  # lines that are printed of each kind


def main() -> None:
    """Run one campaign; print what came of it."""
    options = _options()
    home = Path(tempfile.mkdtemp(prefix="samestory-chaos-"))
    with (
        staged(home, options, ahead=AHEAD, tick_s=TICK_S) as stage,
        proxied(stage.plant.url) as proxy,
    ):
        stage.redis_url = proxy.url
        faults = _run(stage, proxy, options)
        seconds = time.monotonic() - stage.watch.started
        stage.plant.stop()
        audit = json.loads(stage.plant.ask("audit", "--json").stdout)
        context = Context(settings=load_settings(), redis_url=stage.plant.url)
        verdict = judge(context, stage.world)
    figures = _figures(stage, proxy, faults, verdict, audit)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures |= {"seconds": round(seconds, 1), "cpu_s": round(used.ru_utime + used.ru_stime, 1)}
    figures["seed"] = options.seed
    _keep(stage, faults, home / "trace.json")
    if options.docs:
        from picture import draw_timeline

        draw_timeline(stage.watch.samples, faults.struck, options.docs / "img")
    offences = [f"audit: {line}" for line in audit["offences"][:SHOWN]]
    sys.stdout.writelines(line + "\n" for line in [*verdict.lines(SHOWN), *offences])
    wrong = any(figures[name] for name in ("lost", "doubled", "split", "misjudged"))
    wrong = wrong or figures["listed"] < figures["entries"] or not audit["balanced"]
    if wrong or options.keep:
        say(f"logs, data and the trace are kept in {home}")
    else:
        shutil.rmtree(home)
    sys.stdout.write(json.dumps(figures) + "\n")
    raise SystemExit(wrong)


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "", 10_000)
    made.add_argument("--kills", type=int, default=500)
    made.add_argument("--without", nargs="*", default=[], choices=[*KILLS, *OTHERS])
    made.add_argument("--keep", action="store_true", help="keep the folder with logs and data")
    made.add_argument("--docs", type=Path, help="draw the picture into this folder's img")
    return made.parse_args()


def _run(stage: Stage, proxy: Proxy, options: argparse.Namespace) -> Faults:
    """Let the world grow and the faults strike until every entry has its outcome."""
    draw = random.Random(f"faults {options.seed}")
    due = schedule(draw, options.entries, options.kills, frozenset(options.without))
    faults = Faults(stage.plant, proxy, stage.watch, due, draw)
    signal.signal(signal.SIGINT, lambda *_: (due.clear(), stage.world.end()))
    watch, said = stage.watch, time.monotonic()
    while not stage.done and stage.tick(faults.next_at):
        faults.tick(watch.settled)
        if time.monotonic() - said > SAY_S:
            said = time.monotonic()
            say(f"{watch.settled} settled, {watch.pending} pending, {faults.kills} kills")
    faults.end()
    return faults


def _figures(
    stage: Stage, proxy: Proxy, faults: Faults, verdict: Verdict, audit: dict[str, Any]
) -> dict[str, Any]:
    watch = stage.watch
    of_work = sorted(s for kind, _, s, _ in watch.recoveries if kind != "poller")
    of_poll = sorted(s for kind, _, s, _ in watch.recoveries if kind == "poller")
    return {
        "entries": len(stage.world.items),
        "listed": len(stage.world.published),
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
        "replies_dropped": proxy.seen[Fate.LOST_REPLY],
        "requests_reset": proxy.seen[Fate.LOST_REQUEST],
    }


def _keep(stage: Stage, faults: Faults, path: Path) -> None:
    """Write what struck when, and every recovery."""
    trace = {
        "faults": [asdict(fault) for fault in faults.struck],
        "recoveries": stage.watch.recoveries,
        "samples": stage.watch.samples,
    }
    path.write_text(json.dumps(trace))


def quantile(ordered: list[float], share: float) -> float | None:
    """Return the value below which a share of an ordered list lies; None of an empty one."""
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


if __name__ == "__main__":
    main()
