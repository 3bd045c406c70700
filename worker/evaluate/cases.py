"""One case an article: its true story, where it went, and what lay behind it when it came.

Pure; everything that the report, the faults and the plots say is computed from these values.
"""

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from worker.evaluate.watch import Seen, Watch
from worker.model import ArticleId, Outcome, StoryId
from worker.steps.replay import Replayed


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What became of one labelled record, and what could have."""

    name: str | int
    article_id: ArticleId
    label: Hashable  # the true story
    story: StoryId | None  # the one found; none when it was rejected or failed
    outcome: Outcome
    reason: str
    at: float
    lang: str
    seen: Seen | None  # none where nothing was attached
    attach_s: float  # of the attach step; 0 without one
    gap_s: float | None  # since the true story's previous article; none for its first
    right: frozenset[StoryId]  # stories that hold an earlier article of it within the window

    @property
    def rank(self) -> int | None:
        """Place of the first right story among the candidates, from 1; none when not there."""
        places = enumerate(self.seen.candidates if self.seen else (), start=1)
        return next((place for place, story in places if story in self.right), None)


def cases_of(
    done: Iterable[Replayed],
    labels: Mapping[str, Hashable],
    watch: Watch,
    *,
    window_s: float,
) -> list[Case]:
    """Return one case a record.

    Args:
        done: what became of the records, in event order.
        labels: the true story of each record, by its name.
        watch: what the pipeline saw of each article that it attached, in how many seconds.
        window_s: how long the index can match an article.

    Cost: linear in the records, and in the stories into which a true one is split.
    """
    pasts: dict[Hashable, _Past] = {}
    cases, met = [], set()
    for replayed in done:
        record, label = replayed.record, labels[str(replayed.record.name)]
        at = record.at or 0.0
        past = pasts.setdefault(label, _Past())
        again = record.article_id in met  # the one attached under this name was another record
        met.add(record.article_id)
        looked = None if again else watch.seen.get(record.article_id)
        cases.append(
            Case(
                name=record.name,
                article_id=record.article_id,
                label=label,
                story=replayed.story_id,
                outcome=replayed.outcome,
                reason=replayed.reason,
                at=at,
                lang=looked.lang if looked else record.draft.lang or "und",
                seen=looked,
                attach_s=0.0 if again else watch.seconds.get(record.article_id, 0.0),
                gap_s=None if past.last_at is None else at - past.last_at,
                right=past.right(at - window_s),
            )
        )
        past.add(at, replayed.story_id)
    return cases


@dataclass(slots=True)
class _Past:
    """What came of one true story so far."""

    last_at: float | None = None
    recent: deque[tuple[float, StoryId]] = field(default_factory=deque)
    stories: Counter[StoryId] = field(default_factory=Counter)

    def right(self, since: float) -> frozenset[StoryId]:
        """Forget what is older than the window; return the stories that hold the rest."""
        while self.recent and self.recent[0][0] < since:
            _, story = self.recent.popleft()
            self.stories[story] -= 1
            if not self.stories[story]:
                del self.stories[story]
        return frozenset(self.stories)

    def add(self, at: float, story: StoryId | None) -> None:
        self.last_at = at
        if story is not None:
            self.recent.append((at, story))
            self.stories[story] += 1


def groups(keys: Sequence[Hashable], cases: Sequence[Case]) -> dict[Hashable, list[Case]]:
    """Return the cases of each key, in order."""
    grouped: dict[Hashable, list[Case]] = {}
    for key, case in zip(keys, cases, strict=True):
        grouped.setdefault(key, []).append(case)
    return grouped
