"""Cuts writing without spaces into words, by a list of words with their frequencies.

The likeliest cut under independent words (Viterbi), as every Chinese, Japanese and Thai segmenter
starts from. What the list does not know, names above all, comes out as pairs of ideographs, or as a
run of letters.
"""

import math
import re
from collections.abc import Mapping
from itertools import groupby

# Longer entries of the lists are sums of shorter ones.
MAX_WORD = 6  # ideographs and kana
MAX_WORD_LETTERS = 15  # of the Thai list one word in 200 is longer
_UNKNOWN = -math.log(1e-9)  # a character that no list has, rarer than every listed word
_KATAKANA = re.compile("([\u30a1-\u30fa\u30fc]+)")  # loan words and foreign names


def costs_of(frequencies: Mapping[str, float], longest: int = MAX_WORD) -> dict[str, float]:
    """Return -ln of the frequencies of words that can be cut out."""
    return {word: -math.log(f) for word, f in frequencies.items() if len(word) <= longest}


def cut(run: str, costs: Mapping[str, float]) -> list[str]:
    """Return the words of a run of ideographs and kana.

    Args:
        run: folded, not empty.
        costs: of listed words, by `costs_of`.
    Cost: O(characters x MAX_WORD) look-ups.
    """
    words: list[str] = []
    for part in _KATAKANA.split(run):
        if _KATAKANA.fullmatch(part):
            words.append(part)
        elif part:
            words.extend(_pairs_of_strays(_likeliest(part, costs, MAX_WORD)))
    return words


def cut_letters(run: str, costs: Mapping[str, float]) -> list[str]:
    """Return the words of a run of letters of a script without spaces; see `cut`.

    Cost: O(characters x MAX_WORD_LETTERS) look-ups.
    """
    words = _likeliest(run, costs, MAX_WORD_LETTERS)
    grouped = groupby(words, key=costs.__contains__)
    return [
        word for is_listed, group in grouped for word in (group if is_listed else ("".join(group),))
    ]


def _likeliest(run: str, costs: Mapping[str, float], longest: int) -> list[str]:
    best, start = [0.0], [0]
    for end in range(1, len(run) + 1):
        options = [
            (best[begin] + costs.get(run[begin:end], math.inf), begin)
            for begin in range(max(0, end - longest), end - 1)
        ]
        options.append((best[end - 1] + costs.get(run[end - 1], _UNKNOWN), end - 1))
        cost, begin = min(options)
        best.append(cost)
        start.append(begin)
    words, end = [], len(run)
    while end:
        words.append(run[start[end] : end])
        end = start[end]
    return words[::-1]


def _pairs_of_strays(words: list[str]) -> list[str]:
    """Return words with characters that stand alone in a row joined to overlapping pairs."""
    joined: list[str] = []
    for is_stray, group in groupby(words, key=lambda word: len(word) == 1):
        members = list(group)
        if is_stray and len(members) > 1:
            row = "".join(members)
            joined.extend(row[i : i + 2] for i in range(len(row) - 1))
        else:
            joined.extend(members)
    return joined
