"""Turns any text into the words that detection compares.

Every script gives words, or character n-grams where writing has no spaces. Spelling variants that
outlets disagree on (case, accents, typographic forms, "U.S." and "US", "2,000" and "2000") become
one token. Knows scripts, not languages; no word is dropped here.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

MAX_CHARS = 400_000  # 20 000 words of 20 characters
MAX_TOKENS = 20_000  # bounds the cost of one article; news articles rarely pass 4 000
MAX_TOKEN_CHARS = 64  # longer ones are addresses or encoded data, not words

# Soft hyphen, zero-width and direction marks, byte order mark, tag characters.
_HIDDEN = re.compile(
    "[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
# Typographic marks that carry no meaning here. Replaced one by one, in a fortieth of the time of
# `str.translate`; most English news is ASCII then, and the way through Unicode is spared.
_TYPOGRAPHY = (
    *((mark, "'") for mark in "\u2018\u2019\u201a\u201b\u2032\u02bc"),
    *((mark, '"') for mark in "\u201c\u201d\u201e"),
    *((mark, "-") for mark in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"),
    ("\u2026", "..."),  # these two as NFKC would
    ("\u00a0", " "),
)
_BLANK = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]|[^\\S\n ]")  # control or space
_SPACES = re.compile("  +")

# Accents of Latin, Greek and Cyrillic; vowel points of Hebrew and Arabic; the Arabic tatweel.
# The vowel signs of Indic scripts carry meaning and stay.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]"
)
# Letters that Unicode does not decompose, as news agencies transcribe them; Arabic forms that
# writers use for one another.
_LETTERS = (
    *zip(
        "øØłŁđĐıħĦðÐəƏىةیکς",
        "oOlLdDihHdDeEيهيكσ",  # noqa: RUF001 - the letters are meant
        strict=True,
    ),
    *zip("æÆœŒßþÞ", ("ae", "Ae", "oe", "Oe", "ss", "th", "Th"), strict=True),
)


def _marks() -> str:
    """Return all combining marks as the body of a character class: re's own word class leaves them out."""
    codes = [c for c in range(0x300, 0x20000) if unicodedata.category(chr(c)) in ("Mn", "Mc")]
    starts = [codes[0], *(b for a, b in pairwise(codes) if b != a + 1)]
    ends = [*(a for a, b in pairwise(codes) if b != a + 1), codes[-1]]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(starts, ends, strict=True))


# Scripts written without spaces: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3041-\u3096\u3099-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
)
_UNSPACED_START = re.compile(f"[{_UNSPACED}]")
_IDEOGRAPHIC = re.compile("[\u3005\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
_TOKEN = re.compile(
    rf"\d+(?:\.\d+)*|[{_UNSPACED}]+|[^\W\d_{_UNSPACED}](?:[^\W_{_UNSPACED}]+|[{_marks()}]+)*"
)
# In ASCII text words are what stands between other characters, once numbers stand apart ("19th") and
# their points are hidden in a character that no normalised text has: half the time of a pattern.
_NUMBER_ASCII = re.compile(r"[0-9](?<![A-Za-z0-9].)[0-9]*(?:(?:\.[0-9]+)+|(?=[A-Za-z]))", re.ASCII)
_POINT = "\x1f"
_WORDS_ASCII = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)} | {
    ord(_POINT): "."
}
# Each pattern starts with the rare character, which lets re skip over everything else.
_INITIALISM = re.compile(r"\.[^\W\d_](?:\.[^\W\d_])*\.(?!\w)")
_THOUSANDS = re.compile(r"[.,](?<=\d.)(?=\d{3}(?!\d))")
_DECIMAL = re.compile(r",(?<=\d,)(?=\d)")
# A word after another word, not after the end of a sentence; its case is tested afterwards.
_INNER = re.compile(r"[^\W\d_a-z](?<=[\w,;] .|\w-.)[^\W_]*")
_INNER_ASCII = re.compile(r"[A-Z](?<=[\w,;] .|\w-.)[^\W_]*", re.ASCII)  # in half the time
# Two characters make most Chinese and Japanese words; the other scripts are alphabets.
_GRAM_IDEOGRAPHIC = 2
_GRAM_ALPHABETIC = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """A text cut into words once, for all that look at them."""

    raw: str  # as given
    plain: str  # see `plain`
    tokens: Sequence[str]  # of the plain text, see `split`


