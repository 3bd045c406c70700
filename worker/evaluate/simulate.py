"""The index of one language in memory: what the scripts of worker.store answer, without Redis.

Fitting needs thousands of small indexes and a hundred passes over a stream; a script call each
would take hours. Buckets, stamps, caps and document frequencies follow worker/store/lua, the
decision is the real one. A test holds the two together.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from worker.core.likeness import kept_parities
from worker.core.merging import bridged, merged_exemplars, should_merge
from worker.core.salience import DF_BUCKETS, DocumentFrequencies, df_offsets
from worker.core.scorer import Scorer
from worker.core.signatures import band_buckets, slot_buckets
from worker.core.stories import decide, keep_exemplars
from worker.model import (
    ArticleId,
    CopyCandidate,
    CopyOf,
    IndexParams,
    MatchPolicy,
    NewStory,
    Probe,
    Sketch,
    StoryCandidate,
    StoryId,
)
from worker.store.index import (
    AGES,
    COPY_CANDIDATES,
    STORY_CANDIDATES,
    df_parts,
    df_read_at,
    stamp,
)

Buckets = dict[bytes, list[tuple[int, int]]]
"""For each bucket the ids in it with their stamps, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One article of a labelled stream, signed."""

    name: str
    at: float
    true: str  # the story it belongs to; unique over all files
    lang: str
    sketch: Sketch


@dataclass(slots=True)
class _Counted:
    counts: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(DF_BUCKETS, np.uint32))
    docs: int = 0


def _four_each(buckets: bytes) -> list[bytes]:
    return [buckets[at : at + 4] for at in range(0, len(buckets), 4)]


class SimulatedIndex:
    """Probe and attach as the scripts do them, for one language and one worker."""

    def __init__(self, params: IndexParams, *, candidates: int = STORY_CANDIDATES) -> None:
        self._params = params
        self._candidates = candidates
        self._bands: Buckets = {}
        self._slots: Buckets = {}
        self._counted: dict[int, _Counted] = {}
        self._stories: list[StoryCandidate] = []
        self._numbers: dict[StoryId, int] = {}
        self._aliases: dict[int, int] = {}  # a merged story, the story it went into
        self._articles: list[CopyCandidate] = []
        self._frequencies: tuple[tuple[int, int], DocumentFrequencies] | None = None
        self.ids_read = 0

    def frequencies(self, at: float) -> DocumentFrequencies:
        """Return the document frequencies that a worker would use now; see Index.frequencies."""
        parts = df_parts(at, self._params)
        age = (df_read_at(len(self._articles)), parts[0])
        if self._frequencies is None or self._frequencies[0] != age:
            known = [self._counted[p] for p in parts if p in self._counted]
            counts = sum((p.counts for p in known), np.zeros(DF_BUCKETS, np.uint32))
            self._frequencies = (age, DocumentFrequencies(counts, sum(p.docs for p in known)))
        return self._frequencies[1]

    def probe(self, sketch: Sketch, at: float) -> Probe:
        """Return the articles and stories that share most buckets with a sketch."""
        today = stamp(at, self._params)
        copies = self._best(self._bands, self._band_keys(sketch), today, COPY_CANDIDATES)
        slots = _four_each(slot_buckets(sketch.slots))
        stories = self._best(self._slots, slots, today, self._candidates)
        return Probe(
            seq=len(self._articles),
            copies=tuple(self._articles[i] for i in copies),
            stories=tuple(self._stories[i] for i in dict.fromkeys(map(self._resolve, stories))),
        )

    def attach(self, sample: Sample, story: StoryId | None, *, is_copy: bool = False) -> StoryId:
        """Make an article a member of a story, or of a new one; return the story's id."""
        sketch, at = sample.sketch, sample.at
        number = self._resolve(self._numbers.get(story, -1)) if story else -1
        if number < 0:
            number = len(self._stories)
            story = story or StoryId(f"story-{number}")
            self._numbers[story] = number
            self._stories.append(_opened(story, sketch, at))
        else:
            self._stories[number] = _joined(self._stories[number], sketch, at, is_copy=is_copy)
        today = stamp(at, self._params)
        self._put(self._bands, self._band_keys(sketch), len(self._articles), today)
        self._put(self._slots, _four_each(slot_buckets(sketch.slots)), number, today)
        counted = self._counted.setdefault(df_parts(at, self._params)[0], _Counted())
        counted.counts[df_offsets(sketch.vector)] += 1
        counted.docs += 1
        self._articles.append(
            CopyCandidate(
                article_id=ArticleId(sample.name),
                story_id=self._stories[number].story_id,
                shingles=sketch.shingles,
                parities=kept_parities(sketch.parities, sketch.shingles),
                published_at=at,
            )
        )
        return self._stories[number].story_id

    def merge(self, a: StoryId, b: StoryId) -> StoryId:
        """Make two stories one, under the id of the older; the other id stays as an alias."""
        numbers = [self._resolve(self._numbers[story]) for story in (a, b)]
        into, gone = sorted(numbers, key=lambda n: (self._stories[n].first_at, n))
        older, younger = self._stories[into], self._stories[gone]
        self._stories[into] = replace(
            older,
            version=older.version + 1,
            size=older.size + younger.size,
            last_at=max(older.last_at, younger.last_at),
            exemplars=merged_exemplars(older.exemplars, younger.exemplars),
        )
        self._aliases[gone] = into
        return older.story_id

    def story(self, story: StoryId) -> StoryCandidate:
        """Return a story, or what it was merged into."""
        return self._stories[self._resolve(self._numbers[story])]

    def _resolve(self, number: int) -> int:
        while number in self._aliases:
            number = self._aliases[number]
        return number

    def _band_keys(self, sketch: Sketch) -> list[bytes]:
        return _four_each(band_buckets(sketch.signature, self._params))

    def _best(self, table: Buckets, keys: Sequence[bytes], today: int, limit: int) -> list[int]:
        """Return the ids of most weight; of equals, the one met first."""
        weights: dict[int, float] = {}
        for key in keys:
            ids = [i for i, then in table.get(key, ()) if today - then <= AGES]
            self.ids_read += len(ids)
            for i in ids:
                weights[i] = weights.get(i, 0.0) + 1.0 / len(ids)
        return sorted(weights, key=weights.__getitem__, reverse=True)[:limit]

    def _put(self, table: Buckets, keys: Sequence[bytes], number: int, today: int) -> None:
        for key in keys:
            others = [entry for entry in table.get(key, ()) if entry[0] != number]
            table[key] = [(number, today), *others[: self._params.bucket_cap - 1]]


