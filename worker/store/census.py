"""Counts what is there, for the audit: reads only, in steps small enough for a live server."""

from collections.abc import Iterator
from dataclasses import dataclass

import redis

from worker.model import ArticleId, EntryId, StoryId
from worker.store.client import store_errors
from worker.store.keys import Keys
from worker.store.packed import ArticleRecord, StoryRecord, merged_into

STEP = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryCount:
    """One story's own figures beside what they should sum up."""

    story_id: StoryId
    size: int
    copies: int
    past: int  # articles that expired and left the list of members
    members: tuple[ArticleId, ...]
    own_accounts: int  # over all publishers
    strangers: tuple[ArticleId, ...]  # members whose record names another story


class Census:
    """The counts of one namespace."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    @store_errors()
    def astray(self) -> tuple[EntryId, ...]:
        """Return pending entries that have an outcome, or no record. Cost: O(pending)."""
        ids = [EntryId(raw.decode()) for raw in self._client.zrange(self._keys.pending, 0, -1)]
        found: list[EntryId] = []
        for at in range(0, len(ids), STEP):
            step = ids[at : at + STEP]
            with self._client.pipeline(transaction=True) as pipe:
                for entry_id in step:
                    pipe.hmget(self._keys.entry(entry_id), "stage", "outcome")
                    pipe.zscore(self._keys.pending, entry_id)
                answers = pipe.execute()
            # Read in one moment: an entry settled since the list was read is no offender.
            for entry_id, (stage, outcome), score in zip(
                step, answers[::2], answers[1::2], strict=True
            ):
                if score is not None and (stage is None or outcome is not None):
                    found.append(entry_id)
        return tuple(found)

    def stories(self, lang: str) -> Iterator[StoryCount]:
        """Yield every story of a language. Cost: O(stories + articles), 200 stories a step."""
        ids = self._story_ids(lang)
        for at in range(0, len(ids), STEP):
            yield from self._step(lang, ids[at : at + STEP])

    @store_errors()
    def _story_ids(self, lang: str) -> list[StoryId]:
        raw_ids = self._client.zrange(self._keys.lang_prefix(lang) + "stories", 0, -1)
        return [StoryId(raw.decode()) for raw in raw_ids]

    @store_errors()
    def _step(self, lang: str, ids: list[StoryId]) -> list[StoryCount]:
        with self._client.pipeline(transaction=True) as pipe:
            for story_id in ids:
                pipe.get(self._keys.story(story_id))
                pipe.zrange(self._keys.members(story_id), 0, -1)
                pipe.hvals(self._keys.sources(story_id))
            answers = pipe.execute()
        counts = []
        for story_id, raw, raw_members, own in zip(
            ids, answers[::3], answers[1::3], answers[2::3], strict=True
        ):
            if raw is None or merged_into(raw):
                continue  # it expired, or became part of another one, since the list was read
            story = StoryRecord.unpack(raw)
            # A story of one article has no lists of members and publishers.
            single = story.size == 1 and not raw_members and not own
            named = [story.founder] if single else raw_members
            members = tuple(ArticleId(name.decode()) for name in named)
            counts.append(
                StoryCount(
                    story_id=story_id,
                    size=story.size,
                    copies=story.copies,
                    past=story.past,
                    members=members,
                    own_accounts=1 if single else sum(int(count) for count in own),
                    strangers=self._strangers(lang, story_id, members),
                )
            )
        return counts

    def _strangers(
        self, lang: str, story_id: StoryId, members: tuple[ArticleId, ...]
    ) -> tuple[ArticleId, ...]:
        with self._client.pipeline(transaction=False) as pipe:
            for member in members:
                pipe.get(self._keys.article(lang, member))
            records = pipe.execute()
        # A member past retention has no record any more; that is no offence.
        return tuple(
            member
            for member, raw in zip(members, records, strict=True)
            if raw is not None and ArticleRecord.unpack(raw).story.decode() != story_id
        )
