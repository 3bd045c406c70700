"""Reading what was attached: stories and articles, for people and for other programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from worker.model import ArticleId, EntryId, StoryId
from worker.store.client import store_errors
from worker.store.keys import Keys, is_story_id, story_lang
from worker.store.packed import SAME_AS_REF, ArticleRecord, StoryRecord, stands_for

# How far back a look-up for the nearest names goes, in stories.
NEAREST_AMONG = 500
_HOPS = 64  # as in worker/store/lua/records.lua: a circle of names, which the audit mends, ends too
_STEP = 1_000  # reads in one round trip


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A story as a list of stories shows it."""

    story_id: StoryId
    title: str
    articles: int  # all members, reprints included
    reprints: int  # members that copy another one
    sources: int  # publishers
    own_accounts: int  # publishers with at least one text of their own
    first_at: float  # first published
    last_at: float
    opened_at: float  # first seen here


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArticle:
    """A member of a story."""

    article_id: ArticleId
    entry_id: EntryId
    ref: str
    url: str
    source: str
    title: str
    story_id: StoryId
    copy_of: ArticleId | None  # of its family, the text published first, if not this one
    score: float
    published_at: float
    seen_at: float
    shingles: int
    evidence: bytes  # core.evidence
    edited_at: float | None = None  # when its feed was last seen to say something else of it


