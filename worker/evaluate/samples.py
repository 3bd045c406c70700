"""Reads labelled files as signed samples: the same records, gates and languages as in a replay."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from worker.errors import ConfigError
from worker.evaluate.labels import read_labels
from worker.evaluate.simulate import Sample
from worker.settings import Settings
from worker.steps.pool import Limits, PreparePool
from worker.steps.prepare import Prepared
from worker.steps.records import Record, dated, in_event_order, read_source

_UNDATED = 0.0  # where a file's first records have no time: the same in every run


def read_samples(paths: Sequence[Path], settings: Settings, *, workers: int) -> list[Sample]:
    """Return the articles of labelled files in event order; rejected ones are left out.

    Raises:
        ConfigError: a file is missing, or a line has no label.
    """
    stories: dict[str, str] = {}
    records: dict[str, Record] = {}
    for number, path in enumerate(paths):
        if not path.is_file():
            raise ConfigError(f"there is no file {path}")
        labels = read_labels(path)
        for record in read_source(str(path), now=_UNDATED):
            if not isinstance(record, Record):
                raise ConfigError(f"{record.place}: {record.reason}")
            if record.article_id not in records:
                records[record.article_id] = record
                stories[record.article_id] = f"{number}:{labels[str(record.name)]}"
    ordered = in_event_order(dated(records.values(), now=_UNDATED))
    limits = Limits(cpu_s=settings.work.cpu_s, memory_mb=settings.work.memory_mb)
    with PreparePool(workers, settings.index.params(), settings.match.policy(), limits) as pool:
        results = list(pool.map(record.draft for record in ordered))
    return [
        Sample(
            name=record.article_id,
            at=record.at or _UNDATED,
            true=stories[record.article_id],
            lang=prepared.lang,
            sketch=prepared.sketch,
        )
        for record, prepared in zip(ordered, results, strict=True)
        if isinstance(prepared, Prepared)
    ]


def fingerprint(path: Path) -> dict[str, object]:
    """Return a file's name and SHA-256, so that a model says what it was fitted on."""
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
