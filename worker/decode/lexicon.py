"""How common a word is in a language, from wordfreq's frequency lists.

Gives core.salience its static prior. Reads package data on first use of a language; holds the
tables of the languages in use and nothing else.
"""

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache

from worker.core.salience import Prior
from worker.core.text import fold, tokens

# Words of a typical article: of 5 600 news articles the median is 271, the mean 365.
_ARTICLE_WORDS = 300
# The 'small' lists end at one in a million; a word left out is taken as three times rarer.
_UNLISTED = 3e-7
# Languages whose lists are used for a relative that has none, by ISO 639-1.
_RELATIVES = {"no": "nb", "nn": "nb", "hr": "sh", "sr": "sh", "bs": "sh", "tl": "fil", "be": "ru"}


def document_probability(frequency: float) -> float:
    """Return the probability that an article contains a word of this relative frequency."""
    return -math.expm1(_ARTICLE_WORDS * math.log1p(-min(frequency, 0.5)))


@lru_cache(maxsize=64)
def prior_for(lang: str) -> Prior:
    """Return the static prior of a language: token -> probability that an article contains it.

    Args:
        lang: ISO 639-1 code, or "und". A language without a list gets a guess from word length.
    """
    # Here, because the lists' tools take longer to import than most commands to run.
    from wordfreq import available_languages, get_frequency_dict  # noqa: PLC0415
    from wordfreq.numbers import digit_freq, smash_numbers  # noqa: PLC0415

    code = _RELATIVES.get(lang, lang)
    if code not in available_languages("small"):
        return _by_length
    table = _table(get_frequency_dict(code, "small"))
    unlisted = document_probability(_UNLISTED)

    def prior(token: str) -> float:
        known = table.get(token)
        if known is not None:
            return known
        if token[0].isdigit():  # listed by shape ("0000"), with a formula for the share of each
            return max(table.get(smash_numbers(token), 0.0) * digit_freq(token), unlisted)
        return unlisted

    return prior


def _by_length(token: str) -> float:
    """Return a rough prior where nothing is known: short words are common in every language.

    A guess, not a fit: it only has to tell particles from content words until the stream's own
    counts take over.
    """
    if token.isdigit():
        return 0.02
    return max(0.4 * math.exp(-0.6 * max(len(token) - 2, 0)), 0.002)


def _table(frequencies: Mapping[str, float]) -> dict[str, float]:
    """Return document probabilities by token, as core.text cuts tokens."""
    summed: dict[str, float] = {}
    for token, frequency in _token_frequencies(frequencies.items()):
        summed[token] = summed.get(token, 0.0) + frequency
    return {token: document_probability(f) for token, f in summed.items()}


def _token_frequencies(items: Iterable[tuple[str, float]]) -> Iterable[tuple[str, float]]:
    for word, frequency in items:
        if word.isascii() and word.isalpha():
            yield word, frequency
            continue
        for token in set(tokens(fold(word))):
            yield token, frequency
