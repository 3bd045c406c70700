"""Decisions: copies first, then the best story, with evidence; and what a story remembers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.features import FEATURES
from worker.core.likeness import kept_parities
from worker.core.salience import DocumentFrequencies
from worker.core.sketch import sketch
from worker.core.stories import decide, keep_exemplars
from worker.core.text import read
from worker.decode.lexicon import prior_for
from worker.model import (
    ArticleId,
    CopyCandidate,
    CopyOf,
    IndexParams,
    MatchPolicy,
    NewStory,
    Probe,
    SameStory,
    Sketch,
    StoryCandidate,
    StoryId,
)

PARAMS = IndexParams(
    num_perm=128,
    copy_bands=42,
    copy_rows=3,
    story_slots=64,
    story_terms=64,
    bucket_cap=32,
    window_s=604_800.0,
)
POLICY = MatchPolicy(min_shingles=20, copy_jaccard=0.5, copy_containment=0.8, story_threshold=0.5)
FRESH = DocumentFrequencies.of_parts([], 0)
NOW = 1_700_000_000.0
DAY = 86_400.0
WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "was",
    "by",
    "on",
    "said",
    "after",
    "with",
    "for",
    "that",
    "it",
    "a",
    "at",
    "from",
    "his",
    "her",
    "their",
    "has",
    "been",
    "had",
    "people",
    "city",
    "police",
    "court",
    "government",
    "minister",
    "report",
    "year",
    "week",
    "two",
    "three",
    "while",
    "before",
]

BRIDGE = (
    "Harbour bridge in Velmar closed after cracks found",
    (
        "Velmar closed the Orsund harbour bridge on Tuesday after engineers found cracks in two of its "
        "pillars. Mayor Ida Brokner said the closure would last at least 14 weeks. The bridge carries "
        "about 31,000 cars a day between the island of Orsund and the centre. Shipping through the "
        "harbour goes on. The engineering office Halvard Stene had warned of corrosion last year."
    ),
)
BRIDGE_AGAIN = (
    "Cracked pillars shut Orsund bridge for months",
    (
        "Drivers on Orsund face long detours: the island's harbour bridge was shut on Tuesday because "
        "of cracked pillars, Velmar's mayor Ida Brokner announced. Inspectors from Halvard Stene "
        "discovered the damage during routine work. Some 31,000 vehicles use the crossing daily. "
        "Repairs will take 14 weeks or longer, and ferries are to replace part of the traffic."
    ),
)
CONCERT = (
    "Singer Petra Lund cancels tour over illness",
    (
        "Petra Lund has called off the remaining nine concerts of her tour because of a throat "
        "infection, her agency announced on Wednesday. Tickets for the shows in Kalmstad and Ruhenau "
        "will be refunded. The singer, 44, had released her sixth album in the summer and apologised "
        "to her listeners in a short film."
    ),
)


def prior(token: str) -> float:
    """Return high probabilities for everyday words, a low one for all others."""
    return 0.5 if token in WORDS else 0.0005


def make(article: tuple[str, str]) -> Sketch:
    """Return the sketch of a title and a text."""
    return sketch(*map(read, article), params=PARAMS, prior=prior)


def story(name: str, *members: Sketch, at: float = NOW - DAY / 4) -> StoryCandidate:
    """Return a candidate whose members came at one time."""
    return StoryCandidate(
        story_id=StoryId(name),
        version=1,
        size=len(members),
        first_at=at,
        last_at=at,
        exemplars=tuple(m.vector for m in members),
    )


def copy(name: str, of: Sketch, at: float = NOW - DAY) -> CopyCandidate:
    """Return an article of its own story as copy candidate."""
    return CopyCandidate(
        article_id=ArticleId(name),
        story_id=StoryId(f"story-{name}"),
        shingles=of.shingles,
        parities=kept_parities(of.parities, of.shingles),
        published_at=at,
    )


def ask(
    article: Sketch, *stories: StoryCandidate, copies: tuple[CopyCandidate, ...] = ()
) -> object:
    """Return the decision on a fresh index."""
    probe = Probe(seq=0, copies=copies, stories=stories)
    return decide(article, probe, df=FRESH, at=NOW, policy=POLICY)


def test_decide_when_event_is_the_same_then_joins_with_evidence() -> None:
    """Another wording of one event joins its story; the evidence names the shared words."""
    decision = ask(
        make(BRIDGE_AGAIN), story("concert", make(CONCERT)), story("bridge", make(BRIDGE))
    )
    assert isinstance(decision, SameStory)
    assert decision.story_id == "bridge"
    best, other = decision.evidence
    assert best.score == decision.score > POLICY.story_threshold > other.score
    assert {"orsund", "brokner"} <= set(best.shared)
    assert not {"orsund", "brokner"} & set(other.shared)
    assert set(best.features) == set(FEATURES)


def test_decide_when_event_is_another_then_new_story_with_evidence() -> None:
    """A stranger opens a story, and the evidence says what it was compared with."""
    decision = ask(make(CONCERT), story("bridge", make(BRIDGE), make(BRIDGE_AGAIN)))
    assert isinstance(decision, NewStory)
    assert decision.evidence[0].story_id == "bridge"
    assert decision.score == decision.evidence[0].score < POLICY.story_threshold


def test_decide_when_nothing_is_near_then_new_story() -> None:
    """An empty index and an article without words both open stories."""
    blank = Sketch(shingles=0, signature=b"", parities=b"", slots=b"", vector=b"", words=())
    assert ask(make(BRIDGE)) == NewStory(score=0.0)
    assert ask(blank, story("bridge", make(BRIDGE))) == NewStory(score=0.0)
    assert ask(make(BRIDGE), story("hollow", blank)) == NewStory(score=0.0)


def test_decide_when_many_candidates_then_explains_the_best_five() -> None:
    """Evidence is for reading: five candidates, best first."""
    stories = [story(f"s{i}", make(CONCERT)) for i in range(8)]
    decision = ask(make(BRIDGE_AGAIN), *stories, story("bridge", make(BRIDGE)))
    assert isinstance(decision, SameStory)
    assert len(decision.evidence) == 5
    scores = [e.score for e in decision.evidence]
    assert scores == sorted(scores, reverse=True)


def test_decide_when_story_is_old_then_scores_lower() -> None:
    """The same words tell less after days."""
    young = ask(make(BRIDGE_AGAIN), story("bridge", make(BRIDGE)))
    old = ask(make(BRIDGE_AGAIN), story("bridge", make(BRIDGE), at=NOW - 6 * DAY))
    assert isinstance(young, SameStory)
    assert isinstance(old, SameStory | NewStory)
    assert old.score < young.score


def test_decide_when_text_is_reprinted_then_copy_of_the_earliest() -> None:
    """Of several verified copies the first publisher counts."""
    original = make(BRIDGE)
    reprint = make((BRIDGE[0], BRIDGE[1] + " Reporting by our staff."))
    candidates = (copy("later", original), copy("first", original, at=NOW - 2 * DAY))
    decision = ask(reprint, story("bridge", original), copies=candidates)
    assert isinstance(decision, CopyOf)
    assert (decision.article_id, decision.story_id) == ("first", "story-first")
    assert decision.jaccard > 0.7


def test_decide_when_text_is_shortened_then_contained_copy() -> None:
    """A cut reprint has a low Jaccard but lies inside the original."""
    whole = make((BRIDGE[0], BRIDGE[1] + " " + CONCERT[1]))
    part = make(BRIDGE)
    policy = replace(POLICY, copy_jaccard=0.9)
    probe = Probe(seq=0, copies=(copy("whole", whole),), stories=())
    decision = decide(part, probe, df=FRESH, at=NOW, policy=policy)
    assert isinstance(decision, CopyOf)
    assert decision.containment >= POLICY.copy_containment


def test_decide_when_band_collides_by_chance_then_no_copy() -> None:
    """A shared band is a question, not an answer."""
    decision = ask(make(CONCERT), copies=(copy("bridge", make(BRIDGE)),))
    assert decision == NewStory(score=0.0)


def test_decide_when_candidates_are_reordered_then_same_answer() -> None:
    """The order in which the index answers does not matter."""
    stories = [story("concert", make(CONCERT)), story("bridge", make(BRIDGE))]
    there, back = ask(make(BRIDGE_AGAIN), *stories), ask(make(BRIDGE_AGAIN), *stories[::-1])
    assert isinstance(there, SameStory)
    assert isinstance(back, SameStory)
    assert there.score == pytest.approx(back.score)
    assert there.story_id == back.story_id


@given(st.lists(st.binary(min_size=1, max_size=2), min_size=1, max_size=30))
def test_keep_exemplars_when_articles_come_then_founder_and_newest(vectors: list[bytes]) -> None:
    """The founder stays first, the newest follow without repetitions, never more than eight."""
    kept: tuple[bytes, ...] = ()
    for vector in vectors:
        kept = keep_exemplars(kept, vector)
        assert kept[0] == vectors[0]
        assert vector in kept
        assert len(kept) == len(set(kept)) <= 8
    newest = [v for v in dict.fromkeys(reversed(vectors)) if v != vectors[0]]
    assert kept[1:] == tuple(newest[:7])


@pytest.mark.parametrize("known", [BRIDGE, BRIDGE_AGAIN, CONCERT])
@pytest.mark.parametrize("new", [BRIDGE, BRIDGE_AGAIN, CONCERT])
def test_decide_when_index_holds_one_article_then_static_frequencies_suffice(
    known: tuple[str, str], new: tuple[str, str]
) -> None:
    """The second article of a fresh index is judged rightly: the language's own list knows words."""
    first, second = (
        sketch(*map(read, text), params=PARAMS, prior=prior_for("en")) for text in (known, new)
    )
    same = CONCERT not in (known, new) or known == new
    assert isinstance(ask(second, story("first", first)), SameStory if same else NewStory)
