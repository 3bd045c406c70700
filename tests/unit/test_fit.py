"""Fitting: from labelled samples to a model that judges stories it has not seen."""

import json
import random

import pytest

from worker.core.features import FEATURES
from worker.core.scorer import parse_model
from worker.core.sketch import sketch
from worker.core.text import read
from worker.evaluate.episodes import episodes
from worker.evaluate.fit import FOLDS, by_language, fit, fold_of, model_document, observe, regress
from worker.evaluate.simulate import Sample
from worker.settings import load_settings

pytest.importorskip("sklearn", reason="the extra 'fit' is not installed")
SETTINGS = load_settings()
PARAMS, POLICY = SETTINGS.index.params(), SETTINGS.match.policy()


def _samples(stories: int, articles: int, lang: str = "en") -> list[Sample]:
    """Return articles that share words of their own with their story, and common ones with all."""
    draw, samples = random.Random(3), []
    for number in range(stories * articles):
        story = number % stories
        own = [f"{lang}own{story}x{draw.randrange(20)}" for _ in range(12)]
        common = [f"common{draw.randrange(60)}" for _ in range(30)]
        body = own + common
        draw.shuffle(body)
        signed = sketch(
            read(" ".join(own[:4])), read(" ".join(body)), params=PARAMS, prior=lambda _: 0.001
        )
        samples.append(
            Sample(
                name=f"{lang}{number}",
                at=1.7e9 + 600.0 * number,
                true=f"{lang}-{story}",
                lang=lang,
                sketch=signed,
            )
        )
    return samples


def test_fit_when_stories_have_words_of_their_own_then_finds_unseen_ones_and_says_so() -> None:
    """Stories of a fold that the model never saw come out whole; the same input, the same file."""
    samples = _samples(12, 5)
    fitted = fit(samples, PARAMS, POLICY)
    assert fitted.validation.every["b_cubed"]["f1"] > 0.95
    assert len(fitted.validation.folds) == len(fitted.folds) == FOLDS
    document = model_document(fitted, [{"file": "a.jsonl", "sha256": "0"}], samples)
    assert document == model_document(fit(samples, PARAMS, POLICY), [{"file": "a.jsonl", "sha256": "0"}], samples)  # fmt: skip
    assert parse_model(document.encode(), origin="a") == fitted.scorer
    about = json.loads(document)["fitted"]
    assert (about["articles"], about["stories"]) == (60, 12)


def test_regress_when_a_feature_is_left_out_then_not_weighed() -> None:
    """An ablation is a fit without a column."""
    rows = observe(episodes(_samples(6, 4)), PARAMS)
    assert set(regress(rows).weights) == set(FEATURES)
    assert set(regress(rows, without=0, names=FEATURES[1:]).weights) == set(FEATURES[1:])


def test_observe_when_article_is_the_first_then_no_row() -> None:
    """The first article of each index has no candidates; all later ones have their stories."""
    samples = _samples(2, 2)
    rows = observe(list(episodes(samples))[:1], PARAMS)
    assert rows.true.sum() == 2
    assert set(rows.fold.tolist()) <= {fold_of(s.true) for s in samples}


def test_episodes_when_made_twice_then_the_same() -> None:
    """Chance is seeded: a fit can be repeated."""
    samples = _samples(6, 4)
    assert [e.samples for e in episodes(samples)] == [e.samples for e in episodes(samples)]


def test_by_language_when_mixed_then_apart_and_in_order() -> None:
    """Stories never cross languages."""
    mixed = [s for pair in zip(_samples(3, 2), _samples(3, 2, "de"), strict=True) for s in pair]
    assert [[s.lang for s in part] for part in by_language(mixed)] == [["de"] * 6, ["en"] * 6]
