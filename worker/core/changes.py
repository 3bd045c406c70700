"""What differs between two groupings of the same articles into stories.

What a story has become is told by its articles; its id only breaks ties. Called by the comparison of
two namespaces; docs/replay.md defines the words.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from worker.model import ArticleId, StoryId

Grouping = Mapping[ArticleId, StoryId]
_Pair = tuple[StoryId, StoryId]  # a story of the base, a new one


class Kind(str, Enum):
    """Why articles are not in the story that continues theirs."""

    MERGED = "merged"  # nothing continues their story; most of it is in the new one
    SPLIT = "split"  # their story continues nothing; most of it is from the one of the base
    MOVED = "moved"  # both stories live on: the one lost them, the other gained them


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Articles that were together and still are, in a story that does not continue theirs."""

    kind: Kind
    base: StoryId
    new: StoryId
    articles: tuple[ArticleId, ...]  # ascending


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The stories of one of both groupings."""

    articles: int
    stories: int
    apart: int  # articles that the other grouping does not have
    alone: int  # stories of such articles only


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs. All but the two sides counts only articles that both groupings have.

    Of each side, stories = continued + alone + those merged (base) or split off (new).
    """

    base: Side
    new: Side
    both: int  # articles
    continued: int  # stories
    same: int  # continued ones with the same articles
    gained: int  # continued ones with articles that they did not have
    lost: int  # continued ones without some that they had
    changes: tuple[Change, ...]  # largest first

    @property
    def moved(self) -> int:
        """Return how many articles are not in the story that continues theirs."""
        return sum(len(change.articles) for change in self.changes)

    @property
    def share(self) -> float:
        """Return the part of all articles that moved or are in one grouping only; of none, 0."""
        only = self.base.apart + self.new.apart
        return (self.moved + only) / (self.both + only) if self.both + only else 0.0

    def of(self, kind: Kind) -> tuple[Change, ...]:
        """Return the changes of a kind. There is one for each merged story, and each split off."""
        return tuple(change for change in self.changes if change.kind is kind)


def compare(base: Grouping, new: Grouping) -> Changes:
    """Return what differs between two groupings.

    A new story continues one of the base when each has more of the other's articles than any
    other story has. Of equal parts the one that kept the story's id counts as the larger, then the
    one with the smallest article id. So a story continues at most one and is continued by at most
    one, and when base and new are exchanged, merges become splits and nothing else changes.

    Cost: O(articles), and sorting what changed.
    """
    cells: dict[_Pair, list[ArticleId]] = {}
    for article, story in base.items():
        if article in new:
            cells.setdefault((story, new[article]), []).append(article)
    ranked = {pair: (-len(i), pair[0] != pair[1], min(i)) for pair, i in cells.items()}
    to: dict[StoryId, StoryId] = {}  # where most of a story of the base is
    of: dict[StoryId, StoryId] = {}  # where most of a new story is from
    for pair, rank in ranked.items():
        old, now = pair
        if old not in to or rank < ranked[old, to[old]]:
            to[old] = now
        if now not in of or rank < ranked[of[now], now]:
            of[now] = old
    continued = {(old, now) for old, now in to.items() if of[now] == old}
    elsewhere = [
        Change(
            kind=_kind(pair, to, of), base=pair[0], new=pair[1], articles=tuple(sorted(articles))
        )
        for pair, articles in cells.items()
        if pair not in continued
    ]
    losing, gaining = {change.base for change in elsewhere}, {change.new for change in elsewhere}
    return Changes(
        base=_side(base, new, to),
        new=_side(new, base, of),
        both=sum(map(len, cells.values())),
        continued=len(continued),
        same=sum(old not in losing and now not in gaining for old, now in continued),
        gained=sum(now in gaining for _, now in continued),
        lost=sum(old in losing for old, _ in continued),
        changes=tuple(sorted(elsewhere, key=_largest_first)),
    )


def _kind(pair: _Pair, to: Mapping[StoryId, StoryId], of: Mapping[StoryId, StoryId]) -> Kind:
    """Return why a pair of stories shares articles. Not both can be the other's most: it continues."""
    old, now = pair
    if to[old] == now:
        return Kind.MERGED
    return Kind.SPLIT if of[now] == old else Kind.MOVED


def _side(mine: Grouping, other: Grouping, shared: Iterable[StoryId]) -> Side:
    stories = set(mine.values())
    return Side(
        articles=len(mine),
        stories=len(stories),
        apart=sum(article not in other for article in mine),
        alone=len(stories.difference(shared)),
    )


def _largest_first(change: Change) -> tuple[int, str, str]:
    return -len(change.articles), change.base, change.new
