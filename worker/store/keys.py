"""Every Redis key of samestory: the one table, and the functions that build them.

A namespace (`live`, or one of a replay) has two kinds of keys. Those that exist before an article's
language is known share the hash tag `{ns}`; those of a language's stories share `{ns:lang}`, so
that one script touches one slot and languages spread over a Redis Cluster. docs/redis-keys.md
explains why attach and settle are therefore two idempotent scripts and not one.

| key                           | type   | holds                                                    | lives                 |
|-------------------------------|--------|----------------------------------------------------------|-----------------------|
| {ns}:fingerprint              | string | JSON of everything that shapes signatures                | as the namespace      |
| {ns}:langs                    | set    | languages that have stories                              | as the namespace      |
| {ns}:counts                   | hash   | claimed, restored, outcomes, rejected:<why>              | as the namespace      |
| {ns}:feeds                    | zset   | feed id -> when it may be polled next                    | until removed         |
| {ns}:followed                 | string | there: the list of feeds on disk was written from here   | as the namespace      |
| {ns}:feed:<id>                | hash   | address, title, validators, wishes, rhythm, health, lease | until removed         |
| {ns}:moved                    | hash   | id of the address a feed moved to -> the feed's id       | until removed         |
| {ns}:replay                   | string | JSON: digest of what is replayed here, time of its start | as the namespace      |
| {ns}:turn:<host>              | string | who asks the host now; empty until its gap is over       | seconds               |
| {ns}:listed:<id>              | hash   | entry id -> digest of what the last full response said   | until removed         |
| {ns}:pending                  | zset   | entry id -> end of its lease                             | until settled         |
| {ns}:entry:<id>               | hash   | the ledger entry, its stage, attempts and outcome        | retention once settled|
| {ns}:fetched:<id>             | string | where an article's page lies, and whose entry led there   | 2 hours               |
| {ns}:lines:<publisher>        | string | its newest 1 024 lines: hash of the line + article, u32   | 7 days                |
| {ns}:quarantine               | zset   | entry id -> when it was given up                         | until retried, dropped|
| {ns}:unreadable               | zset   | JSON of a job that was no hint -> when; newest 100       | 7 days after the last |
| {ns}:subscribing              | zset   | feed id -> when its WebSub hub is asked next             | until removed         |
| {ns}:subscription:<id>        | hash   | hub, topic, token, secret, lease, last error             | 20 days, renewed      |
| {ns}:pushing:<id>             | string | pushes of a hub within this minute                       | a minute              |
| {ns}:pushes                   | hash   | what became of pushes -> how many                        | as the namespace      |
| {ns}:webhooks                 | hash   | webhook id -> address                                    | until removed         |
| {ns}:webhook:<id>             | hash   | types, cursor, attempts, next attempt, counts, last error| until removed         |
| {ns}:delivering:<id>          | string | the deliverer that has the webhook in hand               | seconds               |
| {ns}:parked:<id>              | list   | events that it did not take; newest 1 000                | until sent or removed |
| {ns:lang}:seq                 | string | attaches so far                                          | as the namespace      |
| {ns:lang}:recent              | zset   | the newest attaches: story, number -> seq                | retention             |
| {ns:lang}:stories             | zset   | story id -> when it last moved                           | retention             |
| {ns:lang}:story:<id>          | string | msgpack list: version, size, times, exemplars, title …   | retention             |
| {ns:lang}:members:<id>        | zset   | article id -> published; none for a story of one         | retention             |
| {ns:lang}:sources:<id>        | hash   | publisher -> own accounts (0 = reprints only); the same  | retention             |
| {ns:lang}:article:<id>        | string | msgpack list: story, publisher …; of an alias: the id    | retention             |
| {ns:lang}:family:<id>         | string | of the texts that copy <id>, the one published first     | retention             |
| {ns:lang}:c                   | hash   | copy index: page -> bucket, stamp, 4-byte number, ...    | window                |
| {ns:lang}:s                   | hash   | story index: page -> bucket, stamp, 6-byte story, ...    | window                |
| {ns:lang}:texts:<n>           | string | 38 records: article id, shingles, published, parities    | window                |
| {ns:lang}:df:<half>           | string | BITFIELD u16: documents that hold a term                 | half + window         |
| {ns:lang}:docs:<half>         | string | articles counted in this half of a window                | half + window         |
| {ns:lang}:probed              | hash   | the article that a replay asked for last, and the answer | as the namespace      |
| {ns:lang}:read                | string | after which attach a replay read the document frequencies| as the namespace      |
| {ns:lang}:read:<n>            | string | what it read: copies of df and docs                      | half + window         |
| {ns:lang}:events              | stream | opened, attached, edited, merged, split; newest 100 000  | retention             |
| {ns:lang}:told                | string | events so far: the number of the newest                  | as the namespace      |
"""

import re
from dataclasses import dataclass

from worker.errors import ConfigError
from worker.model import ArticleId, EntryId, FeedId, StoryId, WebhookId

