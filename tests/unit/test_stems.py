# ruff: noqa: RUF001 - letters of other scripts are meant
"""Forms of a word that become one term, and words cut out of writing without spaces."""

import pytest

from worker.core.segment import costs_of, cut, cut_letters
from worker.core.stems import stem_of
from worker.core.text import fold, split, tokens
from worker.decode.lexicon import words_for


@pytest.mark.parametrize(
    ("lang", "forms"),
    [
        ("ru", "Вологда Вологды Вологодской"),
        ("pl", "kamienica kamienicy kamienicę"),
        ("tr", "Soma'nın madeni madenci madende"),
        ("el", "πυρκαγιά πυρκαγιάς"),
        ("ar", "مدينة المدينة والمدينة بالمدينة"),
        ("he", "מפרץ המפרץ במפרץ ובמפרץ"),
        ("ko", "선원 선원은 선원이 선원들"),
    ],
)
def test_stem_when_forms_differ_by_case_or_particle_then_is_one(lang: str, forms: str) -> None:
    """All forms of the word share a term."""
    stem = stem_of(lang)
    assert stem is not None
    stems = [stem(token) for token in tokens(fold(forms)) if len(token) > 1]
    assert max(stems.count(s) for s in stems) >= len(forms.split()) - 1


def test_stem_when_a_number_is_long_then_is_kept() -> None:
    """Numbers tell events apart by their last digits, too."""
    stem = stem_of("ru")
    assert stem is not None
    assert stem("1234567") == "1234567"


@pytest.mark.parametrize("lang", ["en", "de", "fr", "es", "hi", "und"])
def test_words_when_a_language_inflects_little_then_are_the_tokens(lang: str) -> None:
    """The model was fitted on these."""
    assert words_for(lang) is split


def test_cut_when_words_are_listed_then_takes_the_likeliest() -> None:
    """Listed words are found; characters that nobody lists come in pairs; katakana stays whole."""
    costs = costs_of({"煤矿": 1e-5, "事故": 1e-4, "煤": 1e-6, "矿": 1e-6})
    assert cut("云岭煤矿事故", costs) == ["云岭", "煤矿", "事故"]
    assert cut("赵建国", costs) == ["赵建", "建国"]
    assert cut("煤", costs) == ["煤"]
    assert cut("マクロン事故", costs) == ["マクロン", "事故"]


def test_cut_letters_when_a_name_is_not_listed_then_stays_in_one_piece() -> None:
    """Letters alone say nothing, unlike ideographs."""
    costs = costs_of({"เรือ": 1e-4, "ล่ม": 1e-5, "ที่": 1e-3}, 15)
    assert cut_letters("เรือกขฃคล่ม", costs) == ["เรือ", "กขฃค", "ล่ม"]


def test_words_when_writing_has_no_spaces_then_are_words() -> None:
    """Frequency lists cut Chinese, Japanese and Thai; Burmese has none and stays with runs."""
    assert words_for("zh")("煤矿发生事故") == ["煤矿", "发生", "事故"]
    assert "操業" in words_for("ja")("工場は操業を止めた")
    assert words_for("th")("เรือศรีทะเลล่มใกล้เกาะ") == ["เรือ", "ศรี", "ทะเล", "ล่ม", "ใกล้", "เกาะ"]
    assert words_for("my") is split
