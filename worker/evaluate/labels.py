"""Labelled streams: which true story each record of a JSONL file belongs to."""

import gzip
import json
from collections.abc import Hashable
from pathlib import Path

from worker.errors import ConfigError

LABEL = "cluster"
_ENDINGS = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


def read_labels(path: Path) -> dict[str, Hashable]:
    """Return the true story of each record of a JSONL file, by the record's id.

    Raises:
        ConfigError: the file is not there, cannot be read or holds no record, or a line has no
            label or contradicts another one; evaluating the rest would tell half the truth.
    """
    if not path.name.lower().endswith(_ENDINGS):
        raise ConfigError(f"{path} is not JSONL; a labelled file ends in {', '.join(_ENDINGS)}")
    labels: dict[str, Hashable] = {}
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    name, label = _labelled(line, f"{path}, line {number}")
                    if labels.setdefault(name, label) != label:
                        raise ConfigError(
                            f"{path}, line {number}: record '{name}' is in '{LABEL}' "
                            f"'{labels[name]}' and '{label}'; a record has one true story"
                        )
    except FileNotFoundError as e:
        raise ConfigError(f"there is no file {path}") from e
    except (OSError, EOFError) as e:  # also a .gz that is none, or torn
        raise ConfigError(f"{path} cannot be read: {e}") from e
    if not labels:
        raise ConfigError(f"{path} holds no record")
    return labels


def _labelled(line: bytes, place: str) -> tuple[str, Hashable]:
    """Return the id and the label of one line.

    Raises:
        ConfigError: it has none, or a label that is neither text nor a whole number.
    """
    try:
        record = json.loads(line)
        name, label = record["id"], record[LABEL]
    except (ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{place}: no 'id' and '{LABEL}': {e}") from e
    if isinstance(label, bool) or not isinstance(label, str | int) or label == "":
        raise ConfigError(
            f"{place}: '{LABEL}' is {json.dumps(label)[:40]}; the true story is text or a number"
        )
    return str(name), label
