"""eval: how good the stories are on a labelled stream."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from worker.cli.common import AsJson, opened, out, print_json
from worker.cli.replay import fresh_namespace, read_sources, run_replay
from worker.errors import ConfigError
from worker.evaluate.labels import read_labels, scores


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="eval")(evaluate)


def evaluate(
    ctx: typer.Context,
    labelled: Annotated[
        Path, typer.Argument(help="JSONL[.gz] of records that carry their true story as 'cluster'.")
    ],
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Stream a labelled file through the real pipeline and score the stories it finds."""
    if not labelled.is_file():
        raise ConfigError(f"there is no file {labelled}")
    labels = read_labels(labelled)
    now = round(time.time(), 3)
    records, _ = read_sources([str(labelled)], now, (None, None))
    with opened(ctx, fresh_namespace(now, "eval")) as context:
        started = time.monotonic()
        done = run_replay(context, records, workers or os.cpu_count() or 1)
        seconds = time.monotonic() - started
    result = scores(labels, done) | {"articles_per_s": len(done) / seconds}
    if as_json:
        print_json(result)
        return
    table = Table(title=f"{labelled.name}: {len(done)} records")
    for name in ("", "precision", "recall", "F1"):
        table.add_column(name, justify="right" if name else "left")
    for measure in ("b_cubed", "pairwise"):
        score = result[measure]
        if isinstance(score, dict):
            cells = [f"{score[part]:.3f}" for part in ("precision", "recall", "f1")]
            table.add_row(measure.replace("_", "-"), *cells)
    out.print(table)
    out.print(
        f"NMI {result['nmi']:.3f}, ARI {result['ari']:.3f}; {result['found_stories']} stories found, "
        f"{result['true_stories']} true; {result['rejected']} rejected; "
        f"{result['articles_per_s']:.0f} articles/s"
    )
