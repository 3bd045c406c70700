"""How a ledger entry stands in its hash: every value as text, none for what is not known.

Called by store/ledger.
"""

from collections.abc import Mapping, Sequence

from worker.model import ArticleId, Entry, EntryId, FeedId
from worker.store.scripts import pairs

Fields = Mapping[str, str | float]


def flat(fields: Fields) -> list[str]:
    """Return name, value, name, value … as HSET takes them."""
    return [part for name, value in fields.items() for part in (name, str(value))]


def entry_fields(entry: Entry) -> Fields:
    """Return what a claim writes of an entry."""
    return {
        "feed": entry.feed_id,
        "article": entry.article_id,
        "ref": entry.ref,
        "url": entry.url,
        "title": entry.title,
        "summary": entry.summary,
        "source": entry.source,
        "published_at": "" if entry.published_at is None else entry.published_at,
        "seen_at": entry.seen_at,
    }


def entry_of(entry_id: EntryId, fields: Mapping[str, str]) -> Entry:
    """Return the entry that a hash holds."""
    published = fields.get("published_at", "")
    return Entry(
        entry_id=entry_id,
        feed_id=FeedId(fields.get("feed", "")),
        article_id=ArticleId(fields.get("article", "")),
        ref=fields.get("ref", ""),
        url=fields.get("url", ""),
        title=fields.get("title", ""),
        summary=fields.get("summary", ""),
        source=fields.get("source", ""),
        published_at=float(published) if published else None,
        seen_at=float(fields.get("seen_at", "0")),
        edited_at=float(fields["edited_at"]) if "edited_at" in fields else None,
    )


def text_map(flat: Sequence[bytes]) -> dict[str, str]:
    """Return what HGETALL gave a script."""
    return {name.decode(): value.decode() for name, value in pairs(flat).items()}
