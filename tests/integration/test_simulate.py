"""The simulated index answers what the scripts answer: fitting rests on it."""

import random
from dataclasses import replace

import numpy as np

from worker.core.scorer import shipped
from worker.evaluate.simulate import Sample, SimulatedIndex, stream
from worker.model import ArticleId, EntryId, StoryCandidate, StoryId
from worker.testing import a_sketch, an_article
from worker.wiring import Context

PLACES = [
    "velmar",
    "orsund",
    "kalmstad",
    "ruhenau",
    "brokner",
    "halvard",
    "stene",
    "lund",
    "petra",
    "ida",
]
DEEDS = [
    "bridge",
    "harbour",
    "closed",
    "cracks",
    "engineers",
    "pillars",
    "ferries",
    "concert",
    "tour",
    "singer",
    "cancelled",
    "album",
]


def _texts(count: int) -> list[str]:
    """Return texts of words drawn at random, many of them alike."""
    draw = random.Random(7)
    return [
        " ".join(draw.choices(PLACES, k=12) + draw.choices(DEEDS, k=24) + [f"word{n % 9}"] * 3)
        for n in range(count)
    ]


class Idle:
    """Leaves stories as they are: what is simulated here is the index."""

    def tend(self, _article: ArticleId, story: StoryCandidate, **_: object) -> StoryId:
        """Return the story that the article joined."""
        return story.story_id


def test_simulated_index_when_same_articles_come_then_same_stories_and_frequencies(
    context: Context,
) -> None:
    """Sixty articles over twelve days, more than a window: the pipeline and the simulation agree."""
    params, policy = context.settings.index.params(), context.settings.match.policy()
    start, samples, real = 1.8e9, [], []
    attacher = replace(context.attacher, tender=Idle())  # type: ignore[arg-type]
    for number, text in enumerate(_texts(60)):
        at = start + 17_280.0 * number
        sketch = a_sketch(text, params, title=text[:30])
        samples.append(Sample(name=f"a{number}", at=at, true="", lang="en", sketch=sketch))
        article = an_article(f"a{number}", at=at)
        done = attacher.attach(article, sketch, entry_id=EntryId(f"e{number}"), now=at)
        real.append(done.story_id)
    index = SimulatedIndex(params)
    found = stream(samples, index, policy=policy, scorer=lambda _: shipped(), merges=False)
    assert [real.index(story) for story in real] == [found.index(story) for story in found]
    last = samples[-1]
    theirs = context.index.probe("en", last.sketch, now=last.at)
    mine = index.probe(last.sketch, last.at)
    assert sorted(c.size for c in theirs.stories) == sorted(c.size for c in mine.stories)
    assert {c.exemplars for c in theirs.stories} == {c.exemplars for c in mine.stories}
    counted = context.index.frequencies("en", seq=theirs.seq, now=last.at)
    assert np.array_equal(counted.counts, index.frequencies(last.at).counts)
