"""Model files: read, checked, and told apart from what is none."""

import json
from collections.abc import Mapping

import numpy as np
import pytest

from worker.core.features import FEATURES
from worker.core.scorer import FORMAT, parse_model, shipped
from worker.errors import ConfigError

GOOD: Mapping[str, object] = {"format": FORMAT, "weights": {"distinct": 2.0}, "bias": -1.0}


def parse(document: object) -> object:
    """Read a document as a model file of this name."""
    return parse_model(json.dumps(document).encode(), origin="mine.json")


def test_shipped_model_weighs_every_feature_and_says_where_it_is_from() -> None:
    """No feature is computed for nothing."""
    assert set(shipped().weights) == set(FEATURES)


def test_scores_when_features_are_named_then_logistic_of_the_weighted_sum() -> None:
    """A feature that a model does not name does not count."""
    scorer = parse_model(json.dumps(GOOD).encode(), origin="mine.json")
    table = np.ones((1, len(FEATURES)))
    assert scorer.scores(table)[0] == pytest.approx(1 / (1 + np.exp(-1.0)))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "mine.json is no model file"),
        ({**GOOD, "weights": {"distinct": "much"}}, "no model file"),
        ({**GOOD, "format": FORMAT + 1}, "has format 2, this version reads 1"),
        ({**GOOD, "weights": {"colour": 1.0}}, "weighs colour; this version measures prominence"),
        ({**GOOD, "weights": {}}, "weighs nothing"),
        ({**GOOD, "bias": float("nan")}, "not a finite number"),
    ],
)
def test_parse_when_file_is_no_model_then_says_what_is_wrong_and_what_to_do(
    document: object, message: str
) -> None:
    """A wrong file stops the program with its name and the way out."""
    with pytest.raises(ConfigError, match=message) as raised:
        parse(document)
    assert "samestory fit" in str(raised.value)
