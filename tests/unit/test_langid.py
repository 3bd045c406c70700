# ruff: noqa: RUF001 - letters of other scripts are meant
"""Our walk through py3langid's model is py3langid's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from py3langid.langid import LanguageIdentifier

from worker.decode.langid import Identifier, load_identifier


@pytest.fixture(scope="module")
def model() -> Identifier:
    """Return the model with all labels of two letters."""
    return load_identifier(lambda label: len(label) == 2)


@given(st.text(st.sampled_from("the ecmonаиуłß語ات"), max_size=80))
def test_scores_when_walked_in_parallel_then_those_of_py3langid(
    model: Identifier, text: str
) -> None:
    """No place of a text is reached in another state, however short the text is."""
    data = text.encode()
    ours, theirs = model._raw_score(data), LanguageIdentifier._raw_score(model, data)
    assert np.allclose(ours, theirs, atol=1e-3)


def test_load_identifier_when_labels_do_not_compete_then_never_named() -> None:
    """A text is named after the likeliest of the languages that compete."""
    model = load_identifier(lambda label: label in {"de", "fr"})
    assert set(model.labels) == {"de", "fr"}
    assert model.classify("The harbour bridge was closed on Sunday")[0] in {"de", "fr"}
