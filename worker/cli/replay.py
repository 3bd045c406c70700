"""replay: run an archive, a data set or some texts through the pipeline, beside what is live."""

import json
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from worker import __version__
from worker.cli.assignments import opened_for_writing, write
from worker.cli.changes import Difference, as_document, print_changes
from worker.cli.common import AsJson, err, globals_of, iso, opened, out, print_json, printable
from worker.cli.diff import FailOver, Html, base_stories, difference, is_over, percent, write_page
from worker.errors import ConfigError
from worker.model import Outcome
from worker.steps.attach import Attacher
from worker.steps.records import (
    BadRecord,
    Record,
    dated,
    digest_of,
    in_event_order,
    kind_of,
    read_source,
    unix_time,
)
from worker.steps.replay import Replayed
from worker.store.keys import LIVE
from worker.wiring import Context, replay_steps

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help=".jsonl[.gz], WARC, feed or .txt files; '-' is JSONL on standard input.",
    ),
]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", help="Where to; a fresh one when not given.")
]
Since = Annotated[str, typer.Option("--from", help="Leave out records before this time.")]
Until = Annotated[str, typer.Option("--to", help="Leave out records from this time on.")]
OutFile = Annotated[
    Path | None, typer.Option("--out", help="One JSON line a record, in input order.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only so many records, the earliest.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Read and count; write nothing, ask no server.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting.")
]
Base = Annotated[
    str, typer.Option("--diff", metavar="BASE", help="Then say what differs from this one.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(replay)


def replay(
    ctx: typer.Context,
    sources: Sources,
    namespace: Namespace = "",
    since: Since = "",
    until: Until = "",
    out_file: OutFile = None,
    limit: Limit = None,
    workers: Workers = 0,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    overrides: Overrides = None,
    base: Base = "",
    html: Html = None,
    fail_over: FailOver = "",
    as_json: AsJson = False,
) -> None:
    """Replay records in event-time order into a namespace of their own; never touches 'live'."""
    bound = percent(fail_over)
    if not base and (html or fail_over):
        raise ConfigError("--html and --fail-over say something of a --diff BASE; name one")
    if namespace == LIVE:
        raise ConfigError("replay never writes to 'live'; name another namespace, or none")
    globals_of(ctx).extra += overrides or []
    window = _moment(since, "--from"), _moment(until, "--to")
    now = round(time.time(), 3)
    if dry_run:
        globals_of(ctx).settings()  # a wrong one is told now and not later
    read = [(source, *read_sources([source], now)) for source in sources]
    found = [record for _, records, _ in read for record in records]
    bad = sum(len(faults) for _, _, faults in read)
    if dry_run:
        _count(read, in_range(found, now, window, limit), as_json=as_json)
        raise typer.Exit(1 if bad else 0)
    with ExitStack() as stack:
        context = stack.enter_context(opened(ctx, namespace or fresh_namespace(now)))
        if base:
            base_stories(context, base)  # a name mistyped ends here, not after an hour
        now = context.replays.begin(_digest(context, found, window, limit), now=now)
        records = in_range(found, now, window, limit)
        target = stack.enter_context(opened_for_writing(out_file)) if out_file else None
        done = run_replay(context, records, workers or os.cpu_count() or 1, quiet=quiet)
        if target:
            write(target, records, done)
        failed = _failures_told(done)
        among = {record.article_id for record in records}
        differs = difference(context, base, among=among) if base else None
        _summary(context, done, bad, differs, as_json=as_json)
    if differs:
        write_page(differs, html)
    if failed or bad or (differs and is_over(differs, bound)):
        raise typer.Exit(1)


def read_sources(sources: Sequence[str], now: float) -> tuple[list[Record], list[BadRecord]]:
    """Read sources, and name what is no record at once. Returns the records in input order."""
    records: list[Record] = []
    bad: list[BadRecord] = []
    for source in sources:
        for item in read_source(source, now=now):
            if isinstance(item, Record):
                records.append(item)
            else:
                bad.append(item)
                text = f"{printable(item.place)}: {printable(item.reason)}"
                err.print(f"[red]bad record[/] {escape(text)}", soft_wrap=True)
    return records, bad


def in_range(
    records: Sequence[Record],
    now: float,
    window: tuple[float | None, float | None] = (None, None),
    limit: int | None = None,
) -> list[Record]:
    """Return, dated and in input order, the records from one time to another, at most so many.

    Those that a limit leaves out are the last in event order.
    """
    first, end = window
    kept = [
        record
        for record in dated(records, now=now)
        if (first is None or (record.at or 0.0) >= first)
        and (end is None or (record.at or 0.0) < end)
    ]
    if limit is None:
        return kept
    earliest = {id(record) for record in in_event_order(kept)[:limit]}
    return [record for record in kept if id(record) in earliest]


def run_replay(
    context: Context,
    records: Sequence[Record],
    workers: int,
    attacher: Attacher | None = None,
    *,
    quiet: bool = False,
) -> list[Replayed]:
    """Replay in event order with a progress bar on standard error, if that is a terminal."""
    with (
        replay_steps(context, workers, attacher) as steps,
        Progress(
            TextColumn("replaying"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=quiet or not err.is_terminal,
        ) as progress,
    ):
        task = progress.add_task("replay", total=len(records), rate="")
        started, done = time.monotonic(), []
        for replayed in steps.run(in_event_order(records)):
            done.append(replayed)
            rate = len(done) / max(time.monotonic() - started, 1e-9)
            progress.update(task, advance=1, rate=f"{rate:.0f}/s")
        return steps.in_the_end(done)


def _digest(
    context: Context,
    records: Sequence[Record],
    window: tuple[float | None, float | None],
    limit: int | None,
) -> str:
    """Return what names a replay: the digest of all that its answer depends on."""
    settings = context.settings
    parts = [
        *(__version__, window, limit, repr(context.scorer)),
        *(settings.match.model_dump(mode="json"), settings.index.model_dump(mode="json")),
    ]
    return digest_of(records, json.dumps(parts))


def _summary(
    context: Context,
    done: Sequence[Replayed],
    bad: int,
    found: Difference | None,
    *,
    as_json: bool,
) -> None:
    outcomes = {o.value: sum(r.outcome is o for r in done) for o in Outcome}
    summary = {
        "namespace": context.namespace,
        "records": len(done),
        "bad_records": bad,
        **outcomes,
        "copies": sum(r.copy_of is not None for r in done),
        "stories": len({r.story_id for r in done if r.story_id}),
    }
    if as_json:
        print_json(summary | ({"diff": as_document(found)} if found else {}))
        return
    width = max(map(len, summary))
    for name, value in summary.items():
        out.print(f"{name.replace('_', ' '):<{width}}  {value}", markup=False)
    out.print(f"\nsamestory stories --namespace {context.namespace}", markup=False)
    if found:
        out.print()
        print_changes(found)


def _count(
    read: Sequence[tuple[str, Sequence[Record], Sequence[BadRecord]]],
    records: Sequence[Record],
    *,
    as_json: bool,
) -> None:
    """Print what a replay would run: in all, and what each source holds."""
    times = [record.at for record in records if record.at is not None]
    document = {
        "records": len(records),
        "first": iso(min(times, default=None)),
        "last": iso(max(times, default=None)),
        "bad_records": sum(len(bad) for _, _, bad in read),
        "sources": [
            {"source": source, "kind": kind_of(source), "records": len(found), "bad": len(bad)}
            for source, found, bad in read
        ],
    }
    if as_json:
        print_json(document)
        return
    for source, found, bad in read:
        line = f"{printable(source)}  {kind_of(source)}  {len(found)} records, {len(bad)} bad"
        out.print(line, markup=False, soft_wrap=True)
    out.print(f"to replay: {len(records)}, {document['first']} to {document['last']}", markup=False)


def _failures_told(done: Sequence[Replayed]) -> int:
    """Name the records that ended in quarantine; return how many."""
    failed = [replayed for replayed in done if replayed.outcome is Outcome.QUARANTINED]
    for replayed in failed:
        line = f"record {replayed.record.name}: {replayed.reason}"
        err.print(f"[red]failed[/] {escape(printable(line))}", soft_wrap=True)
    return len(failed)


def _moment(value: str, option: str) -> float | None:
    """Return an option's time as Unix seconds.

    Raises:
        ConfigError: it is not ISO 8601.
    """
    if not value:
        return None
    try:
        return unix_time(value)
    except ValueError as e:
        raise ConfigError(
            f"{option} '{value}' is not an ISO 8601 time such as 2026-01-31T12:00:00Z"
        ) from e


def fresh_namespace(now: float, kind: str = "replay") -> str:
    """Return the name of a namespace that nobody has used."""
    moment = datetime.fromtimestamp(now, tz=timezone.utc)
    return f"{kind}-{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
