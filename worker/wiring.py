"""The only place that builds clients and steps: Settings in, a Context out."""

import random
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from worker.archive.warc import Archive
from worker.core.schedule import PollPolicy
from worker.core.scorer import Scorer, parse_model, shipped
from worker.embedded import EmbeddedRedis
from worker.errors import ConfigError
from worker.hints import Hints
from worker.settings import DAY_S, Settings
from worker.steps.attach import Attacher
from worker.steps.audit import Census
from worker.steps.boilerplate import Boilerplate
from worker.steps.callbacks import Callbacks
from worker.steps.contents import Contents
from worker.steps.following import Following
from worker.steps.ingest import Ingest
from worker.steps.pool import Limits, PreparePool
from worker.steps.reconcile import Reconciler
from worker.steps.replay import Replay
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
from worker.store.stories import Stories
from worker.store.story_books import StoryBooks
from worker.store.story_census import StoryCensus
from worker.store.subscriptions import Subscriptions
from worker.store.turns import Turns
from worker.store.webhooks import Webhooks

if TYPE_CHECKING:
    from worker.fetch.client import FetchPolicy
    from worker.steps.catch_up import CatchUp
    from worker.steps.deliver import Deliverer
    from worker.steps.pages import Pages
    from worker.steps.poll import Poller
    from worker.steps.subscribe import Subscriber

# A feed of 10 MiB parses in well under this; see the limits in worker/decode/sandbox.py.
FEED_CPU_S = 5.0
FEED_MEMORY_MB = 512
FEED_DECODERS = 2
# The answer to a POST is a status; what is read beyond it only serves to keep the connection.
ANSWER_BYTES = 4_096
# A webhook is held for as long as a delivery may take, and a while for noting it. Redis may take
# longer: the next deliverer then sends the event again, and this one's note is refused.
LEASE_MORE_S = 2.0
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PollSteps:
    """What the poll role runs."""

    catch_up: "CatchUp"
    poller: "Poller"
    pages: "Pages"
    subscriber: "Subscriber | None" = None  # None: hubs cannot reach us


@asynccontextmanager
async def poll_steps(context: Context) -> AsyncIterator[PollSteps]:
    """Build the poll role's steps with an open HTTP client, and close it at the end."""
    # Here, because the HTTP client would slow every command's start.
    from worker.decode.sandbox import Sandbox  # noqa: PLC0415
    from worker.fetch.client import Fetcher, Terms  # noqa: PLC0415
    from worker.fetch.robots import Robots  # noqa: PLC0415
    from worker.steps.catch_up import CatchUp  # noqa: PLC0415
    from worker.steps.pages import ACCEPT_PAGE, Pages  # noqa: PLC0415
    from worker.steps.poll import ACCEPT_FEED, Poller  # noqa: PLC0415

    s = context.settings
    sandbox = Sandbox(workers=FEED_DECODERS, cpu_s=FEED_CPU_S, memory_mb=FEED_MEMORY_MB)
    turns = Turns(context.client, context.keys)
    async with Fetcher(fetch_policy(s), turns) as fetcher, sandbox, _hubs(context, turns) as hubs:
        robots = Robots(
            fetcher=fetcher,
            sandbox=sandbox,
            token=s.fetch.product_token,
            timeout_s=s.fetch.page_timeout_s,
            clock=time.monotonic,
        )
        try:
            yield PollSteps(
                catch_up=CatchUp(
                    feeds=context.feeds, interval_s=s.poll.interval_s, draw=random.random
                ),
                poller=Poller(
                    feeds=context.feeds,
                    ledger=context.ledger,
                    edits=context.edits,
                    archive=context.archive,
                    fetcher=fetcher,
                    sandbox=sandbox,
                    policy=poll_policy(s),
                    terms=Terms(
                        accept=ACCEPT_FEED,
                        max_bytes=s.fetch.feed_max_bytes,
                        timeout_s=s.fetch.feed_timeout_s,
                    ),
                    contents=Contents(
                        archive=context.archive,
                        fetched=context.fetched,
                        least_chars=s.fetch.full_content_chars,
                    ),
                    max_new_a_day=s.poll.max_new_a_day,
                    clock=context.clock,
                    draw=random.random,
                    subscriptions=hubs.subscriptions if hubs else None,
                ),
                pages=Pages(
                    ledger=context.ledger,
                    archive=context.archive,
                    fetched=context.fetched,
                    fetcher=fetcher,
                    robots=robots,
                    terms=Terms(
                        accept=ACCEPT_PAGE,
                        max_bytes=s.fetch.page_max_bytes,
                        timeout_s=s.fetch.page_timeout_s,
                    ),
                    attempts=s.ledger.attempts,
                    clock=context.clock,
                ),
                subscriber=hubs,
            )
        finally:
            context.archive.close()


def poll_policy(settings: Settings) -> PollPolicy:
    """Return how often feeds are asked."""
    return PollPolicy(**settings.poll.model_dump(exclude={"max_new_a_day"}))


@asynccontextmanager
async def _hubs(context: Context, turns: Turns) -> "AsyncIterator[Subscriber | None]":
    """Build what asks hubs, with an HTTP client of its own; None where they cannot reach us."""
    from worker.fetch.post import Poster  # noqa: PLC0415 - as above
    from worker.steps.subscribe import Subscriber  # noqa: PLC0415

    public_url = context.settings.web.public_url
    if not public_url:
        yield None
        return
    async with Poster(post_policy(context.settings), turns) as poster:
        yield Subscriber(
            subscriptions=context.subscriptions,
            poster=poster,
            public_url=public_url,
            clock=context.clock,
        )


def fetch_policy(settings: Settings) -> "FetchPolicy":
    """Return what may be asked for feeds and pages."""
    from worker.fetch.client import FetchPolicy  # noqa: PLC0415 - as above

    fetch = settings.fetch
    return FetchPolicy(
        user_agent=fetch.user_agent,
        connect_timeout_s=fetch.connect_timeout_s,
        total_timeout_s=max(fetch.feed_timeout_s, fetch.page_timeout_s),
        max_bytes=max(fetch.feed_max_bytes, fetch.page_max_bytes),
        allow_private=fetch.allow_private,
        host_gap_s=fetch.host_gap_s,
        scope=fetch.scope,
        concurrency=fetch.concurrency,
    )


def post_policy(settings: Settings) -> "FetchPolicy":
    """Return what may be asked of webhooks and of hubs."""
    timeout_s = settings.webhooks.timeout_s
    return replace(fetch_policy(settings), total_timeout_s=timeout_s, max_bytes=ANSWER_BYTES)


@asynccontextmanager
async def deliver_steps(context: Context) -> AsyncIterator["Deliverer"]:
    """Build the deliver role's step with an open HTTP client, and close it at the end."""
    # Here, because the HTTP client would slow every command's start.
    from worker.fetch.post import Poster  # noqa: PLC0415
    from worker.steps.deliver import Deliverer  # noqa: PLC0415

    webhooks = context.settings.webhooks
    async with Poster(post_policy(context.settings)) as poster:
        yield Deliverer(
            webhooks=context.webhooks,
            events=context.events,
            poster=poster,
            token=secrets.token_hex(8),
            lease_s=webhooks.timeout_s + LEASE_MORE_S,
            attempts=webhooks.attempts,
            clock=context.clock,
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
            attacher=attacher or context.attacher,
            boilerplate=context.boilerplate,
            stories=context.stories,
            pool=pool,
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
