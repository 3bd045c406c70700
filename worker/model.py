"""The values that travel between rooms. All frozen; times are Unix seconds (UTC) as floats.

Words mean one thing everywhere; docs/glossary.md has them all. An *entry* is what a feed lists, an
*article* is the text behind it, a *sketch* is all that detection keeps of an article, a *story* is
a set of articles about one event.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, NewType

FeedId = NewType("FeedId", str)
EntryId = NewType("EntryId", str)
ArticleId = NewType("ArticleId", str)
StoryId = NewType("StoryId", str)
WebhookId = NewType("WebhookId", str)


# What has one request in flight and a gap between requests: a host, a registrable domain or a feed.
Scope = Literal["host", "domain", "feed"]


class Outcome(str, Enum):
    """The one final label of an entry's trip."""

    ATTACHED = "attached"  # the article is a member of a story
    DUPLICATE = "duplicate"  # the same article (same canonical URL) had come by another entry
    REJECTED = "rejected"  # not an article: a wall, an index page, too short a text
    QUARANTINED = "quarantined"  # failed too often; kept for a person to look at


class Why(str, Enum):
    """What decided when a feed is polled next."""

    NEW = "new"  # too little is known: poll.interval_s
    RHYTHM = "rhythm"  # how often it changes, and when
    ASKED = "asked"  # Retry-After, or a rate limit that is used up
    FRESH = "fresh"  # Cache-Control max-age, or Expires
    FEED = "feed"  # the feed's own ttl or updatePeriod
    SKIPPED = "skipped"  # the feed's skipHours or skipDays
    FAILURES = "failures"  # our back-off
    UNCONDITIONAL = "unconditional"  # no validators: each poll costs the whole document
    PUSHED = "pushed"  # its hub says that there is something new
    MOVED = "moved"  # to the address of another feed, which is polled instead
    GONE = "gone"  # 410: never


# --- feeds and entries ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a server gave us to ask 'has it changed?' with: opaque, echoed byte for byte."""

    etag: str = ""
    last_modified: str = ""
    url: str = ""  # whose answer they came with, after redirects; empty when not known

    @property
    def given(self) -> bool:
        """Whether there is anything to ask with."""
        return bool(self.etag or self.last_modified)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Where a feed's permanent redirects lead, not believed yet."""

    url: str
    since: float
    polls: int  # in a row that led there


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A wait that something asks for."""

    seconds: float
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedWishes:
    """What a feed's document asks of those who poll it."""

    every_s: float = 0.0  # at least between polls: ttl, sy:updatePeriod; 0 = no wish
    skip_hours: int = 0  # bit h: not in the hour h (GMT)
    skip_days: int = 0  # bit d: not on that day (GMT); 0 is Monday


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAsk:
    """What a poller asks about the turn at a host: to take it or go on having it; or to give it back."""

    lane: str  # the host, or whatever shares a turn
    token: str  # proves the turn; another one for each request
    lease_s: float = 0.0  # how long a holder that died keeps it; 0: it is given back
    left_s: float = 0.0  # how long nobody may take it once it was given back


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """When a feed's changes were seen (core.rhythm)."""

    since: float = 0.0  # watched from then on; 0 = never
    until: float = 0.0  # the last poll that went well
    changes: tuple[float, ...] = (0.0,) * 24  # by hour of day (UTC); older ones count less


