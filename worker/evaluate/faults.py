"""The worst stories: split or mixed, with the one decision that cost most in each.

A true story is *split* when its articles lie in several found stories, a found one is *mixed* when
it holds articles of several true ones. One is the other with true and found exchanged.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from worker.evaluate.cases import Case, groups

WORST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The articles of a faulty story that are rightly, or at least still, together."""

    story: Hashable  # the found story of a split one's part, the true story of a mixed one's
    names: tuple[str | int, ...]  # of the records, in event order


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One story that is split or mixed."""

    kind: Literal["split", "mixed"]
    story: Hashable  # true when split, found when mixed
    articles: int
    lost_pairs: int  # of its articles, how many pairs are apart, or together, wrongly
    parts: tuple[Part, ...]  # largest first
    # The first article of the largest part beside the part that holds the story's first article:
    # its decision made the two parts.
    culprit: Case


def worst_faults(cases: Sequence[Case]) -> tuple[Fault, ...]:
    """Return the stories that lose most pairs, worst first, at most ten.

    An article that was rejected is a part of its own; it is in no found story.
    """
    apart = [case.story or ("", i) for i, case in enumerate(cases)]
    faults = [
        fault
        for label, members in groups([case.label for case in cases], cases).items()
        if (fault := _fault("split", label, members))
    ]
    faults += [
        fault
        for story, members in groups(apart, cases).items()
        if (fault := _fault("mixed", story, members))
    ]
    faults.sort(key=lambda fault: -fault.lost_pairs)  # stable: of equals the earlier one first
    return tuple(faults[:WORST])


def _fault(
    kind: Literal["split", "mixed"], story: Hashable, members: Sequence[Case]
) -> Fault | None:
    if kind == "split":
        keys: list[Hashable] = [case.story or ("", i) for i, case in enumerate(members)]
    else:
        keys = [case.label for case in members]
    by_key = groups(keys, members)
    if len(by_key) == 1:
        return None
    _, *others = by_key.values()
    culprit = max(others, key=len)[0]  # of equals the earlier one
    parts = sorted(by_key.items(), key=lambda item: -len(item[1]))
    together = sum(_pairs(len(part)) for part in by_key.values())
    return Fault(
        kind=kind,
        story=story,
        articles=len(members),
        lost_pairs=_pairs(len(members)) - together,
        parts=tuple(
            Part(
                story=key if isinstance(key, str | int) else None,
                names=tuple(case.name for case in part),
            )
            for key, part in parts
        ),
        culprit=culprit,
    )


def _pairs(count: int) -> int:
    return count * (count - 1) // 2
