"""Evidence survives being packed, and is small."""

import pytest

from worker.core.evidence import pack, unpack
from worker.model import ArticleId, CopyOf, Evidence, NewStory, SameStory, StoryId

FEATURES = {"prominence": 1.61, "distinct": 0.2, "names": 0.31, "numbers": 0.15, "age_days": 0.52}


def _candidates(count: int) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            story_id=StoryId(f"en-{i:012x}"),
            score=0.9 - i / 10,
            features=FEATURES,
            shared=("geneva", "talks", "ceasefire", "Łódź", "停战"),
        )
        for i in range(count)
    )


def test_pack_when_same_story_then_unpacks_to_what_was_decided() -> None:
    """The best three candidates come back with features and words of any script."""
    decision = SameStory(story_id=StoryId("en-000000000000"), score=0.9, evidence=_candidates(5))
    found = unpack(pack(decision))
    assert (found["decision"], found["score"], len(found["candidates"])) == ("SameStory", 0.9, 3)
    assert found["candidates"][0] == {
        "story": "en-000000000000",
        "score": 0.9,
        "features": FEATURES,
        "shared": ["geneva", "talks", "ceasefire", "Łódź", "停战"],
    }


def test_pack_when_copy_or_alone_then_says_so() -> None:
    """A copy names the other text and how much they overlap; a first report has no candidates."""
    copy = CopyOf(
        article_id=ArticleId("0" * 16), story_id=StoryId("en-0"), jaccard=0.61, containment=0.83
    )
    found = unpack(pack(copy))
    assert (found["copy_of"], found["jaccard"], found["score"]) == ("0" * 16, 0.61, 0.83)
    assert unpack(pack(NewStory(score=0.0)))["candidates"] == []
    assert unpack(b"") == {}


def test_pack_when_compared_with_its_text_then_a_third() -> None:
    """Millions of these lie in memory."""
    packed = pack(NewStory(score=0.4, evidence=_candidates(3)))
    assert len(packed) < 200


@pytest.mark.parametrize("torn", [b"x", b"\x00\x01", b"null"])
def test_unpack_when_torn_then_says_what_it_is_not(torn: bytes) -> None:
    """A record from Redis is not trusted."""
    with pytest.raises(ValueError, match="evidence"):
        unpack(torn)
