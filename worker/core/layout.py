"""Tells by their layout lists of headlines and live tickers from running text, in any language.

No word of any language is listed: what counts are lines, the marks that end sentences, clock times
and dates at the head of items, and how much of a page's text is links. Called by core.junk.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

from worker.core.text import names, normalise, plain, tokens

# Marks that end a sentence, in all scripts that have such, with the quotes and brackets after them.
_SENTENCE_END = re.compile(r"""[.!?…。！？।؟۔։።።。।][\s"'”’»›)\]」』）]*$""")  # noqa: RUF001
_PAUSE = re.compile(r"""[,;:\-–—،、，；：]["'”’»]*$""")  # noqa: RUF001 - what headlines never end with
# Scripts whose writers end sentences with a space only: Thai, Lao, Myanmar, Khmer, Tibetan.
_UNMARKED = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]")
_DENSE = re.compile("[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")  # two characters make a word

# The head of an item: "10:32", "[10.32]", "9:05 p.m.", "10h32", "10時32分", at a line's start or
# after a sentence's end, for tickers that lost their line breaks.
_CLOCK = re.compile(
    r"(?:^|\n|[.!?。！？।] ?)[\s\[(•*·–-]*([01]?\d|2[0-3])[:.hH時时]([0-5]\d)(?!\d|[.,]\d| ?%)"  # noqa: RUF001
    r"(?: ?([aApP])\.?[mM]\b)?"
)
_TIME = re.compile(r"\d[:.hH时時][0-5]\d")  # stands in each of them, found in a quarter of the time

# A ticker has many items, and short ones: those of live pages have 10 to 60 words. Reports that
# quote a few clock times stay below both.
_TICKER_ITEMS = 6
_TICKER_ITEM_WORDS = 80
_TICKER_FALLING = 0.7  # newest first, which no chronology in an article is
# Oldest first: only where most lines are items, and shorter than those of a chronicle or police log.
_TICKER_LINES = 0.6
_TICKER_LINE_WORDS = 25

# A list of headlines: lines of 3 to 25 words, nearly none a sentence. Verse has shorter lines,
# pauses at their ends and refrains; tables have numbers.
_INDEX_LINES = 10
_HEADLINE_WORDS = range(3, 26)
_HEADLINES = 0.7
_TYPICAL_WORDS = 5.5
_SENTENCE_WORDS = 12  # fewer may be a headline that asks or exclaims
_RUNNING_WORDS = 40  # two sentences
_PAUSES = 0.1
_REPEATS = 0.1
_NUMBERS = 0.15
_NAMED = 0.5  # of the lines; headlines tell of people and places

# Lines that date an item ("30 Dec 2018", "29.12. 14:05") are short; tables and recipes have short
# lines with numbers too, but not with years or clock times. A chronology runs over many years.
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_HOUR = re.compile(r"(?<!\d)\d{1,2}[:.]\d\d(?!\d)")
_STAMP_YEARS = 2
_STAMP_WORDS = 6
_STAMPS = 6
_STAMPS_SHARE = 0.2
_TEASER_WORDS = 45

_LINKED = 0.5  # share of a page's text that is nothing but links


def layout_of(text: str, linked: float = 0.0) -> str:
    """Return 'index_page' or 'live_ticker' when a text is laid out like one, else ''.

    Args:
        text: lines as extracted, a paragraph or heading each.
        linked: share of the text on lines that are links as a whole; 0 where it is unknown.
    """
    if _is_ticker(text):
        return "live_ticker"
    if linked >= _LINKED:
        return "index_page"
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(lines) < _INDEX_LINES:
        return ""
    sizes = [_words(line) for line in lines]
    return "index_page" if _has_stamps(lines, sizes) or _is_headlines(lines, sizes) else ""


def _is_ticker(text: str) -> bool:
    """Say whether a text consists of many short items that start with a clock time."""
    if len(_TIME.findall(text)) < _TICKER_ITEMS:
        return False
    heads = list(_CLOCK.finditer(text))
    if len(heads) < _TICKER_ITEMS:
        return False
    words = _words(text) / len(heads)
    if words > _TICKER_ITEM_WORDS:
        return False
    minutes = [_minute(head) for head in heads]
    falling = sum(b <= a for a, b in pairwise(minutes)) / (len(minutes) - 1)
    lines = sum(1 for line in text.split("\n") if line.strip())
    are_items = len(heads) >= max(_TICKER_LINES * lines, _INDEX_LINES)
    return falling >= _TICKER_FALLING or (are_items and words <= _TICKER_LINE_WORDS)


def _minute(head: re.Match[str]) -> int:
    """Return the minute of the day that a clock time names."""
    hour, half = int(head[1]), (head[3] or "").lower()
    if half:
        hour = hour % 12 + 12 * (half == "p")
    return 60 * hour + int(head[2])


def _has_stamps(lines: Sequence[str], sizes: Sequence[float]) -> bool:
    """Say whether dates or ages stand on lines of their own between the items of a list."""
    if max(sizes) > _TEASER_WORDS:
        return False
    stamps = [
        line
        for line, size in zip(lines, sizes, strict=True)
        if size <= _STAMP_WORDS
        and (_YEAR.search(line) or _HOUR.search(line))
        and not _SENTENCE_END.search(line)
    ]
    years = {year for line in stamps for year in _YEAR.findall(line)}
    return len(stamps) >= max(_STAMPS, _STAMPS_SHARE * len(lines)) and len(years) <= _STAMP_YEARS


def _is_headlines(lines: Sequence[str], sizes: Sequence[float]) -> bool:
    """Say whether lines are headlines, without running text between them."""
    total = sum(sizes)
    running = sum(
        size
        for line, size in zip(lines, sizes, strict=True)
        if size >= _HEADLINE_WORDS.stop or (size >= _SENTENCE_WORDS and _SENTENCE_END.search(line))
    )
    fitting = [size for size in sizes if int(size) in _HEADLINE_WORDS]
    if (
        running > _RUNNING_WORDS
        or len(fitting) < _HEADLINES * len(lines)
        or total < _TYPICAL_WORDS * len(lines)
        or len(lines) - len(set(lines)) > _REPEATS * len(lines)
        or sum(1 for line in lines if _PAUSE.search(line)) > _PAUSES * len(lines)
        or any(_UNMARKED.search(line) for line in lines)
    ):
        return False
    words = tokens(normalise("\n".join(lines)))
    if sum(word[0].isdigit() for word in words) > _NUMBERS * len(words):
        return False
    has_case = any(line != line.lower() for line in lines)
    named = sum(1 for line in lines if names(plain(normalise(line))))
    return not has_case or named >= _NAMED * len(lines)


def _words(line: str) -> float:
    """Return about how many words a line has, also in Chinese and Japanese."""
    if line.isascii():
        return len(line.split())
    dense = len(_DENSE.findall(line))
    return dense / 2 + len(_DENSE.sub(" ", line).split())
