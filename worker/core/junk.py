"""Tells articles from what only looks like one: walls, error pages, lists, texts too short to sign.

A page is rejected for its wording only when it is short and consists of such phrases, whole or at
its end, so that a report about paywalls or cookies passes; for its layout only when no running text
stands in it.
"""

from collections.abc import Iterable, Mapping, Sequence

from worker.core.layout import layout_of
from worker.core.phrases import PHRASES
from worker.core.text import Reading, read
from worker.model import MatchPolicy, Rejected

REASONS = ("too_short", *PHRASES, "index_page", "live_ticker", "boilerplate")

# Walls and notices run to 20-200 words; nothing longer is rejected for its phrases. No text of
# 2500 characters has so few words, which spares the look at most articles.
_SHORT_TOKENS = 250
_SHORT_CHARS = 2500
# Share of words that stand in listed phrases, and how many different phrases must occur. Of 40 613
# news articles of all lengths none passes both.
_SHARE = 0.15
_DISTINCT = 2
# A teaser is an article's first lines and then the offer: the same, of its last words only.
_TAIL_TOKENS = 40
_TAIL_SHARE = 0.35
_TAIL_DISTINCT = 3
# A headline that stands for its article must at least say who does what.
_HEADLINE_TOKENS = 4

_Index = Mapping[str, Sequence[tuple[str, ...]]]


def _by_first(phrases: str) -> _Index:
    """Return the phrases as token runs, longest first, filed under their first token."""
    runs = {tuple(read(phrase).tokens) for phrase in phrases.split("|")}
    firsts: dict[str, list[tuple[str, ...]]] = {}
    for run in sorted(runs, key=lambda r: (-len(r), r)):
        firsts.setdefault(run[0], []).append(run)
    return firsts


_INDEX = {reason: _by_first(phrases) for reason, phrases in PHRASES.items()}
_FIRSTS = frozenset[str]().union(*_INDEX.values())


def gate(
    title: Reading,
    text: Reading,
    shingle_count: int,
    policy: MatchPolicy,
    *,
    linked: float = 0.0,
    title_only: bool = False,
) -> Rejected | None:
    """Return why a text is no article, or None when it may be one.

    Args:
        title: of the page; error pages often say so there.
        text: main text as extracted.
        shingle_count: distinct shingles of the text.
        policy: fewest shingles that make an article.
        linked: share of the text that is nothing but links, where a page tells.
        title_only: the title is all there ever was, so there is no text to be too short.
    """
    if len(text.raw) <= _SHORT_CHARS:
        words = (*title.tokens, *text.tokens)
        if 0 < len(words) <= _SHORT_TOKENS:
            rejected = _wall(words)
            if rejected:
                return rejected
    if shingle_count < policy.min_shingles and not title_only:
        detail = f"{shingle_count} shingles of {policy.min_shingles}"
        return Rejected(reason="too_short", detail=detail)
    reason = layout_of(text.raw, linked)
    return Rejected(reason=reason, detail="no running text") if reason else None


def is_headline(title: Reading, text: Reading) -> bool:
    """Say whether a record is a title alone: no text, or the title once more.

    Such a record is judged by its title. One that has a text is judged by that.
    """
    return len(title.tokens) >= _HEADLINE_TOKENS and text.tokens in ([], title.tokens)


def _wall(words: Sequence[str]) -> Rejected | None:
    """Return the kind of wall that so few words make up, if any."""
    starts = [at for at, word in enumerate(words) if word in _FIRSTS]
    whole = {reason: _share(words, starts, index, _DISTINCT) for reason, index in _INDEX.items()}
    reason = max(whole, key=lambda name: whole[name])
    if whole[reason] >= _SHARE:
        return Rejected(reason=reason, detail=f"{whole[reason]:.0%} of {len(words)} words")
    end = words[-_TAIL_TOKENS:]
    tail = _share(end, range(len(end)), _INDEX["paywall"], _TAIL_DISTINCT)
    if tail >= _TAIL_SHARE:
        return Rejected(reason="paywall", detail=f"{tail:.0%} of the last {_TAIL_TOKENS} words")
    return None


def _share(words: Sequence[str], starts: Iterable[int], index: _Index, distinct: int) -> float:
    """Return the share of words inside phrases; 0 unless so many different phrases occur.

    Args:
        words: of a text.
        starts: where phrases may start, ascending.
        index: the phrases.
        distinct: fewest that make a wall.
    """
    found: set[tuple[str, ...]] = set()
    covered = end = 0
    for at in starts:
        if at < end:
            continue
        for run in index.get(words[at], ()):
            if tuple(words[at : at + len(run)]) == run:
                found.add(run)
                covered += len(run)
                end = at + len(run)
                break
    return covered / len(words) if len(found) >= distinct else 0.0
