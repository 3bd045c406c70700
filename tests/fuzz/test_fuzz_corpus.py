from pathlib import Path

import pytest
from targets import CORPUS, TARGETS

INPUTS = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_input_when_it_was_kept_by_the_fuzzer_then_holds_what_every_input_must(path: Path) -> None:
    """What a fuzzer found interesting once is read or refused, without the fuzzer."""
    TARGETS[path.parent.name](path.read_bytes())


def test_corpus_when_it_grows_then_stays_small() -> None:
    """Every target has inputs to start from, and all together are quickly read and looked through."""
    assert {path.parent.name for path in INPUTS} == set(TARGETS)
    assert sum(path.stat().st_size for path in INPUTS) <= 100_000
