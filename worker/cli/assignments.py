"""The file of `replay --out`: one JSON line a record, there as a whole or not at all."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from worker.errors import ConfigError
from worker.steps.records import Record
from worker.steps.replay import Replayed


@contextmanager
def opened_for_writing(path: Path) -> Iterator[IO[str]]:
    """Give a file beside the one named, which it replaces when all is written.

    What is there and no plain file, such as a pipe, is written to itself.

    Raises:
        ConfigError: it cannot be written.
    """
    plain = path.is_file() or not path.exists()
    part = path.with_name(f"{path.name}.part") if plain else path
    try:
        target = part.open("w", encoding="utf-8")
    except OSError as e:
        raise ConfigError(f"--out {path} cannot be written: {e.strerror}") from e
    with target:
        yield target
        target.flush()
        if plain:  # on disk before it has its name: else a power cut could leave an empty file
            os.fsync(target.fileno())
            part.replace(path)


def write(target: IO[str], records: Sequence[Record], done: Sequence[Replayed]) -> None:
    """Write one line a record, in input order."""
    by_record = {id(replayed.record): replayed for replayed in done}
    for record in records:
        replayed = by_record[id(record)]
        line = {
            "id": record.name,
            "story": replayed.story_id,
            "copy_of": replayed.copy_of,
            "outcome": replayed.outcome.value,
            "score": round(replayed.score, 4),
            "reason": replayed.reason,
        }
        target.write(json.dumps(line, ensure_ascii=False) + "\n")
