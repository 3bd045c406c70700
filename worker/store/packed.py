"""The records of articles and stories as they lie in Redis: msgpack lists, written by scripts.

A hash whose values are longer than 64 bytes costs some 60 bytes a field in Redis; a packed string
costs two.
"""

from typing import Any, NamedTuple

import msgpack

from worker.errors import StoreError

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

    @classmethod
    def unpack(cls, raw: bytes) -> "StoryRecord":
        """Return a record as attach wrote it.

        Raises:
            StoreError: it is torn.
        """
        return cls(*_fields(raw, len(cls._fields)))


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

    @classmethod
    def unpack(cls, raw: bytes) -> "ArticleRecord":
        """Return a record as attach wrote it.

        Raises:
            StoreError: it is torn.
        """
        return cls(*_fields(raw, len(cls._fields)))


def _fields(raw: bytes, count: int) -> list[Any]:
    try:
        fields = msgpack.unpackb(raw, raw=True)
    except ValueError as e:
        raise StoreError(f"a record in Redis is torn: {e}") from e
    if not isinstance(fields, list) or len(fields) != count:
        raise StoreError(f"a record in Redis does not have its {count} fields")
    return fields


def merged_into(raw: bytes) -> str:
    """Return the id of the story that another one became part of, from its record; else nothing."""
    return msgpack.unpackb(raw)[0] if raw[:1] == _LIST_OF_ONE else ""
