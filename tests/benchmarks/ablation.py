"""Prints the figures of docs/detection.md: `python tests/benchmarks/ablation.py LABELLED`.

Everything is cross-validated by story: an article is judged by a model that never saw its story.
Takes some ten minutes; needs the extra `fit`, and no Redis.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from worker.core.features import FEATURES
from worker.core.salience import VECTOR, static_idf, term_weight
from worker.core.scorer import Scorer
from worker.evaluate.episodes import episodes
from worker.evaluate.fit import FOLDS, by_language, fold_of, observe, regress
from worker.evaluate.metrics import b_cubed, pairwise
from worker.evaluate.samples import read_samples
from worker.evaluate.simulate import Sample, SimulatedIndex, stream
from worker.model import IndexParams, Probe, Sketch, StoryId
from worker.settings import Settings, load_settings

HOUR_S = 3_600.0
YOUNG = 100  # articles of a young index


class ExactIndex(SimulatedIndex):
    """Finds the stories with the nearest members by comparing with every article."""

    def __init__(self, params: IndexParams, *, candidates: int) -> None:
        super().__init__(params, candidates=candidates)
        self._window_s = params.window_s
        self._most = candidates
        self._postings: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self._members: list[tuple[float, StoryId]] = []

    def probe(self, sketch: Sketch, at: float) -> Probe:
        """Return the copies of the real index, and the stories of the nearest articles."""
        likeness: dict[int, float] = defaultdict(float)
        for term, weight in _unit(sketch):
            for member, other in self._postings[term]:
                likeness[member] += weight * other
        found: dict[StoryId, None] = {}
        for member in sorted(likeness, key=likeness.__getitem__, reverse=True):
            then, story = self._members[member]
            if at - then <= self._window_s:
                found[self.story(story).story_id] = None
            if len(found) == self._most:
                break
        return replace(super().probe(sketch, at), stories=tuple(map(self.story, found)))

    def attach(self, sample: Sample, story: StoryId | None, *, is_copy: bool = False) -> StoryId:
        """Also remember the article itself."""
        joined = super().attach(sample, story, is_copy=is_copy)
        for term, weight in _unit(sample.sketch):
            self._postings[term].append((len(self._members), weight))
        self._members.append((sample.at, joined))
        return joined


def _unit(sketch: Sketch) -> list[tuple[int, float]]:
    rows = np.frombuffer(sketch.vector, VECTOR)
    weights = term_weight(rows["tf"]) * static_idf(rows["prior"])
    weights /= max(float(np.sqrt(weights @ weights)), 1e-9)
    return list(zip(rows["term"].tolist(), weights.tolist(), strict=True))


class Bench:
    """Streams the samples in different ways and prints a line for each."""

    def __init__(self, samples: Sequence[Sample], settings: Settings) -> None:
        self._samples = samples
        self._params = settings.index.params()
        self._policy = settings.match.policy()

    def run(
        self,
        name: str,
        folds: Sequence[Scorer],
        *,
        parts: Sequence[Sequence[Sample]] | None = None,
        index: Callable[[], SimulatedIndex] | None = None,
        threshold: float | None = None,
        merges: bool = True,
    ) -> None:
        """Print the scores of one way; parts see an index each."""
        policy = self._policy
        if threshold is not None:
            policy = replace(policy, story_threshold=threshold)
        true, found = [], []
        for number, part in enumerate(parts or by_language(self._samples)):
            stories = stream(
                part,
                index() if index else SimulatedIndex(self._params),
                policy=policy,
                scorer=lambda s: folds[fold_of(s.true)],
                merges=merges,
            )
            found += [(number, story) for story in stories]
            true += [(number if parts else 0, sample.true) for sample in part]
        b, p = b_cubed(true, found), pairwise(true, found)
        print(
            f"{name:34} {b.precision:.4f} {b.recall:.4f} {b.f1:.4f}  "
            f"{p.precision:.4f} {p.recall:.4f} {p.f1:.4f}",
            flush=True,
        )

    def recall(self) -> None:
        """Print how often the true story is among the candidates, and at what cost."""
        places, ids, probes = [], 0, 0
        for part in by_language(self._samples):
            index, last = SimulatedIndex(self._params, candidates=64), dict[str, float]()
            for sample in part:
                stories = [c.story_id for c in index.probe(sample.sketch, sample.at).stories]
                if sample.at - last.get(sample.true, -np.inf) <= self._params.window_s:
                    there = sample.true in stories
                    places.append(stories.index(StoryId(sample.true)) if there else 64)
                last[sample.true] = sample.at
                index.attach(sample, StoryId(sample.true))
            ids, probes = ids + index.ids_read, probes + len(part)
        for most in (8, 16, 32):
            print(f"recall@{most:<3} {np.mean(np.array(places) < most):.4f}")
        print(f"ids read an article {ids / probes:.0f} (both levels)", flush=True)


def main() -> None:
    """Print every figure."""
    settings = load_settings()
    samples = read_samples([Path(name) for name in sys.argv[1:]], settings, workers=2)
    params = settings.index.params()
    bench = Bench(samples, settings)
    bench.recall()
    rows = observe((e for part in by_language(samples) for e in episodes(part)), params)
    folds = [regress(rows, without=k) for k in range(FOLDS)]
    print(f"{'':34} {'B-cubed P R F1':21} pairwise P R F1")
    bench.run("as shipped", folds)
    bench.run("without merging", folds, merges=False)
    bench.run("exact search", folds, index=lambda: ExactIndex(params, candidates=16))
    rng = np.random.default_rng(0)
    noise = dict(zip([s.name for s in samples], rng.random(len(samples)).tolist(), strict=True))
    shuffled = sorted(samples, key=lambda s: (s.at // HOUR_S, noise[s.name]))
    bench.run("shuffled inside every hour", folds, parts=by_language(shuffled))
    young = [samples[i : i + YOUNG] for i in range(0, len(samples), YOUNG)]
    bench.run(f"fresh index every {YOUNG} articles", folds, parts=young)
    for threshold in (0.4, 0.5, 0.6, 0.7):
        bench.run(f"threshold {threshold}", folds, threshold=threshold)
    bench.run("32 candidates", folds, index=lambda: SimulatedIndex(params, candidates=32))
    for name in FEATURES:
        left = [f for f in FEATURES if f != name]
        without = [regress(rows, without=k, names=left) for k in range(FOLDS)]
        bench.run(f"without {name}", without)


if __name__ == "__main__":
    main()
