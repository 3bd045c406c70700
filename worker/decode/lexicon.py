"""What a language's words are and how common each is: wordfreq's frequency lists, PyThaiNLP's for Thai.

Gives core.sketch its terms and static prior. Reads package data on first use of a language; holds the
tables of the languages in use and nothing else.
"""

import math
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial

from worker.core.salience import Prior
from worker.core.segment import MAX_WORD, MAX_WORD_LETTERS, costs_of, cut, cut_letters
from worker.core.sketch import Words
from worker.core.stems import stem_of
from worker.core.text import fold, is_unspaced, plain, split

# Words of a typical article: of 5 600 news articles the median is 271, the mean 365.
_ARTICLE_WORDS = 300
# The 'small' lists end at one in a million; a word left out is taken as three times rarer.
_UNLISTED = 3e-7
# Runs of four characters of Thai news: half are found in one article of a hundred or fewer.
_GRAM = 0.01
# Languages whose lists are used for a relative that has none, by ISO 639-1.
_RELATIVES = {"no": "nb", "nn": "nb", "hr": "sh", "sr": "sh", "bs": "sh", "tl": "fil", "be": "ru"}
# Written without spaces, with a list of their words: what cuts them out, and how long they are.
_CUTTERS = {"zh": (cut, MAX_WORD), "ja": (cut, MAX_WORD), "th": (cut_letters, MAX_WORD_LETTERS)}
# Of the Thai National Corpus, 33.5 million words: rarer entries are misspellings by and large.
_THAI_COUNT = 10


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
    from wordfreq.numbers import digit_freq, smash_numbers  # noqa: PLC0415

    listed = _frequencies(_RELATIVES.get(lang, lang))
    if not listed:
        return _by_length
    table = _table(listed, words_for(lang))
    unlisted = document_probability(_UNLISTED)

    def prior(token: str) -> float:
        known = table.get(token)
        if known is not None:
            return known
        if token[0].isdigit():  # listed by shape ("0000"), with a formula for the share of each
            return max(table.get(smash_numbers(token), 0.0) * digit_freq(token), unlisted)
        return unlisted

    return prior


@lru_cache(maxsize=64)
def words_for(lang: str) -> Words:
    """Return what makes terms of a plain text of a language."""
    if lang in _CUTTERS:
        words_of, longest = _CUTTERS[lang]
        listed = {fold(word): f for word, f in _frequencies(lang).items()}
        return partial(split, cut=partial(words_of, costs=costs_of(listed, longest)))
    stem = stem_of(lang)
    return split if stem is None else lambda text: [stem(token) for token in split(text)]


def _frequencies(code: str) -> Mapping[str, float]:
    """Return a language's words with their share of all words; none if nobody counted them."""
    if code == "th":
        # It would make a folder in the user's home.
        os.environ.setdefault("PYTHAINLP_READ_ONLY", "1")
        from pythainlp.corpus.tnc import unigram_word_freqs  # noqa: PLC0415 - as above

        counts = unigram_word_freqs()
        total = sum(counts.values())
        return {word: n / total for word, n in counts.items() if n >= _THAI_COUNT}
    from wordfreq import available_languages, get_frequency_dict  # noqa: PLC0415 - as above

    return get_frequency_dict(code, "small") if code in available_languages("small") else {}


def _by_length(token: str) -> float:
    """Return a rough prior where nothing is known: short words are common in every language.

    A guess, not a fit: it only has to tell particles from content words until the stream's own
    counts take over.
    """
    if token.isdigit():
        return 0.02
    if is_unspaced(token):  # a run of characters, of which common words are made as well as names
        return _GRAM
    return max(0.4 * math.exp(-0.6 * max(len(token) - 2, 0)), 0.002)


def _table(frequencies: Mapping[str, float], words: Words) -> dict[str, float]:
    """Return document probabilities by term, as ``words`` makes them."""
    summed: dict[str, float] = {}
    for token, frequency in _token_frequencies(frequencies.items(), words):
        summed[token] = summed.get(token, 0.0) + frequency
    return {token: document_probability(f) for token, f in summed.items()}


def _token_frequencies(
    items: Iterable[tuple[str, float]], words: Words
) -> Iterable[tuple[str, float]]:
    for word, frequency in items:
        if words is split and word.isascii() and word.isalpha():
            yield word, frequency
            continue
        for token in set(words(plain(fold(word)))):
            yield token, frequency