def _opened(story: StoryId, sketch: Sketch, at: float) -> StoryCandidate:
    return StoryCandidate(
        story_id=story,
        version=1,
        size=1,
        first_at=at,
        last_at=at,
        exemplars=keep_exemplars((), sketch.vector),
    )


def _joined(story: StoryCandidate, sketch: Sketch, at: float, *, is_copy: bool) -> StoryCandidate:
    """Return the story after an article joined; a reprint adds nothing to what it is about."""
    return replace(
        story,
        version=story.version + 1,
        size=story.size + 1,
        first_at=min(story.first_at, at),
        last_at=max(story.last_at, at),
        exemplars=story.exemplars if is_copy else keep_exemplars(story.exemplars, sketch.vector),
    )


def stream(
    samples: Iterable[Sample],
    index: SimulatedIndex,
    *,
    policy: MatchPolicy,
    scorer: Callable[[Sample], Scorer],
    merges: bool = True,
) -> list[StoryId]:
    """Return the story found for each sample, all merges done.

    Args:
        samples: of one language, in event order.
        index: to stream into.
        policy: thresholds.
        scorer: the model that decides about a sample: of its fold.
        merges: whether bridges merge stories.
    """
    found = []
    for sample in samples:
        probe, df = index.probe(sample.sketch, sample.at), index.frequencies(sample.at)
        model = scorer(sample)
        decision = decide(sample.sketch, probe, df=df, at=sample.at, policy=policy, scorer=model)
        story = None if isinstance(decision, NewStory) else decision.story_id
        story = index.attach(sample, story, is_copy=isinstance(decision, CopyOf))
        found.append(story)
        other = bridged(decision) if merges else None
        if other:
            pair = index.story(story), index.story(other)
            rivals = [c for c in probe.stories if c.story_id not in (story, other)]
            if should_merge(*pair, rivals, df=df, policy=policy, scorer=model):
                index.merge(story, other)
    return [index.story(story).story_id for story in found]
