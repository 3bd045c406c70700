"""eval: how good the stories are on a labelled stream."""

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from worker.cli.common import AsJson, err, opened, out, print_json
from worker.cli.replay import fresh_namespace, in_range, read_sources, run_replay
from worker.cli.scores import Comparison, as_document, print_report
from worker.core.evidence import unpack
from worker.decode.page import extract_page
from worker.errors import ConfigError, DecodeError
from worker.evaluate.cases import Case, cases_of
from worker.evaluate.labels import read_labels
from worker.evaluate.metrics import b_cubed, pairwise
from worker.evaluate.report import report
from worker.evaluate.watch import Watch, watched
from worker.steps.prepare import Draft
from worker.steps.records import Record, in_event_order
from worker.wiring import Context


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="eval")(evaluate)


def evaluate(
    ctx: typer.Context,
    labelled: Annotated[
        Path, typer.Argument(help="JSONL[.gz] of records that carry their true story as 'cluster'.")
    ],
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.")] = 0,
    plot: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw pictures into this folder.")
    ] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Compare with simpler methods on the same records.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Stream a labelled file through the real pipeline and score the stories it finds."""
    labels = read_labels(labelled)
    plots = _plots(plot) if plot else None
    now = round(time.time(), 3)
    found, bad = read_sources([str(labelled)], now)
    records = in_range(found, now)
    if not records:
        raise ConfigError(f"{labelled} holds no record that can be read")
    with opened(ctx, fresh_namespace(now, "eval")) as context:
        policy = context.settings.match.policy()
        window_s = context.settings.index.params().window_s
        watch = Watch()
        started = time.perf_counter()
        attacher = watched(context.attacher, watch)
        done = run_replay(context, records, workers or os.cpu_count() or 1, attacher)
        run_s = time.perf_counter() - started
        watch.follow(context.stories.current)
        cases = cases_of(done, labels, watch, window_s=window_s)
        result = report(cases, run_s=run_s)
        evidence = [_evidence(context, fault.culprit) for fault in result.worst]
    rivals = _compare(in_event_order(records), cases, window_s) if baseline else ()
    files = _drawn(plots, cases, plot, policy.story_threshold) if plots and plot else []
    if as_json:
        document = as_document(result, evidence, rivals)
        source = {
            "file": str(labelled),
            "namespace": context.namespace,
            "bad_records": len(bad),
        }
        print_json(source | document | {"plots": files})
    else:
        print_report(result, evidence, rivals, title=labelled.name)
        out.print(f"\nsamestory why ARTICLE --namespace {context.namespace}", markup=False)
        if files:
            err.print(f"{len(files)} pictures in {plot}", markup=False)
    if bad or result.failed:
        raise typer.Exit(1)


def _plots(folder: Path) -> ModuleType:
    """Return the module that draws; tell what is missing before an hour of work, not after.

    Raises:
        ConfigError: no matplotlib, or no folder to write to.
    """
    try:
        from worker.evaluate import plots  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as e:
        raise ConfigError(
            f"--plot needs the extra 'plot': pip install 'samestory[plot]' ({e})"
        ) from e
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise ConfigError(f"--plot {folder} cannot be made: {e.strerror}") from e
    return plots


def _drawn(plots: ModuleType, cases: Sequence[Case], folder: Path, threshold: float) -> list[str]:
    """Draw the pictures and return the files.

    Raises:
        ConfigError: one cannot be written.
    """
    try:
        return [str(path) for path in plots.draw(cases, folder, threshold=threshold)]
    except OSError as e:
        raise ConfigError(f"--plot {folder} cannot be written: {e.strerror}") from e


def _evidence(context: Context, case: Case) -> dict[str, object]:
    """Return what `why` knows of a decision; nothing where nothing was attached."""
    stored = context.stories.article(case.article_id) if case.story else None
    return dict(unpack(stored.evidence)) if stored else {}


def _compare(
    records: Sequence[Record], cases: Sequence[Case], window_s: float
) -> tuple[Comparison, ...]:
    """Group the same records in the same order by each simpler method."""
    from worker.evaluate import baselines  # noqa: PLC0415 - scipy would slow every command's start

    texts = [baselines.Text(words=_words(r.draft), at=r.at or 0.0) for r in records]
    true = [case.label for case in cases]
    rivals = []
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as progress:
        for method in baselines.methods():
            if method.missing:
                rivals.append(Comparison(method=method.name, skipped=method.missing))
                continue
            task = progress.add_task(method.name, total=len(texts))
            tick = partial(progress.advance, task)
            try:
                made = baselines.run(method, texts, window_s=window_s, tick=tick)
            except ImportError as e:  # it is there, but what it needs is not
                rivals.append(Comparison(method=method.name, skipped=f"cannot be loaded: {e}"))
                continue
            rivals.append(
                Comparison(
                    method=method.name,
                    b_cubed=b_cubed(true, made.stories),
                    pairwise=pairwise(true, made.stories),
                    articles_per_s=len(texts) / made.seconds,
                )
            )
    return tuple(rivals)


def _words(draft: Draft) -> str:
    """Return an article's title and text, of its page where it has one."""
    title, text = draft.title, draft.text
    if draft.html:
        try:
            page = extract_page(draft.html, url=draft.url)
        except DecodeError:
            return f"{title}\n{text}"
        title, text = title or page.title, max(page.text, text, key=len)
    return f"{title}\n{text}"
