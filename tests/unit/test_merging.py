"""Two stories become one when their own profiles say so, whatever article lies between them."""

from dataclasses import replace

from test_stories import BRIDGE, BRIDGE_AGAIN, CONCERT, FRESH, POLICY, ask, make, story

from worker.core.merging import BRIDGE as BRIDGE_SCORE
from worker.core.merging import bridged, merged_exemplars, should_merge
from worker.model import Evidence, NewStory, SameStory, StoryId

FIRST, SECOND = story("first", make(BRIDGE)), story("second", make(BRIDGE_AGAIN))
OTHER = story("other", make(CONCERT))


def test_should_merge_when_profiles_tell_one_event_then_yes_either_way() -> None:
    """Which of the two is asked about does not matter."""
    assert should_merge(FIRST, SECOND, [OTHER], df=FRESH, policy=POLICY)
    assert should_merge(SECOND, FIRST, [OTHER], df=FRESH, policy=POLICY)


def test_should_merge_when_profiles_tell_two_events_then_no() -> None:
    """A survey that mentions both makes no story of them; nor does a story without terms."""
    assert not should_merge(FIRST, OTHER, [], df=FRESH, policy=POLICY)
    assert not should_merge(FIRST, story("hollow"), [], df=FRESH, policy=POLICY)


def test_should_merge_when_one_of_many_exemplars_fits_then_no() -> None:
    """The mean decides: a story that swallowed one stranger does not swallow the stranger's story."""
    drifted = story("drifted", make(CONCERT), make(BRIDGE_AGAIN))
    drifted = replace(drifted, exemplars=(*drifted.exemplars, make((CONCERT[0], "")).vector))
    assert not should_merge(drifted, FIRST, [], df=FRESH, policy=POLICY)


def test_bridged_when_second_candidate_is_near_then_its_story() -> None:
    """Only an article that joins one story can speak for another."""
    best, near = (Evidence(story_id=StoryId(n), score=s, features={}) for n, s in (("a", 0.9), ("b", BRIDGE_SCORE)))  # fmt: skip
    far = replace(near, score=BRIDGE_SCORE - 0.01)
    assert bridged(SameStory(story_id=StoryId("a"), score=0.9, evidence=(best, near))) == "b"
    assert bridged(SameStory(story_id=StoryId("a"), score=0.9, evidence=(best, far))) is None
    assert bridged(SameStory(story_id=StoryId("a"), score=0.9, evidence=(best,))) is None
    assert bridged(NewStory(score=0.4, evidence=(near, near))) is None


def test_bridged_when_index_is_split_then_the_next_account_shows_it() -> None:
    """An article of an event that stands as two stories names the other one."""
    decision = ask(make((BRIDGE[0], BRIDGE_AGAIN[1])), FIRST, SECOND, OTHER)
    assert isinstance(decision, SameStory)
    assert {decision.story_id, bridged(decision)} == {"first", "second"}


def test_merged_exemplars_when_stories_are_full_then_founders_and_newest_of_both() -> None:
    """Eight stay, by turns, none twice."""
    older, younger = [bytes([n]) for n in range(8)], [bytes([n]) for n in (20, 1, 21, 22)]
    assert merged_exemplars(older, younger) == tuple(
        bytes([n]) for n in (0, 20, 1, 2, 21, 3, 22, 4)
    )
