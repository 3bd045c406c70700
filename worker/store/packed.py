"""The records of articles and stories as they lie in Redis: msgpack lists, written by scripts.

A hash whose values are longer than 64 bytes costs some 60 bytes a field in Redis; a packed string
costs two.
"""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack

from worker.core.likeness import KEPT_BYTES, kept_parities
from worker.errors import StoreError
from worker.model import (
    Article,
    ArticleId,
    CopyCandidate,
    EntryId,
    Sketch,
    StoryCandidate,
    StoryId,
)

SAME_AS_REF = "="
_LIST_OF_ONE = b"\x91"


class StoryRecord(NamedTuple):
    """A story, in the order of its fields in Redis."""

    version: int
    size: int  # articles, copies included
    copies: int
    first_at: float
    last_at: float
    exemplars: bytes
    opened_at: float
    founder: bytes  # article id
    source: bytes  # the founder's publisher
    title: bytes
    past: int  # articles that expired and left the list of members

    @classmethod
    def unpack(cls, raw: bytes) -> "StoryRecord":
        """Return a record as attach wrote it.

        Raises:
            StoreError: it is torn.
        """
        return cls._make(_fields(raw, len(cls._fields)))


class ArticleRecord(NamedTuple):
    """A member of a story, in the order of its fields in Redis."""

    story: bytes
    root: bytes  # the first article of its family to come; empty for that one itself
    entry: bytes
    source: bytes
    published_at: float
    seen_at: float
    shingles: int
    score: float
    ref: bytes
    url: bytes  # SAME_AS_REF, as of most articles
    title: bytes
    evidence: bytes
    # Only of those that were edited:
    edited_at: float | None = None
    alias: bytes = b""  # the article id that its address of now would give; stands for this one

    @classmethod
    def unpack(cls, raw: bytes) -> "ArticleRecord":
        """Return a record as attach wrote it.

        Raises:
            StoreError: it is torn.
        """
        return cls(*_fields(raw, len(cls._fields) - 2, len(cls._fields)))


def _fields(raw: bytes, *counts: int) -> list[Any]:
    try:
        fields = msgpack.unpackb(raw, raw=True)
    except ValueError as e:
        raise StoreError(f"a record in Redis is torn: {e}") from e
    if not isinstance(fields, list) or len(fields) not in counts:
        raise StoreError(f"a record in Redis does not have its {counts[0]} fields")
    return fields


def stands_for(raw: bytes) -> str:
    """Return whose id a record holds instead of fields; nothing for a record that has them.

    A story that became part of another one stands for that, an edited article's new address for it.
    """
    return msgpack.unpackb(raw)[0] if raw[:1] == _LIST_OF_ONE else ""


_EXEMPLAR = struct.Struct(">8sH")  # raw id, length of the vector that follows


def pack_exemplars(vectors: Sequence[bytes], ids: Sequence[ArticleId]) -> bytes:
    """Return vectors as one value: each behind the id of its article and its length."""
    return b"".join(
        _EXEMPLAR.pack(bytes.fromhex(article_id), len(vector)) + vector
        for vector, article_id in zip(vectors, ids, strict=True)
    )


def unpack_exemplars(raw: bytes) -> tuple[tuple[bytes, ...], tuple[ArticleId, ...]]:
    """Undo ``pack_exemplars``.

    Raises:
        StoreError: the value is torn.
    """
    ids: list[ArticleId] = []
    vectors, at = [], 0
    while at + _EXEMPLAR.size <= len(raw):
        article_raw, length = _EXEMPLAR.unpack_from(raw, at)
        at += _EXEMPLAR.size + length
        ids.append(article_raw.hex())
        vectors.append(raw[at - length : at])
    if at != len(raw):
        raise StoreError("a story's exemplars are torn")
    return tuple(vectors), tuple(ids)


# What the copy level keeps of an article: raw id, shingles, published, and its parities.
_TEXT = struct.Struct(">8sId")
TEXT_WIDTH = _TEXT.size + KEPT_BYTES


def text_record(article: Article, sketch: Sketch) -> bytes:
    """Return what the copy level keeps of an article."""
    head = _TEXT.pack(bytes.fromhex(article.article_id), sketch.shingles, article.published_at)
    return head + kept_parities(sketch.parities, sketch.shingles)


def copy_candidate(text: bytes, story: bytes) -> CopyCandidate:
    """Return an article as the copy level keeps it, and the story that it is in now."""
    article_raw, shingles, published_at = _TEXT.unpack_from(text)
    return CopyCandidate(
        article_id=ArticleId(article_raw.hex()),
        story_id=StoryId(story.decode()),
        shingles=shingles,
        parities=text[_TEXT.size :],
        published_at=published_at,
    )


def story_candidate(name: bytes, record: bytes) -> StoryCandidate:
    """Return a story as a probe finds it."""
    story = StoryRecord.unpack(record)
    vectors, ids = unpack_exemplars(story.exemplars)
    return StoryCandidate(
        story_id=StoryId(name.decode()),
        version=story.version,
        size=story.size,
        first_at=story.first_at,
        last_at=story.last_at,
        exemplars=vectors,
        exemplar_ids=ids,
    )


def article_record(
    article: Article, entry_id: EntryId, *, shingles: int, score: float, evidence: bytes
) -> list[object]:
    """Return an article's record from the third field on; the first two are attach's."""
    return [
        entry_id,
        article.source,
        article.published_at,
        article.seen_at,
        shingles,
        round(score, 4),
        article.ref,
        SAME_AS_REF if article.url == article.ref else article.url,
        article.title,
        evidence,
        *([] if article.edited_at is None else [article.edited_at, ""]),
    ]