LIVE = "live"
_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_STORY = re.compile(r"([a-z]{2,3})-([0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class Keys:
    """Builds the keys of one namespace.

    Raises:
        ConfigError: the name could not stand in a key (or on a command line) unquoted.
    """

    namespace: str

    def __post_init__(self) -> None:
        if not _NAMESPACE.fullmatch(self.namespace):
            raise ConfigError(
                f"namespace '{self.namespace}' is not allowed; use 1 to 64 of a-z, 0-9, '-' and '_'"
            )

    def _ns(self, name: str) -> str:
        return f"{{{self.namespace}}}:{name}"

    @property
    def fingerprint(self) -> str:
        """The index parameters."""
        return self._ns("fingerprint")

    @property
    def langs(self) -> str:
        """The languages that have stories."""
        return self._ns("langs")

    @property
    def counts(self) -> str:
        """How many entries had which outcome."""
        return self._ns("counts")

    @property
    def feeds(self) -> str:
        """The poll schedule."""
        return self._ns("feeds")

    @property
    def followed(self) -> str:
        """That the list of feeds on disk was written from here."""
        return self._ns("followed")

    @property
    def replay(self) -> str:
        """What is replayed here."""
        return self._ns("replay")

    @property
    def pending(self) -> str:
        """The entries without an outcome."""
        return self._ns("pending")

    @property
    def quarantine(self) -> str:
        """The entries given up."""
        return self._ns("quarantine")

    @property
    def unreadable(self) -> str:
        """What was taken out of the queue because it was no hint."""
        return self._ns("unreadable")

    @property
    def subscribing(self) -> str:
        """When which feed's hub is asked to push."""
        return self._ns("subscribing")

    def subscription(self, feed_id: FeedId) -> str:
        """Return the key of what a feed's hub was asked; with no id, what all of them begin with."""
        return self._ns(f"subscription:{feed_id}")

    def pushing(self, feed_id: FeedId) -> str:
        """Return the key of how often a feed's hub has pushed of late."""
        return self._ns(f"pushing:{feed_id}")

    @property
    def pushes(self) -> str:
        """What became of all pushes."""
        return self._ns("pushes")

    @property
    def webhooks(self) -> str:
        """The addresses that events are sent to."""
        return self._ns("webhooks")

    def webhook(self, webhook_id: WebhookId) -> str:
        """Return the key of how far a webhook is."""
        return self._ns(f"webhook:{webhook_id}")

    def delivering(self, webhook_id: WebhookId) -> str:
        """Return the key of the lease on a webhook."""
        return self._ns(f"delivering:{webhook_id}")

    def parked(self, webhook_id: WebhookId) -> str:
        """Return the key of the events that a webhook did not take."""
        return self._ns(f"parked:{webhook_id}")

    def feed(self, feed_id: FeedId) -> str:
        """Return the key of one feed's state."""
        return self._ns(f"feed:{feed_id}")

    @property
    def moved(self) -> str:
        """Which feeds are at addresses that are not the ones they were first followed at."""
        return self._ns("moved")

    @property
    def feed_prefix(self) -> str:
        """What scripts put before a feed id that they found in `feeds`."""
        return self._ns("feed:")

    def listed(self, feed_id: FeedId) -> str:
        """Return the key of what the feed listed last, and said of it."""
        return self._ns(f"listed:{feed_id}")

    def turn(self, lane: str) -> str:
        """Return the key of whose turn it is at a host."""
        return self._ns(f"turn:{lane}")

    def lines(self, source: str) -> str:
        """Return the key of a publisher's newest lines."""
        return self._ns(f"lines:{source}")

    def fetched(self, article_id: ArticleId) -> str:
        """Return the key of where an article's page lies in the archive."""
        return self._ns(f"fetched:{article_id}")

    def entry(self, entry_id: EntryId) -> str:
        """Return the key of one ledger entry."""
        return self._ns(f"entry:{entry_id}")

    @property
    def entry_prefix(self) -> str:
        """What scripts put before an entry id that they found in `pending`."""
        return self._ns("entry:")

    def lang_prefix(self, lang: str) -> str:
        """Return what every key of a language starts with, colon included."""
        return f"{{{self.namespace}:{lang}}}:"

    def events(self, lang: str) -> str:
        """Return the key of a language's stream of events."""
        return f"{self.lang_prefix(lang)}events"

    def told(self, lang: str) -> str:
        """Return the key of the number of a language's newest event."""
        return f"{self.lang_prefix(lang)}told"

    def article(self, lang: str, article_id: ArticleId) -> str:
        """Return the key of one article."""
        return f"{self.lang_prefix(lang)}article:{article_id}"

    def story(self, story_id: StoryId) -> str:
        """Return the key of one story; its id names its language."""
        return f"{self.lang_prefix(story_lang(story_id))}story:{story_id}"

    def members(self, story_id: StoryId) -> str:
        """Return the key of a story's article ids."""
        return f"{self.lang_prefix(story_lang(story_id))}members:{story_id}"

    def sources(self, story_id: StoryId) -> str:
        """Return the key of a story's publishers."""
        return f"{self.lang_prefix(story_lang(story_id))}sources:{story_id}"


def is_story_id(text: str) -> bool:
    """Say whether a text has the form of a story id, `lang-12 hex`."""
    return _STORY.fullmatch(text) is not None


def story_lang(story_id: StoryId) -> str:
    """Return the language that a story id names."""
    return story_id.partition("-")[0]
