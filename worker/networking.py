"""Builds what the roles run that go to the network: steps with an open HTTP client, closed at the end.

Imports of that client stand in the functions: it would slow every command's start, and workers do
without. Called by daemon and the command line.
"""

import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from worker.bundles import Bundles
from worker.core.schedule import PollPolicy
from worker.settings import Settings
from worker.steps.contents import Contents
from worker.store.claims import Claims
from worker.store.turns import Turns
from worker.wiring import Context

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
                    claims=Bundles(Claims(context.client, context.ledger).make),
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
    from worker.fetch.post import Poster  # noqa: PLC0415
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
    from worker.fetch.client import FetchPolicy  # noqa: PLC0415

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
