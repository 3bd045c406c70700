"""Comparing two namespaces: gather where articles are, let the core compare, look up examples."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.core.changes import Change, Changes, compare
from worker.core.evidence import unpack
from worker.errors import ConfigError
from worker.model import ArticleId, StoryId
from worker.store.stories import StoredArticle, Stories

TITLES = 3  # example headlines of a change


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the articles of a namespace are."""

    stories: Mapping[ArticleId, StoryId]
    originals: Mapping[ArticleId, ArticleId]  # of what is no reprint, itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One change, as a person can judge it."""

    change: Change
    base_title: str  # of the stories
    new_title: str
    titles: tuple[str, ...]  # of the articles, by time of publication
    article: ArticleId  # the one whose decisions stand here; may be another one of the stories
    article_title: str
    base_evidence: Mapping[str, Any]  # core.evidence
    new_evidence: Mapping[str, Any]

    @property
    def decided_alike(self) -> bool:
        """Say whether no decision shows the change: stories were joined or parted afterwards."""
        return bool(self.base_evidence.get("decision") == self.new_evidence.get("decision"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reprint:
    """An article that copies another one than it did, or began or ceased to copy."""

    article: ArticleId
    title: str
    base_original: ArticleId | None
    new_original: ArticleId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two namespaces compared, with examples for the largest changes."""

    base: Places
    new: Places
    changes: Changes
    examples: tuple[Example, ...]
    reprints: int  # articles with another original
    reprint_examples: tuple[Reprint, ...]


def require_stories(stories: Stories, namespace: str) -> None:
    """Refuse a namespace without stories: its name is likely mistyped.

    Raises:
        ConfigError: names it, and how one is made.
        StoreError: Redis did not answer.
    """
    if not stories.languages():
        raise ConfigError(
            f"namespace '{namespace}' holds no stories; "
            f"`samestory replay SOURCE --namespace {namespace}` makes some"
        )


def compare_namespaces(
    base: Stories, new: Stories, *, limit: int, among: Collection[ArticleId] | None = None
) -> Comparison:
    """Compare what two namespaces made of their articles.

    Args:
        base: the one that is taken as given.
        new: the other one.
        limit: how many examples of changes, and of reprints.
        among: look at these articles only, a set; None for all.

    Cost: reads every article of both once, in round trips of a thousand.
    """
    before, after = _places(base, among), _places(new, among)
    changes = compare(before.stories, after.stories)
    other_original = sorted(
        article
        for article, original in before.originals.items()
        if after.originals.get(article, original) != original
    )
    return Comparison(
        base=before,
        new=after,
        changes=changes,
        examples=tuple(
            _example(base, new, change, before, after) for change in changes.changes[:limit]
        ),
        reprints=len(other_original),
        reprint_examples=_reprints(new, before, after, other_original[:limit]),
    )


def _places(stories: Stories, among: Collection[ArticleId] | None) -> Places:
    where: dict[ArticleId, StoryId] = {}
    originals: dict[ArticleId, ArticleId] = {}
    for article in stories.every_article():
        if among is None or article.article_id in among:
            where[article.article_id] = article.story_id
            originals[article.article_id] = article.copy_of or article.article_id
    return Places(stories=where, originals=originals)


def _example(base: Stories, new: Stories, change: Change, before: Places, after: Places) -> Example:
    """Return a change with the decisions of the first article that was decided otherwise.

    Looked at are the articles of the change, then the others of both stories: where whole stories
    were joined or parted, one of those did it.
    """
    near = {member.article_id for member in base.members(change.base)}
    near.update(member.article_id for member in new.members(change.new))
    ids = near & before.stories.keys() & after.stories.keys()
    was = base.articles({i: before.stories[i] for i in ids})
    now = new.articles({i: after.stories[i] for i in ids})
    own = set(change.articles)
    ranked = sorted(was.keys() & now.keys(), key=lambda i: (i not in own, was[i].published_at, i))
    decided = [(unpack(was[i].evidence), unpack(now[i].evidence)) for i in ranked]
    otherwise = (at for at, (w, n) in enumerate(decided) if w.get("decision") != n.get("decision"))
    at = next(otherwise, 0)
    evidence = decided[at] if decided else ({}, {})
    return Example(
        change=change,
        base_title=_title(base, change.base),
        new_title=_title(new, change.new),
        titles=tuple(was[i].title for i in ranked[:TITLES] if i in own),
        article=ranked[at] if ranked else change.articles[0],
        article_title=was[ranked[at]].title if ranked else "",
        base_evidence=evidence[0],
        new_evidence=evidence[1],
    )


def _title(stories: Stories, story_id: StoryId) -> str:
    story = stories.story(story_id)
    return story.title if story else ""


def _reprints(
    stories: Stories, before: Places, after: Places, ids: Sequence[ArticleId]
) -> tuple[Reprint, ...]:
    found: Mapping[ArticleId, StoredArticle] = stories.articles({i: after.stories[i] for i in ids})
    return tuple(
        Reprint(
            article=i,
            title=found[i].title if i in found else "",
            base_original=None if before.originals[i] == i else before.originals[i],
            new_original=None if after.originals[i] == i else after.originals[i],
        )
        for i in ids
    )
