"""Coverage-guided fuzzing of all that reads foreign input: `make fuzz`.

Runs each target in a process of its own, which ends at the first finding: the input lies in var/fuzz
then, and the trace stands above the report. Starts from the inputs in corpus/, and keeps what else is
interesting in var/fuzz, to go on from. The last line is a JSON object. Needs the extra `fuzz`.
"""

import argparse
import importlib
import json
import logging
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
WORK = ROOT / "var" / "fuzz"
# Bytes. What costs more than its size is for the sandbox to end, not for a fuzzer to find (docs/hostile.md
# H8 to H12, H34 to H38): of these sizes nothing takes seconds.
LONGEST = {"feed": 4_096, "page": 8_192, "opml": 4_096, "dates": 128, "urls": 512}
TARGETS = tuple(LONGEST)
# libFuzzer's wall clock for one input, on a machine that may have other things to do. A child of the
# sandbox has 5 s of processor time.
SLOWEST_S = 10
# What reads the input beside our own modules, as far as it is written in Python; it costs a second of
# start for some hundred kilobytes of source.
READERS = {
    "feed": ("feedparser", "feedparser_sgmllib"),
    "page": ("trafilatura.settings", "trafilatura.metadata", "justext", "courlan"),
    "opml": (),
    "dates": ("feedparser",),
    "urls": ("idna", "tld", "yarl"),
}
# How many there were until then, as libFuzzer tells now and then, and at its end.
_EXECUTIONS = re.compile(r"^(?:#|Done )(\d+)", re.MULTILINE)


def main() -> int:
    """Fuzz the targets that were asked for, one after the other; exit 1 when one found something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=600, help="for each target (600)")
    parser.add_argument("--target", choices=TARGETS, help="one only, instead of all")
    asked = parser.parse_args()
    reports = [fuzz(name, asked.seconds) for name in ([asked.target] if asked.target else TARGETS)]
    crashes = sum(int(report["crashes"]) for report in reports)
    print(json.dumps({"crashes": crashes, "targets": reports}))
    return min(crashes, 1)


def fuzz(name: str, seconds: int) -> dict[str, str | int]:
    """Run one target for some seconds in a process of its own; return its report."""
    kept, found = HERE / "corpus" / name, WORK / name
    found.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    run = subprocess.run(
        [
            *(sys.executable, __file__, "--child", name),
            *(f"-max_total_time={seconds}", f"-max_len={LONGEST[name]}", f"-timeout={SLOWEST_S}"),
            *(f"-dict={HERE}/dictionaries/{name}.dict", f"-artifact_prefix={WORK}/{name}-"),
            *(str(found), str(kept)),
        ],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    executions = _EXECUTIONS.findall(run.stderr)
    if run.returncode:
        print(run.stderr[-8_000:], file=sys.stderr)
    if not executions:
        sys.exit(f"the target {name} did not run; is the extra `fuzz` installed?")
    report: dict[str, str | int] = {
        "target": name,
        "seconds": round(time.monotonic() - started),
        "executions": int(executions[-1]),
        "crashes": int(run.returncode != 0),
        "corpus_files": len(list(kept.iterdir())),
    }
    print(json.dumps(report), flush=True)
    return report


def child(name: str, options: list[str]) -> None:
    """Be the process that libFuzzer drives; it ends here."""
    import atheris

    logging.disable(logging.CRITICAL)  # trafilatura tells of every page it makes nothing of
    # Imported here, so that the fuzzer sees which of their branches an input takes.
    tops = {reader.partition(".")[0] for reader in READERS[name]}
    with atheris.instrument_imports(include=["targets", "worker", *tops]):
        for reader in READERS[name]:
            importlib.import_module(reader)
        from targets import TARGETS as FUNCTIONS

    def one(data: bytes) -> None:
        try:
            FUNCTIONS[name](data)
        except BaseException:  # libFuzzer's own note of it is lost at times
            (WORK / f"{name}-finding").write_bytes(data)
            raise

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3:])
    sys.exit(main())
