"""Values and clocks for tests, ours and those of programs built on this one."""

from dataclasses import dataclass

from worker.core.entries import article_id, article_id_of_record, entry_id, feed_id
from worker.core.sketch import sketch
from worker.core.text import read
from worker.decode.lexicon import prior_for
from worker.model import Article, Entry, FeedId, IndexParams, ParsedEntry, Sketch

FEED = feed_id("https://example.org/feed")


@dataclass(slots=True)
class Clock:
    """A clock that stands until it is moved; call it for Unix seconds."""

    at: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.at

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.at += seconds


def an_entry(name: str, *, feed: FeedId = FEED, at: float = 1_800_000_000.0) -> Entry:
    """Return a ledger entry as a feed would have listed it."""
    url = f"https://example.org/{name}"
    parsed = ParsedEntry(guid=name, url=url, title=name, summary="", published_at=at)
    identity = entry_id(feed, parsed)
    return Entry(
        entry_id=identity,
        feed_id=feed,
        article_id=article_id(url, identity),
        ref=name,
        url=url,
        title=name,
        summary="",
        source="example.org",
        published_at=at,
        seen_at=at,
    )


def an_article(name: str, *, source: str = "example.org", at: float = 1_800_000_000.0) -> Article:
    """Return an English article of this name."""
    return Article(
        article_id=article_id_of_record(name),
        ref=name,
        url=f"https://{source}/{name}",
        source=source,
        title=name,
        lang="en",
        published_at=at,
        at=at,
        seen_at=at,
    )


def a_sketch(text: str, params: IndexParams, *, title: str = "") -> Sketch:
    """Return the sketch of an English text."""
    return sketch(read(title), read(text), params=params, prior=prior_for("en"))
