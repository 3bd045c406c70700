"""What a labelled file must be for an evaluation to tell the truth."""

import gzip
import json
from pathlib import Path

import pytest

from worker.errors import ConfigError
from worker.evaluate.labels import read_labels


def _write(folder: Path, *lines: object, name: str = "l.jsonl") -> Path:
    path = folder / name
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text)
    return path


def test_labels_when_plain_or_packed_then_are_the_same(tmp_path: Path) -> None:
    """Text and numbers are labels, empty lines are none, and gzip makes no difference."""
    plain = _write(tmp_path, {"id": "a", "cluster": "x"}, "", {"id": 7, "cluster": 3})
    packed = tmp_path / "l.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_labels(plain) == read_labels(packed) == {"a": "x", "7": 3}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (({"id": "a", "cluster": "x"}, {"id": "b"}), "line 2: no 'id' and 'cluster'"),
        (({"cluster": "x"},), "line 1: no 'id' and 'cluster'"),
        (({"id": "a", "cluster": None},), "line 1: 'cluster' is null"),
        (({"id": "a", "cluster": ["x"]},), "'cluster' is [\"x\"]"),
        (({"id": "a", "cluster": ""},), "text or a number"),
        (("no json",), "line 1: no 'id'"),
        (("[1]",), "line 1: no 'id'"),
        (({"id": "a", "cluster": "x"}, {"id": "a", "cluster": "y"}), "has one true story"),
        (("", ""), "holds no record"),
    ],
)
def test_labels_when_a_line_has_none_then_the_error_names_it(
    tmp_path: Path, lines: tuple[object, ...], said: str
) -> None:
    """Nothing is evaluated in half: file, line and fault stand in the error."""
    path = _write(tmp_path, *lines)
    with pytest.raises(ConfigError) as caught:
        read_labels(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_labels_when_the_file_is_unreadable_then_says_so(tmp_path: Path) -> None:
    """No file, no gzip, a torn gzip and another kind of file are told apart."""
    with pytest.raises(ConfigError, match="there is no file"):
        read_labels(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_labels(_write(tmp_path, "plain", name="l.jsonl.gz"))
    torn = tmp_path / "torn.jsonl.gz"
    torn.write_bytes(gzip.compress(b'{"id": 1, "cluster": 1}\n' * 9)[:-12])
    with pytest.raises(ConfigError, match="cannot be read"):
        read_labels(torn)
    with pytest.raises(ConfigError, match="is not JSONL"):
        read_labels(_write(tmp_path, "x", name="l.csv"))
