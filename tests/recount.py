"""What differs between two groupings, counted anew: by sets, pair by pair, with no code of ours."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Recount:
    """The counts, and who they are about."""

    moved: dict[str, tuple[str, str]]  # article -> its stories, where the one does not continue
    continued: set[tuple[str, str]]
    same: int
    merged: set[str]  # stories of the base that nothing continues
    split: set[str]  # new ones that continue nothing
    share: float
    precision: float
    recall: float


def recount(base: Mapping[str, str], new: Mapping[str, str]) -> Recount:
    """Count what differs, as docs/replay.md defines it. Quadratic in stories."""
    both = set(base) & set(new)
    old, now = _groups(base, both), _groups(new, both)
    parts = {(b, n): part for b in old for n in now if (part := old[b] & now[n])}

    def size(pair: tuple[str, str]) -> tuple[int, bool, str]:
        return -len(parts[pair]), pair[0] != pair[1], min(parts[pair])

    continued = {
        pair
        for pair in parts
        if pair == min((other for other in parts if other[0] == pair[0]), key=size)
        and pair == min((other for other in parts if other[1] == pair[1]), key=size)
    }
    moved = {a: (base[a], new[a]) for a in both if (base[a], new[a]) not in continued}
    either = set(base) | set(new)
    mates = [(old[base[a]], now[new[a]]) for a in both]
    return Recount(
        moved=moved,
        continued=continued,
        same=sum(old[b] == now[n] for b, n in continued),
        merged=set(old) - {b for b, _ in continued},
        split=set(now) - {n for _, n in continued},
        share=(len(moved) + len(either - both)) / len(either) if either else 0.0,
        precision=sum(len(o & n) / len(n) for o, n in mates) / len(mates) if mates else 1.0,
        recall=sum(len(o & n) / len(o) for o, n in mates) / len(mates) if mates else 1.0,
    )


def _groups(stories: Mapping[str, str], among: set[str]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = defaultdict(set)
    for article in among:
        groups[stories[article]].add(article)
    return dict(groups)
