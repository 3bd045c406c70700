"""A decision in a line, as `diff` shows it."""

import pytest

from worker.cli.changes import said

NEAR = [{"story": "en-0123456789ab", "score": 0.5, "shared": ["gale", "north\x1b[2J"]}]


@pytest.mark.parametrize(
    ("evidence", "sentence"),
    [
        (
            {"decision": "CopyOf", "score": 0.9, "copy_of": "ab12", "candidates": []},
            "a reprint of ab12, overlap 0.90",
        ),
        (
            {"decision": "SameStory", "score": 0.625, "candidates": NEAR},
            "joined, score 0.62: gale, north [2J",
        ),
        (
            {"decision": "NewStory", "score": 0.5, "candidates": NEAR},
            "new story, best score 0.50: gale, north [2J",
        ),
        (
            {"decision": "NewStory", "score": 0.0, "candidates": []},
            "new story, best score 0.00, none near",
        ),
        ({}, "no evidence was kept"),
    ],
)
def test_decision_when_said_then_names_its_score_and_its_terms(
    evidence: dict[str, object], sentence: str
) -> None:
    """Every kind of decision has its sentence, without characters that drive a terminal."""
    assert said(evidence) == sentence
