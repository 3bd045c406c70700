"""Labelled streams: which true story each record belongs to, and how well the found ones agree."""

import gzip
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from worker.errors import ConfigError
from worker.evaluate.metrics import (
    adjusted_rand_index,
    b_cubed,
    normalised_mutual_information,
    pairwise,
)
from worker.steps.replay import Replayed

LABEL = "cluster"


def read_labels(path: Path) -> dict[str, Hashable]:
    """Return the true story of each record of a JSONL file, by the record's id.

    Raises:
        ConfigError: a line without a label; evaluating the rest would tell half the truth.
    """
    labels: dict[str, Hashable] = {}
    with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                labels[str(record["id"])] = record[LABEL]
            except (ValueError, KeyError, TypeError) as e:
                raise ConfigError(f"{path}, line {number}: no 'id' and '{LABEL}': {e}") from e
    return labels


def scores(labels: Mapping[str, Hashable], done: Sequence[Replayed]) -> dict[str, object]:
    """Return how well the stories found agree with the labels; a rejected record stands alone."""
    true = [labels[str(replayed.record.name)] for replayed in done]
    found = [replayed.story_id for replayed in done]
    return {
        "records": len(done),
        "true_stories": len(set(true)),
        "found_stories": len({story for story in found if story}),
        "rejected": sum(story is None for story in found),
        "b_cubed": asdict(b_cubed(true, found)) | {"f1": b_cubed(true, found).f1},
        "pairwise": asdict(pairwise(true, found)) | {"f1": pairwise(true, found).f1},
        "nmi": normalised_mutual_information(true, found),
        "ari": adjusted_rand_index(true, found),
    }
