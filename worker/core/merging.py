"""Decides whether two stories that one article speaks for are one story.

An article that would join either of two stories is a bridge. It only asks the question: the answer
comes from the stories' own exemplars, so that a survey of two events cannot weld them together.
"""

from collections.abc import Sequence
from itertools import chain, zip_longest

from worker.core.features import compare, measure
from worker.core.salience import DocumentFrequencies
from worker.core.scorer import Scorer, shipped
from worker.model import Decision, MatchPolicy, SameStory, StoryCandidate, StoryId

# From this score of the second-best candidate its story is asked about. It only saves work: one
# article in 57 asks at .3, and what is asked about in vain costs time, not quality.
BRIDGE = 0.3


def bridged(decision: Decision) -> StoryId | None:
    """Return the other story that an article speaks for, beside the one that it joins."""
    if not isinstance(decision, SameStory) or len(decision.evidence) < 2:
        return None
    second = decision.evidence[1]
    return second.story_id if second.score >= BRIDGE else None


def should_merge(
    a: StoryCandidate,
    b: StoryCandidate,
    rivals: Sequence[StoryCandidate],
    *,
    df: DocumentFrequencies,
    policy: MatchPolicy,
    scorer: Scorer | None = None,
) -> bool:
    """Say whether the profiles of two stories agree that they are one.

    They agree when the exemplars of each would join the other, on average: the same model and the
    same threshold as for an article, so that nothing is merged that arriving later would have
    stayed apart.

    Args:
        a: a story, with the bridge among its exemplars or without.
        b: another one.
        rivals: the bridge's other candidates; what is common to them proves nothing.
        df: document frequencies of the stream.
        policy: thresholds.
        scorer: the fitted model; None is the shipped one.
    Cost: as many comparisons as both stories have exemplars, at most 16.
    """
    if not any(a.exemplars) or not any(b.exemplars):
        return False
    weigh = scorer or shipped()
    at = max(a.first_at, b.first_at)  # when the later one began, the earlier one had this age
    scores = []
    for one, other in ((a, b), (b, a)):
        candidates = [c for c in (other, *rivals) if any(c.exemplars)]
        for exemplar in filter(None, one.exemplars):
            overlap = compare(exemplar, candidates, df)
            scores.append(float(weigh.scores(measure(overlap, candidates, at))[0]))
    return sum(scores) / len(scores) >= policy.story_threshold


def merged_exemplars(
    older: Sequence[bytes], younger: Sequence[bytes], limit: int = 8
) -> tuple[bytes, ...]:
    """Return the exemplars of two stories made one: both founders, then the newest by turns."""
    turns = chain.from_iterable(zip_longest(older, younger, fillvalue=b""))
    return tuple(dict.fromkeys(vector for vector in turns if vector))[:limit]
