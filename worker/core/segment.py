"""Cuts writing without spaces into words, by a list of words with their frequencies.

The likeliest cut under independent words (Viterbi), as every Chinese and Japanese segmenter starts
from. What the list does not know, names above all, comes out as pairs of characters.
"""

import math
import re
from collections.abc import Mapping
from itertools import groupby

MAX_WORD = 6  # longer entries of the lists are sums of shorter ones
_UNKNOWN = -math.log(1e-9)  # a character that no list has, rarer than every listed word
_KATAKANA = re.compile("([\u30a1-\u30fa\u30fc]+)")  # loan words and foreign names


def costs_of(frequencies: Mapping[str, float]) -> dict[str, float]:
    """Return -ln of the frequencies of words that can be cut out."""
    return {word: -math.log(f) for word, f in frequencies.items() if len(word) <= MAX_WORD}


def cut(run: str, costs: Mapping[str, float]) -> list[str]:
    """Return the words of a run of characters without spaces.

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
            words.extend(_pairs_of_strays(_likeliest(part, costs)))
    return words


def _likeliest(run: str, costs: Mapping[str, float]) -> list[str]:
    best, start = [0.0], [0]
    for end in range(1, len(run) + 1):
        options = [
            (best[begin] + costs.get(run[begin:end], math.inf), begin)
            for begin in range(max(0, end - MAX_WORD), end - 1)
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
