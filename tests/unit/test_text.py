"""Tokens of every script."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core import text
from worker.core.text import fold, names, normalise, tokens


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Mevlüt Çavuşoğlu\u2019s U.S. talks", ["mevlut", "cavusoglu", "s", "us", "talks"]),
        ("İSTANBUL \u0131stanbul Straße", ["istanbul", "istanbul", "strasse"]),
        (
            "2,000 or 2.000 or 2000; 7.4 and 7,4",
            ["2000", "or", "2000", "or", "2000", "7.4", "and", "7.4"],
        ),
        ("हिन्दी में समाचार।", ["हिन्दी", "में", "समाचार"]),
        ("Новости: Ёлка", ["новости", "елка"]),
        ("ΝΈΑ λόγος", ["νεα", "λογοσ"]),
        ("عربيّةٌ أخبار", ["عربيه", "اخبار"]),
        ("שָׁלוֹם עולם", ["שלום", "עולם"]),
        ("서울 뉴스", ["서울", "뉴스"]),
        ("北京新闻", ["北京", "京新", "新闻"]),
        ("ข่าวไทย", ["ข่าว", "่าวไ", "าวไท", "วไทย"]),
        ("京", ["京"]),
        ("", []),
    ],
)
def test_tokens_when_script_differs_then_words_or_grams(written: str, expected: list[str]) -> None:
    """Accents, case and number marks vanish; unspaced scripts give character runs."""
    assert tokens(normalise(written)) == expected


def test_normalise_when_hidden_characters_then_gone() -> None:
    """Zero-width characters, controls and runs of spaces do not split or glue words."""
    assert (
        normalise("so\u00adft\u200b  hy\u00a0phen\x00 end \r\n\n  next ")
        == "soft hy phen end\nnext"
    )


def test_names_when_capital_opens_a_sentence_then_left_out() -> None:
    """A capital proves a name only inside a sentence."""
    clean = normalise('Talks ended. Later Anna Brandt met the US-Polish team. "We won", she said.')
    assert names(clean) == ["anna", "brandt", "us", "polish"]


def test_names_when_script_has_no_case_then_none() -> None:
    """Scripts without capitals have no names to see."""
    assert names(normalise("北京新闻 서울 뉴스 समाचार")) == []


def test_tokens_when_text_is_huge_then_capped() -> None:
    """One article cannot cost without bound."""
    assert len(tokens("word " * (text.MAX_TOKENS + 5))) == text.MAX_TOKENS
    assert len(tokens("京" * (text.MAX_TOKENS + 5))) == text.MAX_TOKENS
    assert max(map(len, tokens("x" * 500))) == text.MAX_TOKEN_CHARS
    assert len(normalise("\ufdfa" * text.MAX_CHARS)) <= text.MAX_CHARS


@given(st.text(max_size=200))
def test_tokens_when_any_text_then_folded_and_not_empty(written: str) -> None:
    """Whatever comes in, tokens are non-empty, free of spaces, and stable under case."""
    found = tokens(normalise(written))
    assert all(token and not any(c.isspace() for c in token) for token in found)


@given(st.text(max_size=200))
def test_normalise_when_repeated_then_unchanged(written: str) -> None:
    """Normal form is a fixed point for spaces and line breaks."""
    once = normalise(written)
    assert "  " not in once
    assert once == once.strip()
    assert fold(once) == fold(once)


@given(st.text(alphabet="aZ19._,- '\n", max_size=60))
def test_tokens_when_text_is_ascii_then_words_and_numbers(written: str) -> None:
    """The short way through ASCII finds what a pattern would."""
    flat = text.plain(normalise(written))
    assert tokens(normalise(written)) == re.findall(r"[a-z][a-z0-9]*|\d+(?:\.\d+)*", flat.lower())


def test_read_when_given_a_text_then_its_words_and_how_it_was() -> None:
    """One reading serves all who look at a text."""
    written = "Zo\u00eb\u2019s caf\u00e9 \u2013 the 19th, at 3,5 %\u2026"
    reading = text.read(written)
    assert reading.raw == written
    assert reading.plain == "Zoe's cafe - the 19th, at 3.5 %..."
    assert reading.tokens == ["zoe", "s", "cafe", "the", "19", "th", "at", "3.5"]
