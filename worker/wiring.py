"""The only place that builds clients and steps: Settings in, a Context out."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import redis

from worker.archive.warc import Archive
from worker.core.retention import Limits as ArchiveLimits
from worker.core.scorer import Scorer, parse_model, shipped
from worker.embedded import EmbeddedRedis
from worker.errors import ConfigError
from worker.hints import Hints
from worker.settings import DAY_S, Settings
from worker.steps.attach import Attacher
from worker.steps.audit import Census
from worker.steps.boilerplate import Boilerplate
from worker.steps.callbacks import Callbacks
from worker.steps.following import Following
from worker.steps.ingest import Ingest
from worker.steps.pool import Limits, PreparePool
from worker.steps.reconcile import Reconciler
from worker.steps.replay import Replay
from worker.steps.retention import Retention
from worker.steps.tend import Tender
from worker.store.boilerplate import Rings
from worker.store.census import LedgerCensus
from worker.store.client import connect, require_safe
from worker.store.clock import RedisClock
from worker.store.edits import Edits
from worker.store.events import Events
from worker.store.feeds import Feeds
from worker.store.fetched import Fetched
from worker.store.index import Index
from worker.store.index_census import IndexCensus
from worker.store.keys import LIVE, Keys
from worker.store.ledger import Ledger
from worker.store.replays import Replays
from worker.store.stories import Stories
from worker.store.story_books import StoryBooks
from worker.store.story_census import StoryCensus
from worker.store.subscriptions import Subscriptions
from worker.store.webhooks import Webhooks

FEED_LIST = "feeds.opml"  # under paths.var


@dataclass(frozen=True)
class Context:
    """Everything that steps need for one namespace, built when first asked for."""

    settings: Settings
    redis_url: str
    namespace: str = LIVE

    @cached_property
    def client(self) -> redis.Redis:
        """The connection pool of this process."""
        return connect(self.redis_url, timeout_s=self.settings.redis.timeout_s)

    @cached_property
    def clock(self) -> RedisClock:
        """The time that everything goes by."""
        return RedisClock(self.client)

    @cached_property
    def keys(self) -> Keys:
        """The keys of the namespace."""
        return Keys(self.namespace)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger."""
        return Ledger(self.client, self.keys, self.settings.ledger)

    @cached_property
    def feeds(self) -> Feeds:
        """The feeds."""
        return Feeds(self.client, self.keys)

    @cached_property
    def edits(self) -> Edits:
        """Edits what is known."""
        return Edits(self.client, self.keys)

    @cached_property
    def following(self) -> Following:
        """The list of the feeds on disk."""
        return Following(
            feeds=self.feeds,
            path=Path(self.settings.paths.var) / FEED_LIST,
            interval_s=self.settings.poll.interval_s,
            draw=random.random,
        )

    @cached_property
    def index(self) -> Index:
        """The index."""
        retention_s = self.settings.ledger.retention_days * DAY_S
        return Index(self.client, self.keys, self.settings.index.params(), retention_s=retention_s)

    @cached_property
    def stories(self) -> Stories:
        """The stories, for reading."""
        return Stories(self.client, self.keys)

    @cached_property
    def events(self) -> Events:
        """The events, for reading."""
        return Events(self.client, self.keys)

    @cached_property
    def webhooks(self) -> Webhooks:
        """The webhooks."""
        return Webhooks(self.client, self.keys)

    @cached_property
    def subscriptions(self) -> Subscriptions:
        """What hubs are to push."""
        return Subscriptions(self.client, self.keys)

    @cached_property
    def census(self) -> Census:
        """What the audit goes through."""
        params = self.settings.index.params()
        retention_s = max(self.settings.ledger.retention_days * DAY_S, params.window_s)
        return Census(
            ledger=LedgerCensus(self.client, self.keys, lease_s=self.settings.ledger.lease_s),
            stories=StoryCensus(self.client, self.keys, retention_s=retention_s, clock=self.clock),
            books=StoryBooks(self.client, self.keys, retention_s=retention_s, clock=self.clock),
            index=IndexCensus(self.client, self.keys, params),
            retention_s=retention_s,
            clock=self.clock,
        )

    @cached_property
    def hints(self) -> Hints:
        """The queue."""
        return Hints(self.client, self.namespace)

    @cached_property
    def archive(self) -> Archive:
        """This process's own place in the archive."""
        return Archive(Path(self.settings.paths.archive), max_bytes=self.settings.archive.max_bytes)

    @cached_property
    def scorer(self) -> Scorer:
        """The fitted model that decides.

        Raises:
            ConfigError: the file of match.model cannot be read, or is no model.
        """
        path = self.settings.match.model
        if not path:
            return shipped()
        try:
            return parse_model(Path(path).read_bytes(), origin=path)
        except OSError as e:
            raise ConfigError(f"match.model {path} cannot be read: {e.strerror}") from e

    @cached_property
    def fetched(self) -> Fetched:
        """The pages that were fetched of late."""
        return Fetched(self.client, self.keys)

    @cached_property
    def attacher(self) -> Attacher:
        """Attaches articles."""
        policy = self.settings.match.policy()
        tender = Tender(index=self.index, policy=policy, scorer=self.scorer)
        return Attacher(index=self.index, policy=policy, scorer=self.scorer, tender=tender)

    @cached_property
    def replays(self) -> Replays:
        """Whose namespace it is, if it is a replay's."""
        return Replays(self.client, self.keys)

    @cached_property
    def boilerplate(self) -> Boilerplate:
        """Takes out what publishers repeat."""
        return Boilerplate(rings=Rings(self.client, self.keys))

    @cached_property
    def reconciler(self) -> Reconciler:
        """Finds overdue entries."""
        return Reconciler(ledger=self.ledger, hints=self.hints, batch=self.settings.ledger.batch)

    def check(self) -> None:
        """Refuse an unsafe server and an index of another make.

        Raises:
            ConfigError: says what is wrong and what to do.
            StoreError: the server does not answer.
        """
        _ = self.scorer  # a wrong model file stops here, not at the first article
        require_safe(self.client)
        self.clock.sync()
        self.index.ensure_fingerprint()

    def callbacks(self) -> Callbacks:
        """Return what answers hubs."""
        return Callbacks(
            subscriptions=self.subscriptions,
            feeds=self.feeds,
            max_bytes=self.settings.fetch.feed_max_bytes,
            timeout_s=self.settings.fetch.feed_timeout_s,
            clock=self.clock,
        )

    def ingest(self) -> Ingest:
        """Return the work stage."""
        return Ingest(
            ledger=self.ledger,
            edits=self.edits,
            archive=self.archive,
            attacher=self.attacher,
            boilerplate=self.boilerplate,
            params=self.settings.index.params(),
            policy=self.settings.match.policy(),
            clock=self.clock,
        )