def read(text: str) -> Reading:
    """Return a text with its words. Cost: .2 ms for 400 words."""
    flat = plain(normalise(text))
    return Reading(text, flat, split(flat))


def normalise(text: str) -> str:
    """Return the text in one Unicode form, without invisible characters and runs of spaces.

    Paragraph breaks stay as single newlines. Longer texts are cut at ``MAX_CHARS``.
    """
    text = text[:MAX_CHARS]
    if not text.isascii():
        text = _replaced(text, _TYPOGRAPHY)
        if not text.isascii():  # whose NFKC can have typographic marks again
            text = _replaced(unicodedata.normalize("NFKC", text), _TYPOGRAPHY)
        text = text[:MAX_CHARS]
    if not text.replace("\n", " ").isprintable():
        text = _BLANK.sub(" ", _HIDDEN.sub("", text))
    if "  " in text:
        text = _SPACES.sub(" ", text)
    return "\n".join(line for part in text.split("\n") if (line := part.strip()))


def _replaced(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    for old, new in pairs:
        text = text.replace(old, new)
    return text


def plain(text: str) -> str:
    """Return a normalised text without accents, dots of initialisms and marks of thousands."""
    if not text.isascii():
        text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
        if not text.isascii():
            text = unicodedata.normalize("NFC", _replaced(text, _LETTERS))
    text = _INITIALISM.sub(lambda found: found[0].replace(".", "") + " ", text)
    return _DECIMAL.sub(".", _THOUSANDS.sub("", text))


def fold(text: str) -> str:
    """Return the text in lower case and without accents: the form in which tokens are compared."""
    return text.lower() if text.isascii() else plain(normalise(text)).casefold()


def is_unspaced(token: str) -> bool:
    """Say whether a token was cut out of a script without spaces."""
    return _UNSPACED_START.match(token) is not None


def _grams(run: str) -> list[str]:
    width = _GRAM_IDEOGRAPHIC if _IDEOGRAPHIC.match(run) else _GRAM_ALPHABETIC
    return [run[i : i + width] for i in range(max(1, len(run) - width + 1))]


def tokens(text: str) -> list[str]:
    """Return the tokens of a normalised text: `split` of its `plain` form."""
    return split(plain(text))


def split(text: str, cut: Callable[[str], list[str]] = _grams) -> list[str]:
    """Return the case-folded tokens of a plain text in reading order.

    At most ``MAX_TOKENS``, each at most ``MAX_TOKEN_CHARS`` long.

    Args:
        text: as `plain` returns it.
        cut: what makes tokens of a run of characters without spaces.
    """
    found = _split_ascii(text) if text.isascii() else _TOKEN.findall(text.casefold())
    del found[MAX_TOKENS:]
    if not text.isascii() and _UNSPACED_START.search(text):
        runs = (cut(t) if _UNSPACED_START.match(t) else [t] for t in found)
        found = [gram for run in runs for gram in run][:MAX_TOKENS]
    if max(map(len, found), default=0) > MAX_TOKEN_CHARS:
        found = [token[:MAX_TOKEN_CHARS] for token in found]
    return found


def _split_ascii(text: str) -> list[str]:
    apart = _NUMBER_ASCII.sub(lambda found: f" {found[0].replace('.', _POINT)} ", text)
    return apart.translate(_WORDS_ASCII).split()


def names(text: str) -> list[str]:
    """Return the case-folded words of a plain text that are capitalised inside a sentence.

    Scripts without case have none.
    """
    if text.isascii():
        found = _INNER_ASCII.findall(text)
    else:
        found = [word for word in _INNER.findall(text)[:MAX_TOKENS] if word[0].isupper()]
    return [word[:MAX_TOKEN_CHARS].casefold() for word in found[:MAX_TOKENS]]
