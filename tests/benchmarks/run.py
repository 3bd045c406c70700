"""`make bench`: the cost of the core, side by side with what it is held against.

    python tests/benchmarks/run.py [--quick] [--articles N] [--docs docs] [ROW …]

Prints a table and, as its last line, one JSON object: row -> ours, theirs, ratio, unit. Rows come in
groups, which are named or left out whole. Results are kept in var/, so that a group can be measured
again without the others; --docs writes the table and the pictures of all that is kept.
docs/benchmarks.md says how each row is measured.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import growth
import reading
import redis
from bench import FULL, QUICK, ROOT, Bench, Figure, Sizes, say, server
from report import draw, table, write_table

GROUPS: Mapping[str, Callable[[Bench], Mapping[str, Figure]]] = {
    "index": growth.index,
    "growth": growth.growth,
    "text": reading.text,
    "pages": reading.pages,
    "pages_f1": reading.pages_f1,
    "skew": growth.skew,
    "windows": growth.windows,
}
MISSING = 2  # the exit code for data that is not there


def main() -> None:
    """Measure, print, keep."""
    options = _options()
    absent = reading.missing()
    if absent:
        sys.stderr.write(f"no development data: {absent} is missing; it lies beside the project\n")
        raise SystemExit(MISSING)
    kept_in = ROOT / "var" / ("benchmarks-quick.json" if options.quick else "benchmarks.json")
    kept = json.loads(kept_in.read_text()) if kept_in.is_file() else {"rows": {}, "series": {}}
    measured: dict[str, Figure] = {}
    with server() as url, redis.Redis.from_url(url) as client:
        bench = Bench(sizes=_sizes(options), client=client, redis_url=url)
        bench.series.update(kept["series"])
        for name in options.rows or GROUPS:
            say(f"measuring: {name}")
            started = time.monotonic()
            measured |= GROUPS[name](bench)
            say(f"{name} took {time.monotonic() - started:.0f} s")
            kept = _keep(kept_in, kept, measured, bench)
    figures = {name: Figure(**row) for name, row in kept["rows"].items()}
    if options.docs:
        pictures = draw(kept["series"], options.docs / "img")
        write_table(options.docs / "benchmarks.md", table(figures), kept["where"], pictures)
    sys.stdout.write(table(measured) + "\n")
    sys.stdout.write(json.dumps({name: _short(row) for name, row in measured.items()}) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(GROUPS)}; all")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out")
    parser.add_argument("--articles", type=int, help="fill the index with so many at most")
    parser.add_argument("--docs", type=Path, help="write table and pictures into this folder")
    options = parser.parse_args()
    if options.articles and options.articles < FULL.growth[0] and not options.quick:
        parser.error(f"--articles needs {FULL.growth[0]} at least")
    unknown = [name for name in options.rows if name not in GROUPS]
    if unknown:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    return options


def _sizes(options: argparse.Namespace) -> Sizes:
    sizes = QUICK if options.quick else FULL
    most = options.articles or sizes.growth[-1]
    return replace(sizes, growth=[size for size in sizes.growth if size <= most])


def _keep(
    path: Path, kept: Mapping[str, Any], measured: Mapping[str, Figure], bench: Bench
) -> dict[str, Any]:
    """Write what is known by now: a long run that breaks off has not measured in vain."""
    server_version = bench.client.info("server")["redis_version"]
    where = f"Redis {server_version}, Python {platform.python_version()}, {platform.machine()}"
    rows = {**kept["rows"], **{name: asdict(figure) for name, figure in measured.items()}}
    result = {"rows": rows, "series": {**kept["series"], **bench.series}, "where": where}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1))
    return result


def _short(row: Figure) -> dict[str, float | str | None]:
    return {"ours": row.ours, "theirs": row.theirs, "ratio": row.ratio, "unit": row.unit}


if __name__ == "__main__":
    main()