class Dates(str, Enum):
    """Whether the entries of a feed carry dates."""

    NONE = ""  # none did so far
    GIVEN = "given"
    LOST = "lost"  # they did once


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """New entries of a feed that count against its quota (core.quota)."""

    count: float = 0.0
    at: float = 0.0  # when they were counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A polled document and what is known of it."""

    feed_id: FeedId  # of the address that it was first followed at
    url: str
    title: str = ""
    validators: Validators = Validators()
    wishes: FeedWishes = FeedWishes()
    rhythm: Rhythm = Rhythm()
    dates: Dates = Dates.NONE
    next_poll_at: float = 0.0
    soonest_at: float = 0.0  # not before that, even if it is said to have something new
    why: Why | None = None  # what decided that; None: it was not polled yet
    polled_at: float = 0.0  # 0 = never
    changed_at: float = 0.0  # last response that brought new entries
    interval_s: float = 0.0  # the wait that was decided on, jitter included
    error: str = ""  # why the last poll failed; empty when it did not
    failures: int = 0  # failed polls in a row
    gone: bool = False  # the server said 410: never polled again
    move: Move | None = None
    same_as: FeedId = FeedId("")  # the feed that is polled where this one has moved to
    taken: Taken = Taken()
    left_out: int = 0  # new entries of its last document that its quota did not allow


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedEntry:
    """One record of a feed as decoded: text is text, never markup."""

    guid: str
    url: str  # absolute http(s) address, or empty
    title: str
    summary: str  # plain text of the summary or of the full content, whichever is longer
    published_at: float | None
    content: str = ""  # the full content as HTML, where it is asked for and long enough
    updated_at: float | None = None  # when it was last changed, where the feed says so


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFeed:
    """A decoded feed document."""

    title: str
    entries: tuple[ParsedEntry, ...]
    wishes: FeedWishes = FeedWishes()
    hub: str = ""  # absolute http(s) address of who tells of its changes (WebSub), or empty
    topic: str = ""  # by what address they call it: its link `self`; absolute http(s), or empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a robots.txt says of one address."""

    allowed: bool
    delay_s: float  # its Crawl-delay, 0 when it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A ledger entry: one record of one feed, waiting for its outcome."""

    entry_id: EntryId
    feed_id: FeedId
    article_id: ArticleId
    ref: str  # the name that the outside knows it by: guid, record id
    url: str
    title: str
    summary: str
    source: str  # publisher: registrable domain of the page, else of the feed
    published_at: float | None
    seen_at: float  # when it was claimed
    updated_at: float | None = None  # as its feed says now; the ledger does not keep it
    edited_at: float | None = None  # when its feed was seen to say something else; None: never


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A response as fetched: the body is decoded from its Content-Encoding, nothing else."""

    url: str  # the address asked for
    final_url: str  # the address that answered, after redirects
    moved_to: str = ""  # where permanent redirects from `url` led; empty without them
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    fetched_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedPage:
    """What trafilatura made of a page; ``text`` is empty when it found no main text."""

    title: str
    text: str
    linked: float = 0.0  # share of the text that is nothing but links: high in lists of headlines


# --- articles and detection -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexParams:
    """Everything that shapes signatures and buckets; part of the index fingerprint."""

    num_perm: int  # hash functions of the copy signature
    copy_bands: int  # bands of the copy index; copy_bands * copy_rows <= num_perm
    copy_rows: int
    story_slots: int  # slots of the weighted MinHash, one bucket each
    story_terms: int  # salient terms kept of an article
    bucket_cap: int  # newest ids kept in a bucket
    window_s: float  # how long an article can be matched


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchPolicy:
    """When two texts are a copy or one story."""

    min_shingles: int  # shorter texts are rejected
    copy_jaccard: float
    copy_containment: float
    story_threshold: float  # score from which an article joins a story


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """What is known of an article beside its sketch. Its text stays in the archive."""

    article_id: ArticleId
    ref: str
    url: str
    source: str
    title: str
    lang: str  # ISO 639-1, or "und"
    published_at: float  # as its publisher says; when first seen, where that is not believable
    at: float  # event clock: the same, within the index window
    seen_at: float
    edited_at: float | None = None  # when its feed was seen to say something else; None: never


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Why a text does not count as an article. ``reason`` is one of core.junk.REASONS."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """All that detection keeps of an article.

    ``signature`` is the copy level: num_perm x uint32 little-endian MinHash of the 3-word shingles.
    ``parities`` tell how alike two copies are (layout: core.likeness).
    ``slots`` is the story level: one uint32 term hash per slot, little-endian, the weighted MinHash.
    ``vector`` is the packed salient terms (layout: core.salience), ``words`` their readable form in
    the same order, for ``why``.
    """

    shingles: int  # distinct 3-word shingles
    signature: bytes
    parities: bytes
    slots: bytes
    vector: bytes
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyCandidate:
    """An article that shares at least one band with the probed one."""

    article_id: ArticleId
    story_id: StoryId
    shingles: int
    parities: bytes  # core.likeness.kept_parities
    published_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryCandidate:
    """A story that shares many story buckets with the probed article."""

    story_id: StoryId
    version: int  # raised by every change; attach refuses a stale one
    size: int  # articles, copies included
    first_at: float
    last_at: float
    exemplars: tuple[bytes, ...]  # packed vectors of up to 8 members, founder first, then newest
    exemplar_ids: tuple[ArticleId, ...] = ()  # whose they are, in the same order


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the index knows about an article at one moment."""

    seq: int  # attaches this language had seen; attach refuses when relevant ones came since
    copies: tuple[CopyCandidate, ...]
    stories: tuple[StoryCandidate, ...]  # most telling buckets first
    ids_read: int = 0  # ids that the scripts walked over


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why one candidate story scored as it did."""

    story_id: StoryId
    score: float  # probability-like, 0..1
    features: Mapping[str, float]
    shared: tuple[str, ...] = ()  # the weightiest shared terms, readable


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOf:
    """The article is a reprint of another one; it joins that one's story."""

    article_id: ArticleId
    story_id: StoryId
    jaccard: float
    containment: float
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SameStory:
    """The article is another account of this story's event."""

    story_id: StoryId
    score: float
    evidence: tuple[Evidence, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStory:
    """No story in the window tells of this event; ``score`` is the best candidate's."""

    score: float
    evidence: tuple[Evidence, ...] = field(default=())


Decision = CopyOf | SameStory | NewStory
