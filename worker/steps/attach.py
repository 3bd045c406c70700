"""Attach one article to the story it belongs to: probe, decide, attach, again when a race was lost."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from worker.core.evidence import pack, score_of
from worker.core.scorer import Scorer
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
from worker.steps.tend import Tender
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
    scorer: Scorer
    tender: Tender
    observe: Callable[[Decision], object] | None = None  # called once attached
    # What was cut off is decided again on the same; for one attacher, not for many.
    resumes: bool = False

    def attach(
        self, article: Article, sketch: Sketch, *, entry_id: EntryId, now: float
    ) -> Attachment:
        """Return the story that the article is a member of from now on.

        Raises:
            ConflictError: other workers changed the same stories MAX_RACES times in a row.
            StoreError: Redis did not answer.
        """
        salt = 0
        for race in range(MAX_RACES):
            keep = article.article_id if self.resumes and race == 0 else ""
            probe = self.index.probe(article.lang, sketch, now=now, keep=keep)
            df = self.index.frequencies(article.lang, seq=probe.seq, now=now, keep=self.resumes)
            decision = decide(
                sketch, probe, df=df, at=article.at, policy=self.policy, scorer=self.scorer
            )
            membership = membership_of(article, sketch, probe, decision, salt)
            answer = self.index.attach(
                article, sketch, membership, seq=probe.seq, now=now, entry_id=entry_id
            )
            if isinstance(answer, Known) and self.resumes and answer.entry_id == entry_id:
                # Cut off after this very attach: what follows it is done now, or found done.
                answer = Member(story_id=answer.story_id, original=answer.original)
            if answer is Refusal.TAKEN:
                salt += 1
            elif isinstance(answer, Member):
                if isinstance(decision, SameStory):
                    story_id = self.tender.tend(
                        article.article_id,
                        _grown(decision, probe, membership),
                        decision=decision,
                        probe=probe,
                        df=df,
                        now=now,
                    )
                    answer = replace(answer, story_id=story_id)
                if self.observe:
                    self.observe(decision)
                return _attachment(answer, decision)
            elif isinstance(answer, Known):
                return _known(answer, entry_id)
        raise ConflictError(f"article {article.article_id} lost {MAX_RACES} races")


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


def membership_of(
    article: Article, sketch: Sketch, probe: Probe, decision: Decision, salt: int
) -> Membership:
    """Return what attach is asked to write. ``salt``: how often a new story's id was taken."""
    match decision:
        case NewStory():
            story_id, version = (
                with_salt(new_story_id(article), salt),
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


def new_story_id(article: Article) -> StoryId:
    """Return the id of a story that this article opens: the same in every replay."""
    digest = hashlib.blake2b(article.article_id.encode(), digest_size=6, person=b"story")
    return StoryId(f"{article.lang}-{digest.hexdigest()}")