class Stories:
    """The stories of one namespace; reads only."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @store_errors()
    def languages(self) -> tuple[str, ...]:
        """Return the languages that have stories."""
        return tuple(sorted(raw.decode() for raw in self._client.smembers(self._keys.langs)))

    @store_errors()
    def newest(self, *, limit: int, lang: str = "") -> tuple[Story, ...]:
        """Return the stories that moved last, newest first, of one language or of all."""
        moved: list[tuple[float, StoryId]] = []
        for code in [lang] if lang else self.languages():
            key = self._keys.lang_prefix(code) + "stories"
            found = self._client.zrange(key, 0, limit - 1, desc=True, withscores=True)
            moved += [(score, StoryId(raw.decode())) for raw, score in found]
        moved.sort(reverse=True)
        stories = self._read([story_id for _, story_id in moved[:limit]])
        return tuple(story for story in stories if story)

    @store_errors()
    def story(self, story_id: StoryId) -> Story | None:
        """Return one story, by any id it ever had, or None when there is none."""
        return self._read([self.current(story_id)])[0] if is_story_id(story_id) else None

    @store_errors()
    def current(self, story_id: StoryId) -> StoryId:
        """Return the id that a story has by now: its own, or that of the one it became part of."""
        for _ in range(_HOPS):
            raw = self._client.get(self._keys.story(story_id))
            other = stands_for(raw) if raw else ""
            if not other:
                break
            story_id = StoryId(other)
        return story_id

    @store_errors()
    def members(self, story_id: StoryId) -> tuple[StoredArticle, ...]:
        """Return a story's articles by time of publication; those past retention are left out."""
        story_id = self.current(story_id)
        with self._client.pipeline(transaction=True) as pipe:
            pipe.get(self._keys.story(story_id))
            pipe.zrange(self._keys.members(story_id), 0, -1)
            raw_story, raw_ids = pipe.execute()
        if raw_story and not raw_ids:  # a story of one article has no list of them
            raw_ids = [StoryRecord.unpack(raw_story).founder]
        ids = [ArticleId(raw.decode()) for raw in raw_ids]
        found = self._articles(story_lang(story_id), ids)
        return tuple(article for article in found if article)

    @store_errors()
    def sources(self, story_id: StoryId) -> dict[str, int]:
        """Return a story's publishers, each with the number of its own accounts."""
        story_id = self.current(story_id)
        with self._client.pipeline(transaction=True) as pipe:
            pipe.get(self._keys.story(story_id))
            pipe.hgetall(self._keys.sources(story_id))
            raw_story, raw = pipe.execute()
        if raw_story and not raw:  # a story of one article has no list of publishers
            raw = {StoryRecord.unpack(raw_story).source: b"1"}
        return {name.decode(): int(count) for name, count in raw.items()}

    @store_errors()
    def article(self, article_id: ArticleId) -> StoredArticle | None:
        """Return one article, whatever its language, by its id or that of its address of now."""
        for lang in self.languages():
            raw = self._client.get(self._keys.article(lang, article_id))
            if raw:
                return self._articles(lang, [ArticleId(stands_for(raw) or article_id)])[0]
        return None

    @store_errors()
    def articles(self, members: Mapping[ArticleId, StoryId]) -> dict[ArticleId, StoredArticle]:
        """Return those articles that are there, from a story that each was ever a member of.

        Cost: two round trips for every thousand articles of a language.
        """
        by_lang: dict[str, list[ArticleId]] = {}
        for article_id, story_id in members.items():
            by_lang.setdefault(story_lang(story_id), []).append(article_id)
        found: dict[ArticleId, StoredArticle] = {}
        for lang, ids in by_lang.items():
            for at in range(0, len(ids), _STEP):
                articles = self._articles(lang, ids[at : at + _STEP])
                found |= {article.article_id: article for article in articles if article}
        return found

    @store_errors()
    def stories_of(self, members: Mapping[ArticleId, StoryId]) -> dict[ArticleId, StoryId]:
        """Return the story that each article belongs to by now, from the one that it joined.

        Cost: one round trip for every thousand articles.
        """
        found: dict[ArticleId, StoryId] = {}
        ids = list(members)
        for at in range(0, len(ids), _STEP):
            step = ids[at : at + _STEP]
            with self._client.pipeline(transaction=False) as pipe:
                for article_id in step:
                    pipe.get(self._keys.article(story_lang(members[article_id]), article_id))
                for article_id, raw in zip(step, pipe.execute(), strict=True):
                    if raw:
                        found[article_id] = StoryId(ArticleRecord.unpack(raw).story.decode())
        return found

    @store_errors()
    def totals(self, lang: str) -> dict[str, int]:
        """Return how many articles a language attached and how many stories it has."""
        prefix = self._keys.lang_prefix(lang)
        with self._client.pipeline(transaction=True) as pipe:
            pipe.get(prefix + "seq")
            pipe.zcard(prefix + "stories")
            seq, stories = pipe.execute()
        return {"articles": int(seq or 0), "stories": stories}

    def _read(self, story_ids: Sequence[StoryId]) -> list[Story | None]:
        with self._client.pipeline(transaction=False) as pipe:
            for story_id in story_ids:
                pipe.get(self._keys.story(story_id))
                pipe.hvals(self._keys.sources(story_id))
            answers = pipe.execute()
        return [
            _story(story_id, StoryRecord.unpack(raw), own) if raw else None
            for story_id, raw, own in zip(story_ids, answers[::2], answers[1::2], strict=True)
        ]

    def _articles(self, lang: str, ids: Sequence[ArticleId]) -> list[StoredArticle | None]:
        if not ids:
            return []
        raw = self._client.mget([self._keys.article(lang, article_id) for article_id in ids])
        records = [ArticleRecord.unpack(one) if one else None for one in raw]
        # A family's root carries no root of its own, so every article asks for its family.
        roots = [(r.root.decode() if r else "") or i for r, i in zip(records, ids, strict=True)]
        family = self._keys.lang_prefix(lang) + "family:"
        originals = self._client.mget([family + root for root in roots])
        return [
            _article(article_id, record, original) if record else None
            for article_id, record, original in zip(ids, records, originals, strict=True)
        ]


def _story(story_id: StoryId, record: StoryRecord, own: Sequence[bytes]) -> Story:
    return Story(
        story_id=story_id,
        title=record.title.decode(),
        articles=record.size,
        reprints=record.copies,
        sources=len(own) or 1,
        own_accounts=sum(int(count) > 0 for count in own) if own else 1,
        first_at=float(record.first_at),
        last_at=float(record.last_at),
        opened_at=float(record.opened_at),
    )


def _article(article_id: ArticleId, record: ArticleRecord, original: bytes | None) -> StoredArticle:
    first = ArticleId(original.decode()) if original else None
    ref, url = record.ref.decode(), record.url.decode()
    return StoredArticle(
        article_id=article_id,
        entry_id=EntryId(record.entry.decode()),
        ref=ref,
        url=ref if url == SAME_AS_REF else url,
        source=record.source.decode(),
        title=record.title.decode(),
        story_id=StoryId(record.story.decode()),
        copy_of=None if first == article_id else first,
        score=float(record.score),
        published_at=float(record.published_at),
        seen_at=float(record.seen_at),
        shingles=record.shingles,
        evidence=record.evidence,
        edited_at=None if record.edited_at is None else float(record.edited_at),
    )
