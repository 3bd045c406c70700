"""Attach one article to the story it belongs to: probe, decide, attach, again when a race was lost."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from worker.core.evidence import pack, score_of
from worker.core.partings import CHECKPOINTS, parting
from worker.core.salience import DocumentFrequencies
from worker.core.stories import decide, keep_exemplars
from worker.errors import ConflictError
from worker.model import (
    Article,
    ArticleId,
    CopyOf,
    Decision,
    EntryId,
    MatchPolicy,
    NewStory,
    Outcome,
    Probe,
    SameStory,
    Sketch,
    StoryCandidate,
    StoryId,
)
from worker.store.index import (
    ANY_VERSION,
    OPENS,
    Index,
    Known,
    Member,
    Membership,
    Refusal,
    with_salt,
)

# Of 16 workers that open one story at once the last loses 15 races; twice that is plenty.
MAX_RACES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Where an article went."""

    outcome: Outcome  # attached or duplicate
    story_id: StoryId
    copy_of: ArticleId | None
    score: float
    reason: str  # copy, same_story, new_story, or known


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacher:
    """Attaches articles to the stories of one namespace."""

    index: Index
    policy: MatchPolicy

    def attach(
        self, article: Article, sketch: Sketch, *, entry_id: EntryId, now: float
    ) -> Attachment:
        """Return the story that the article is a member of from now on.

        Raises:
            ConflictError: other workers changed the same stories MAX_RACES times in a row.
            StoreError: Redis did not answer.
        """
        salt = 0
        for _ in range(MAX_RACES):
            probe = self.index.probe(article.lang, sketch, now=now)
            df = self.index.frequencies(article.lang, seq=probe.seq, now=now)
            decision = decide(sketch, probe, df=df, at=article.at, policy=self.policy)
            membership = _membership(article, sketch, probe, decision, salt)
            answer = self.index.attach(
                article, sketch, membership, seq=probe.seq, now=now, entry_id=entry_id
            )
            if answer is Refusal.TAKEN:
                salt += 1
            elif isinstance(answer, Member):
                if isinstance(decision, SameStory):
                    story = _grown(decision, probe, membership)
                    answer = replace(answer, story_id=self._part(article, story, df, now=now))
                return _attachment(answer, decision)
            elif isinstance(answer, Known):
                return _known(answer, entry_id)
        raise ConflictError(f"article {article.article_id} lost {MAX_RACES} races")

    def _part(
        self, article: Article, story: StoryCandidate, df: DocumentFrequencies, *, now: float
    ) -> StoryId:
        """Return the article's story, after a story that has become two was split."""
        if story.size not in CHECKPOINTS:
            return story.story_id
        moved = [story.exemplar_ids[i] for i in parting(story.exemplars, df)]
        if not moved:
            return story.story_id
        opens = new_story_id(article.lang, moved[-1], person=b"parted")
        split = self.index.split(story, moved, opens=opens, now=now)
        return opens if split and article.article_id in moved else story.story_id


def _grown(decision: SameStory, probe: Probe, membership: Membership) -> StoryCandidate:
    """Return the story that an article joined as it is from now on."""
    story = next(s for s in probe.stories if s.story_id == decision.story_id)
    return replace(
        story,
        version=story.version + 1,
        size=story.size + 1,
        exemplars=membership.exemplars,
        exemplar_ids=membership.exemplar_ids,
    )


def _attachment(member: Member, decision: Decision) -> Attachment:
    reasons: Mapping[type[Decision], str] = {
        CopyOf: "copy",
        SameStory: "same_story",
        NewStory: "new_story",
    }
    return Attachment(
        outcome=Outcome.ATTACHED,
        story_id=member.story_id,
        copy_of=member.original,
        score=score_of(decision),
        reason=reasons[type(decision)],
    )


def _known(known: Known, entry_id: EntryId) -> Attachment:
    """The article is there: attached by this very entry before, or by another one."""
    mine = known.entry_id == entry_id
    return Attachment(
        outcome=Outcome.ATTACHED if mine else Outcome.DUPLICATE,
        story_id=known.story_id,
        copy_of=None,
        score=1.0,
        reason="known",
    )


def _membership(
    article: Article, sketch: Sketch, probe: Probe, decision: Decision, salt: int
) -> Membership:
    match decision:
        case NewStory():
            story_id, version = (
                with_salt(new_story_id(article.lang, article.article_id), salt),
                OPENS,
            )
            exemplars, known = keep_exemplars((), sketch.vector), {}
        case SameStory():
            story = next(s for s in probe.stories if s.story_id == decision.story_id)
            story_id, version = story.story_id, story.version
            exemplars = keep_exemplars(story.exemplars, sketch.vector)
            known = dict(zip(story.exemplars, story.exemplar_ids, strict=True))
        case CopyOf():
            # A reprint adds nothing to what its story is about.
            story_id, version, exemplars, known = decision.story_id, ANY_VERSION, (), {}
    return Membership(
        story_id=story_id,
        version=version,
        exemplars=exemplars,
        exemplar_ids=tuple(known.get(vector, article.article_id) for vector in exemplars),
        copy_of=decision.article_id if isinstance(decision, CopyOf) else None,
        score=score_of(decision),
        evidence=pack(decision),
    )


def new_story_id(lang: str, article_id: ArticleId, *, person: bytes = b"story") -> StoryId:
    """Return the id of a story that an article opens: the same in every replay."""
    digest = hashlib.blake2b(article_id.encode(), digest_size=6, person=person)
    return StoryId(f"{lang}-{digest.hexdigest()}")