@contextmanager
def replay_steps(
    context: Context, workers: int, attacher: Attacher | None = None
) -> Iterator[Replay]:
    """Build a replay whose preparing runs in so many processes, and end these.

    Args:
        context: of the namespace to replay into.
        workers: processes.
        attacher: instead of the context's own, where somebody wants to watch.
    """
    s = context.settings
    limits = Limits(cpu_s=s.work.cpu_s, memory_mb=s.work.memory_mb)
    with PreparePool(workers, s.index.params(), s.match.policy(), limits) as pool:
        yield Replay(
            ledger=context.ledger,
            replays=context.replays,
            attacher=attacher or replace(context.attacher, resumes=True),
            boilerplate=context.boilerplate,
            stories=context.stories,
            pool=pool,
        )


def retention(context: Context, limits: ArchiveLimits | None = None) -> Retention:
    """Build what prunes the archive, by the settings or by other limits."""
    kept = context.settings.archive
    return Retention(
        directory=Path(context.settings.paths.archive),
        ledger=context.census.ledger,
        limits=limits or ArchiveLimits(keep_days=kept.keep_days, keep_bytes=kept.keep_gb * 1e9),
        clock=context.clock,
    )


@contextmanager
def redis_address(settings: Settings) -> Iterator[str]:
    """Give the address of the server to use: the one set, or the embedded one while it is used."""
    url = settings.redis.url.get_secret_value()
    if url:
        yield url
    else:
        with EmbeddedRedis(Path(settings.paths.var) / "redis") as embedded:
            yield embedded
