"""Puts a few small articles through the real steps, for tests that read what came of them."""

import time
from dataclasses import replace

from structlog.testing import capture_logs

from worker.core.entries import entries_of, feed_id
from worker.model import ArticleId, Entry, Feed, ParsedEntry, ParsedFeed
from worker.store.ledger import FETCH, WORK
from worker.testing import a_sketch, an_article, an_entry
from worker.wiring import Context

FEED_URL = "https://river-post.example/feed"

FLOOD = (
    "The river burst its banks near Oldtown on Tuesday and flooded four hundred houses, the mayor "
    "Anna Krull said. Rescue crews of the fire brigade took eighty people from roofs by boat "
    "overnight. The dam at Millbrook held, but engineers opened two gates to lower the lake. "
    "Schools stay closed until Friday, and the railway line to Newport is cut in three places. "
    "Krull asked the government for army pumps."
)
PUMPS = (
    "Army pumps are on their way to Oldtown, where the river flooded hundreds of houses on "
    "Tuesday. Mayor Anna Krull said eighty residents had been rescued from roofs. Engineers at "
    "the Millbrook dam opened gates to lower the lake, and trains to Newport are cancelled after "
    "the line was cut. The schools of Oldtown remain closed until Friday."
)
BANK = (
    "The central bank of Farland raised its key rate by half a point to six percent on Thursday, "
    "the fourth increase this year. Governor Luis Ortega said inflation remained too high at nine "
    "percent and that further steps were possible in spring. The peso gained two percent against "
    "the dollar. Economists had expected a smaller step after weak factory orders in October."
)

# A page of 6 MB that extraction works on for several seconds: paragraphs that are all link.
_WORDS = " ".join(f"word{n}" for n in range(400))
HEAVY_PAGE = "".join(f"<div><p><a href='/{n}'>{_WORDS} {n}</a></p></div>" for n in range(2_000))


def follow(context: Context, url: str = FEED_URL) -> Feed:
    """Follow a feed and return it."""
    feed = Feed(feed_id=feed_id(url), url=url)
    context.feeds.add(feed)
    return feed


def claim(context: Context, guid: str, url: str, title: str, text: str) -> Entry:
    """Put an entry of the followed feed on the ledger, ready for the work stage."""
    now = time.time()
    record = ParsedEntry(guid=guid, url=url, title=title, summary=text, published_at=now - 60)
    parsed = ParsedFeed(title="The River Post", entries=(record,))
    return _claimed(context, entries_of(parsed, follow(context), now)[0])


def claim_record(context: Context, name: str, article: ArticleId, title: str, text: str) -> Entry:
    """Put a record that only has a name on the ledger, ready for the work stage."""
    entry = replace(claim(context, name, "", title, text), article_id=article, ref=name)
    return _claimed(context, replace(entry, entry_id=type(entry.entry_id)(article)))


def ingest(context: Context, guid: str, url: str, title: str, text: str) -> Entry:
    """Bring an article to its outcome."""
    entry = claim(context, guid, url, title, text)
    with capture_logs():  # tests look at what commands print
        context.ingest().work([entry.entry_id])
    return entry


def attach(context: Context, name: str, text: str) -> str:
    """Bring an English article through claim, attach and settle, without a page; return its outcome."""
    now = time.time()
    article, entry = an_article(name, source=f"{name}.example", at=now), an_entry(name, at=now)
    entry = replace(entry, article_id=article.article_id)
    context.ledger.claim([entry], now=now)
    context.ledger.advance(entry.entry_id, "", now=now)
    sketch = a_sketch(text, context.settings.index.params())
    done = context.attacher.attach(article, sketch, entry_id=entry.entry_id, now=now)
    return context.ledger.settle(
        entry.entry_id, done.outcome, reason=done.reason, story_id=done.story_id
    )


def quarantine(context: Context, guid: str, url: str, title: str) -> Entry:
    """Let an entry fail until it is given up."""
    entry = claim(context, guid, url, title, FLOOD)
    for attempt in range(context.settings.ledger.attempts + 1):
        at = time.time() + 1_000 * attempt
        context.ledger.start(entry.entry_id, WORK, now=at)
        context.ledger.defer(entry.entry_id, "DecodeError: broken", due_at=at)
    return entry


def _claimed(context: Context, entry: Entry) -> Entry:
    now = time.time()
    context.ledger.claim([entry], now=now)
    context.ledger.start(entry.entry_id, FETCH, now=now)
    context.ledger.advance(entry.entry_id, "", now=now)
    return entry
