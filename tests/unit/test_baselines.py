"""The methods to compare with, on cases small enough to group by eye."""

import sys
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from worker.evaluate import baselines
from worker.evaluate.baselines import Text, nearest_centroid, shingle_lsh, tfidf_centroid

DAY = 86_400.0
WEEK = 7 * DAY
FIRE = "a fire destroyed the old mill of Tarnsby during the night and nobody was hurt in it"
FIRE_AGAIN = "old mill of Tarnsby burnt, fire service says, and nobody hurt"
VOTE = "parliament votes on the budget of the ministry for transport after a long debate today"


def _texts(*given: str, apart_s: float = 60.0) -> list[Text]:
    return [Text(words=words, at=i * apart_s) for i, words in enumerate(given)]


def _nothing() -> None:
    """Count nothing."""


def test_shingle_lsh_when_texts_are_copies_then_joins_only_these() -> None:
    """A copy joins, another account of the same event does not: that is what it can see."""
    texts = _texts(FIRE, VOTE, FIRE + " today", FIRE_AGAIN, "", "")
    assert shingle_lsh(texts, WEEK, _nothing) == [0, 1, 0, 2, 3, 4]


def test_shingle_lsh_when_the_window_is_over_then_forgets() -> None:
    """A copy eight days later opens a story, which the next copy joins."""
    assert shingle_lsh(_texts(FIRE, FIRE, apart_s=8 * DAY), WEEK, _nothing) == [0, 1]


def test_tfidf_when_accounts_share_rare_words_then_joins() -> None:
    """Another account of the event joins; a text of common words and an empty one do not."""
    texts = _texts(FIRE, VOTE, FIRE_AGAIN, "", "")
    assert tfidf_centroid(texts, WEEK, _nothing) == [0, 1, 0, 2, 3]
    late = _texts(FIRE, FIRE_AGAIN, apart_s=8 * DAY)
    assert tfidf_centroid(late, WEEK, _nothing) == [0, 1]


def test_tfidf_when_hand_computed_then_equal() -> None:
    """Two texts of two words, one shared: its weight is 1 in the second, the new word's 1 + ln 1.5."""
    cosines = baselines._Tfidf(_texts("mill fire", "mill vote"))
    rare = 1 + np.log(3 / 2)
    assert cosines(0, 2)[1, 0] == pytest.approx(1 / np.sqrt(2) / np.sqrt(1 + rare**2))


def test_centroids_when_blocks_are_small_then_are_those_of_a_plain_computation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The recursion over cosines gives the groups that summed vectors give."""
    monkeypatch.setattr(baselines, "_BLOCK", 7)
    rng = np.random.default_rng(5)
    units = rng.normal(size=(60, 4))
    units /= np.linalg.norm(units, axis=1)[:, None]
    texts = _texts(*["x"] * 60, apart_s=DAY / 8)
    counted: list[int] = []
    got = nearest_centroid(
        lambda i, j: units[i:j] @ units[:j].T, texts, DAY, lambda: counted.append(1), 0.7
    )
    sums: list[np.ndarray] = []
    last: list[float] = []
    wanted = []
    for unit, text in zip(units, texts, strict=True):
        near = [
            unit @ s / np.linalg.norm(s) if at >= text.at - DAY else -1.0
            for s, at in zip(sums, last, strict=True)
        ]
        best = int(np.argmax(near)) if near and max(near) >= 0.7 else len(sums)
        if best == len(sums):
            sums.append(np.zeros(4))
            last.append(0.0)
        sums[best] = sums[best] + unit
        last[best] = text.at
        wanted.append(best)
    assert got == wanted
    assert 5 < len(set(got)) < 55
    assert len(counted) == 60


def test_methods_when_the_model_is_not_installed_then_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The two methods that need nothing run; the third names its extra."""
    monkeypatch.setattr(baselines, "MINILM", "a_package_that_nobody_has")
    assert ["samestory[baseline]" in m.missing for m in baselines.methods()] == [False, False, True]


def test_minilm_when_installed_then_its_embeddings_are_grouped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The package's own interface is used: load_model, and encode to unit vectors on request."""

    def encode(
        words: Sequence[str], *, normalize_embeddings: bool, show_progress_bar: bool
    ) -> np.ndarray:
        assert (normalize_embeddings, show_progress_bar) == (True, False)
        return np.array([[1.0, 0.0] if "mill" in text else [0.0, 1.0] for text in words], "f4")

    def load_model(device: str) -> SimpleNamespace:
        return SimpleNamespace(device=device, encode=encode)

    model = SimpleNamespace(load_model=load_model)
    monkeypatch.setitem(sys.modules, baselines.MINILM, model)
    texts = _texts(FIRE, VOTE, FIRE_AGAIN)
    assert baselines.load_minilm_centroid()(texts, WEEK, _nothing) == [0, 1, 0]
