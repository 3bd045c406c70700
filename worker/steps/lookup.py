"""Finds what a person means: stories and articles by any name, and the nearest ones otherwise."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice

from worker.core.entries import article_id, article_id_of_record, canonical_url, entry_id
from worker.errors import NotFoundError
from worker.model import ArticleId, EntryId, Outcome, ParsedEntry, StoryId
from worker.steps.measure import Parts
from worker.store.client import store_errors
from worker.store.ledger import LedgerRow
from worker.store.stories import NEAREST_AMONG, StoredArticle, Story

_NEAREST = 3
_CUTOFF = 0.0  # whatever is asked for: the nearest are shown, however far
_TITLE_CHARS = 60
_BATCH = 500  # about 5 ms of Redis's time


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a name of an article stands for: one of the two is there, or both.

    ``row`` is the ledger's entry: the named one, else the one that the article came with. It is
    gone once retention is over, and ``article`` is None for an entry that was not attached.
    """

    article: StoredArticle | None
    row: LedgerRow | None


def find_story(parts: Parts, name: str) -> Story:
    """Return the story of an id.

    Raises:
        NotFoundError: carries the nearest of the stories that moved last.
        StoreError: Redis did not answer.
    """
    story = parts.stories.story(StoryId(name.strip().lower()))
    if story:
        return story
    recent = parts.stories.newest(limit=NEAREST_AMONG)
    labels: dict[str, tuple[str, ...]] = {
        s.story_id: (_label(s.story_id, s.title), s.title) for s in recent
    }
    raise NotFoundError("story", name, _nearest(name, labels))


def find_article(parts: Parts, name: str) -> Found:
    """Return what an article id, an entry id, an address, a guid or a record's id stands for.

    Raises:
        NotFoundError: carries the nearest of the articles that came last.
        StoreError: Redis did not answer.

    Cost: a few look-ups for what was attached and has an address, and for every id; O(feeds) for a
    guid; for the address of what was not attached, and when there is nothing, O(keys of the
    server): some 10 s for a million entries.
    """
    name = name.strip()
    url = canonical_url(name)
    ids = [ArticleId(name.lower()), article_id_of_record(name)]
    if url:
        ids.append(article_id(url, EntryId("")))
    for candidate in ids:
        article = parts.stories.article(candidate)
        if article:
            return _found(article, parts.ledger.row(article.entry_id))
    row = parts.ledger.row(EntryId(name.lower())) or _row_by_guid(parts, name)
    row = row or _row_by_scan(parts, {*ids, name, url} - {""})
    if row:
        return _found(parts.stories.article(row.entry.article_id), row)
    return _among_recent(parts, name)


def _found(article: StoredArticle | None, row: LedgerRow | None) -> Found:
    """Return both, the entry told in full: of an attached one the ledger keeps only where it went."""
    if article and row and row.outcome == Outcome.ATTACHED:
        entry = replace(
            row.entry,
            ref=article.ref,
            url=article.url,
            title=article.title,
            source=article.source,
            published_at=article.published_at,
        )
        row = replace(row, entry=entry)
    return Found(article=article, row=row)


@store_errors()
def _row_by_guid(parts: Parts, guid: str) -> LedgerRow | None:
    """Return the entry that some feed lists under a guid: its id is made of the two."""
    record = ParsedEntry(guid=guid, url="", title="", summary="", published_at=None)
    ids = [entry_id(feed.feed_id, record) for feed in parts.feeds.all()]
    with parts.client.pipeline(transaction=False) as pipe:
        for candidate in ids:
            pipe.exists(parts.keys.entry(candidate))
        there = pipe.execute()
    return next((parts.ledger.row(i) for i, yes in zip(ids, there, strict=True) if yes), None)


@store_errors()
def _row_by_scan(parts: Parts, names: set[str]) -> LedgerRow | None:
    """Return the entry of one of some names, looked for among all that the ledger still has."""
    prefix = parts.keys.entry_prefix
    keys: Iterator[bytes] = parts.client.scan_iter(match=prefix + "*", count=_BATCH)
    while batch := [EntryId(key.decode().removeprefix(prefix)) for key in islice(keys, _BATCH)]:
        row = _first_row(parts, batch, names)
        if row:
            return row
    return None


@store_errors()
def _first_row(parts: Parts, ids: Sequence[EntryId], names: set[str]) -> LedgerRow | None:
    """Return the first entry that came under one of some names; all are asked for at once."""
    wanted = {name.encode() for name in names}
    with parts.client.pipeline(transaction=False) as pipe:
        for entry in ids:
            pipe.hmget(parts.keys.entry(entry), "ref", "url", "article")
        answers = pipe.execute()
    for entry, answer in zip(ids, answers, strict=True):
        if wanted.intersection(answer):
            return parts.ledger.row(entry)
    return None


def _among_recent(parts: Parts, name: str) -> Found:
    """Return the newest attached article that came with a name, or say which are near.

    Raises:
        NotFoundError: none did.
    """
    labels: dict[str, tuple[str, ...]] = {}
    for story in parts.stories.newest(limit=NEAREST_AMONG):
        for article in parts.stories.members(story.story_id):
            if article.ref == name:
                return _found(article, parts.ledger.row(article.entry_id))
            label = _label(article.article_id, article.title)
            labels[article.article_id] = (label, article.title, article.url, article.ref)
    raise NotFoundError("article", name, _nearest(name, labels))


def nearest_of(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names nearest to one that does not exist, best first."""
    return _nearest(name, {known: (known,) for known in names})


def _nearest(name: str, labels: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the labels of what is nearest to a name: by a part of it, else by resemblance.

    Args:
        name: what was asked for.
        labels: by id, the label and then the other texts that the thing goes by.
    """
    wanted = name.casefold()
    texts: dict[str, str] = {}
    for thing, (label, *others) in labels.items():
        for text in (thing, *others):
            if text:
                texts.setdefault(text.casefold(), label)
    parts = [label for text, label in texts.items() if wanted and wanted in text]
    close = [texts[t] for t in get_close_matches(wanted, texts, n=_NEAREST, cutoff=_CUTOFF)]
    return tuple(dict.fromkeys((*parts, *close)))[:_NEAREST]


def _label(thing: str, title: str) -> str:
    short = title if len(title) <= _TITLE_CHARS else title[: _TITLE_CHARS - 1] + "…"
    return f"{thing} ({short})" if short else thing
