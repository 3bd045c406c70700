"""The audit: proves on a live system that nothing was lost and nothing counted twice."""

from collections.abc import Iterator
from dataclasses import dataclass

from worker.model import Outcome
from worker.store.census import Census, StoryCount
from worker.store.ledger import Ledger
from worker.store.stories import Stories


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The sums, and everything that does not agree with them."""

    sums: dict[str, int]
    offences: tuple[str, ...]

    @property
    def balanced(self) -> bool:
        """Whether every sum agrees."""
        return not self.offences


def audit(ledger: Ledger, stories: Stories, census: Census) -> AuditReport:
    """Compare what was claimed with what became of it, and each story with its members.

    Cost: O(pending + stories + articles) reads, a few hundred at a time.
    """
    counts = ledger.counts()
    articles = {lang: stories.totals(lang)["articles"] for lang in stories.languages()}
    sums = {
        name: counts.get(name, 0)
        for name in ("claimed", "pending", *(outcome.value for outcome in Outcome))
    }
    sums["articles"] = sum(articles.values())
    offences = [
        *_ledger_offences(counts, ledger.counts(), sums["articles"]),
        *(
            f"entry {entry_id}: pending, but settled or without record"
            for entry_id in census.astray()
        ),
    ]
    for lang in articles:
        for story in census.stories(lang):
            offences += _story_offences(story)
    return AuditReport(sums=sums, offences=tuple(offences))


def _ledger_offences(before: dict[str, int], after: dict[str, int], articles: int) -> Iterator[str]:
    """Yield what is wrong with the sums; ``before`` and ``after`` frame the reading of articles."""
    settled = sum(before.get(outcome.value, 0) for outcome in Outcome)
    if before.get("claimed", 0) != before["pending"] + settled:
        yield (
            f"{before.get('claimed', 0)} entries were claimed, but {before['pending']} are pending "
            f"and {settled} have an outcome"
        )
    if before.get(Outcome.QUARANTINED.value, 0) != before["held"]:
        yield (
            f"{before.get(Outcome.QUARANTINED.value, 0)} entries count as quarantined, "
            f"but {before['held']} are held"
        )
    # An article is written before its entry is settled: those in between are pending or held.
    least = before.get(Outcome.ATTACHED.value, 0)
    most = after.get(Outcome.ATTACHED.value, 0) + after["pending"] + after["held"]
    if not least <= articles <= most:
        yield f"{articles} articles are attached, but the outcomes say {least} to {most}"


def _story_offences(story: StoryCount) -> Iterator[str]:
    if story.size != len(story.members) + story.past or not story.size:
        yield (
            f"story {story.story_id}: counts {story.size} articles, has {len(story.members)} "
            f"and {story.past} that expired"
        )
    if story.own_accounts + story.copies != story.size:
        yield (
            f"story {story.story_id}: {story.own_accounts} own accounts and {story.copies} "
            f"reprints are not {story.size} articles"
        )
    for article_id in story.strangers:
        yield f"article {article_id}: a member of story {story.story_id}, but names another one"
