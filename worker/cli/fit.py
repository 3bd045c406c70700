"""fit: a decision model of one's own, from articles whose true stories are known."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from worker.cli.common import err, globals_of, out
from worker.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(fit)


def fit(
    ctx: typer.Context,
    labelled: Annotated[
        list[Path],
        typer.Argument(
            metavar="LABELLED...",
            help="JSONL[.gz] of records that carry their true story as 'cluster'.",
        ),
    ],
    model: Annotated[Path, typer.Option("--out", help="Where to write the model.")] = Path(
        "model.json"
    ),
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.")] = 0,
) -> None:
    """Fit the decision model on labelled streams, cross-validated by story; needs no Redis.

    Use it with --set match.model=FILE. The same input gives the same file.
    """
    if find_spec("sklearn") is None:
        raise ConfigError("fitting needs scikit-learn: pip install 'samestory[fit]'")
    # Here, because scientific Python takes longer to import than other commands to run.
    from worker.evaluate.fit import fit as fit_model  # noqa: PLC0415
    from worker.evaluate.fit import model_document  # noqa: PLC0415
    from worker.evaluate.samples import fingerprint, read_samples  # noqa: PLC0415

    settings = globals_of(ctx).settings()
    samples = read_samples(labelled, settings, workers=workers or os.cpu_count() or 1)
    err.print(f"{len(samples)} articles read", markup=False)
    fitted = fit_model(
        samples,
        settings.index.params(),
        settings.match.policy(),
        say=lambda line: err.print(line, markup=False),
    )
    document = model_document(fitted, [fingerprint(path) for path in labelled], samples)
    try:
        model.write_text(document, encoding="utf-8")
    except OSError as e:
        raise ConfigError(f"--out {model} cannot be written: {e.strerror}") from e
    _print(fitted.validation.threshold, fitted.validation.every)
    out.print(f"{model} written; use it with --set match.model={model}", markup=False)


def _print(threshold: float, scores: Mapping[str, Mapping[str, float]]) -> None:
    """Print how good the stories of the unseen folds are."""
    table = Table(title=f"unseen stories, threshold {threshold:g}")
    for name in ("", "precision", "recall", "F1"):
        table.add_column(name, justify="right" if name else "left")
    for measure, score in scores.items():
        table.add_row(
            measure.replace("_", "-"), *(f"{score[p]:.3f}" for p in ("precision", "recall", "f1"))
        )
    out.print(table)
