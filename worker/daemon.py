"""The long-lived roles: the poll loop, one RQ worker, and the deliverer of events."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import redis
import structlog

from worker import jobs
from worker.core.admission import full, unsafe
from worker.core.retry import back_offs
from worker.core.webhooks import Webhook
from worker.endings import ENDINGS
from worker.errors import ArchiveError, StoreError
from worker.limits import share_one_heap
from worker.model import EntryId, WebhookId
from worker.networking import PollSteps, deliver_steps, poll_steps
from worker.rqworker import HintWorker
from worker.steps.prepare import warm_up
from worker.steps.retention import Retention
from worker.store.client import room_of, store_errors
from worker.store.feeds import Lease
from worker.wiring import Context, retention

if TYPE_CHECKING:
    from worker.steps.deliver import Deliverer

log = structlog.get_logger()

Work = Coroutine[Any, Any, None]
Act = Callable[[], Work]

TICK_S = 0.2  # how long a due feed or a fetched page waits at most
RECONCILE_S = 1.0
SUBSCRIBE_S = 2.0  # how long a hub that a feed names waits to be asked; a look is one round trip
# What one poller holds at a time, most of it waiting for its host's turn, some kilobytes each. More
# stays on the ledger, due a lease later. No host may fill it: see fetch/budget.
MOST_FEEDS = 4_096
MOST_PAGES = 4_096
DUE_AT_ONCE = 256  # feeds leased by one script call, five times a second
KEEP_S = 10.0  # how long a new feed may be missing from the list, and a lost one from Redis
PRUNE_S = 3_600.0  # how long a file lies that may go: archive files are of a day each
LOOK_S = 1.0  # how long a server that fills up is polled for; a look is one round trip
# A webhook whose task failed for a reason of ours is left alone for so long.
AFTER_FAILURE_S = 5.0


async def every(client: redis.Redis, seconds: float, act: Act) -> None:
    """Repeat one act; what is lacking, Redis or files to open, is named and waited for."""
    waits = back_offs()
    while True:
        try:
            await act()
            waits = back_offs()
            await asyncio.sleep(seconds)
        except (StoreError, OSError) as e:
            # A primary that was made a replica refuses writes for ever; its address may lead to
            # the new one by now, but open connections do not.
            client.connection_pool.disconnect(inuse_connections=False)
            wait_s = next(waits)
            what = "redis_failed" if isinstance(e, StoreError) else "system_refuses"
            log.error(what, error=str(e), retry_in_s=wait_s)
            await asyncio.sleep(wait_s)


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ENDINGS:
        loop.add_signal_handler(number, stop.set)
    return stop


# --- poll -----------------------------------------------------------------------------------


@dataclass(slots=True)
class PollLoop:
    """Polls due feeds, fetches the pages of their entries, and reconciles, until told to stop."""

    context: Context
    steps: PollSteps
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _polling: set[Lease] = field(default_factory=set)
    _paused: str | None = None  # why nothing is polled; None: nobody looked yet
    _pages: set[EntryId] = field(default_factory=set)
    _fetched: list[EntryId] = field(default_factory=list)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set, then finish what is under way, within the drain time.

        Raises whatever ends one of the loops: the supervisor starts this role anew.
        """
        settings, client = self.context.settings, self.context.client
        renew_s = settings.ledger.lease_s / 3
        starting = [  # what takes up new work
            asyncio.create_task(every(client, LOOK_S, self._look)),
            asyncio.create_task(every(client, KEEP_S, self._keep)),
            # No more often than any feed may be polled, should one of several clocks stay wrong.
            asyncio.create_task(every(client, settings.poll.min_interval_s, self._rejoin)),
            asyncio.create_task(every(client, TICK_S, self._poll_due)),
            asyncio.create_task(every(client, RECONCILE_S, self._reconcile)),
            asyncio.create_task(every(client, SUBSCRIBE_S, self._subscribe)),
            asyncio.create_task(
                every(client, PRUNE_S, partial(self._prune, retention(self.context)))
            ),
        ]
        loops = [
            *starting,
            asyncio.create_task(every(client, TICK_S, self._send_hints)),
            asyncio.create_task(every(client, renew_s, self._renew)),
        ]
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([stopping, *loops], return_when=asyncio.FIRST_COMPLETED)
        for loop in loops:
            if loop.done():
                loop.result()
        for loop in starting:
            loop.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=settings.work.drain_s / 2)
        for task in [*loops, *self._tasks]:
            task.cancel()
        await asyncio.gather(*loops, *self._tasks, return_exceptions=True)
        with contextlib.suppress(StoreError):  # reconcile hints again after the next start
            await self._send_hints()

    async def _look(self) -> None:
        """Take Redis's time; pause polling while it has no room or is unsafe."""
        await asyncio.to_thread(self.context.clock.sync)
        room = await asyncio.to_thread(room_of, self.context.client)
        paused = unsafe(room) or full(room, paused=bool(self._paused))
        if paused and not self._paused:
            log.warning("polling_paused", why=paused)
        elif self._paused and not paused:
            log.info("polling_resumed")
        self._paused = paused

    async def _keep(self) -> None:
        """Keep what makes this namespace a namespace, should somebody empty the server."""
        await asyncio.to_thread(self.context.index.ensure_fingerprint)
        await asyncio.to_thread(self.context.following.keep, now=self.context.clock())

    async def _rejoin(self) -> None:
        """After a clock was set back, no feed waits until it has come there again."""
        feeds = self.context.feeds
        now = self.context.clock()
        for feed in await asyncio.to_thread(feeds.all):
            if await asyncio.to_thread(feeds.rejoin, feed, now=now):
                log.warning(
                    "feed_polled_in_future", feed=feed.feed_id, ahead_s=feed.polled_at - now
                )

    async def _poll_due(self) -> None:
        free = min(MOST_FEEDS - len(self._polling), DUE_AT_ONCE)
        if self._paused != "" or free <= 0 or len(self._pages) >= MOST_PAGES:
            return
        now, lease_s = self.context.clock(), self.context.settings.ledger.lease_s
        await asyncio.to_thread(self.steps.catch_up.run, now=now)
        leases = await asyncio.to_thread(
            self.context.feeds.due, now=now, lease_s=lease_s, limit=free
        )
        for lease in leases:
            self._polling.add(lease)
            self._spawn(self._poll(lease))

    async def _poll(self, lease: Lease) -> None:
        try:
            self._fetch_all(await self.steps.poller.poll(lease))
        finally:
            self._polling.discard(lease)

    def _fetch_all(self, entry_ids: Sequence[EntryId]) -> None:
        for entry_id in entry_ids:
            if entry_id not in self._pages and len(self._pages) < MOST_PAGES:
                self._pages.add(entry_id)
                self._spawn(self._fetch(entry_id))

    async def _fetch(self, entry_id: EntryId) -> None:
        try:
            if await self.steps.pages.fetch(entry_id):
                self._fetched.append(entry_id)
        finally:
            self._pages.discard(entry_id)

    async def _send_hints(self) -> None:
        if self._fetched:
            entry_ids = list(self._fetched)
            now = self.context.clock()
            await asyncio.to_thread(self.context.reconciler.send, entry_ids, now=now)
            del self._fetched[: len(entry_ids)]

    async def _reconcile(self) -> None:
        self._fetch_all(
            await asyncio.to_thread(self.context.reconciler.run, now=self.context.clock())
        )

    async def _subscribe(self) -> None:
        if self.steps.subscriber and self._paused == "":
            await self.steps.subscriber.look()

    async def _prune(self, keeper: Retention) -> None:
        try:
            await asyncio.to_thread(keeper.run)
        except ArchiveError as e:
            log.error("archive_not_pruned", error=str(e))

    async def _renew(self) -> None:
        now, lease_s = self.context.clock(), self.context.settings.ledger.lease_s
        await asyncio.to_thread(self.context.ledger.renew, tuple(self._pages), now=now)
        await asyncio.to_thread(
            self.context.feeds.keep, tuple(self._polling), now=now, lease_s=lease_s
        )

    def _spawn(self, work: Work) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Work) -> None:
        """Run one poll or fetch. What it leaves undone, its lease brings back."""
        try:
            await work
        except Exception as e:  # noqa: BLE001 - the poll loop's boundary: it outlives any feed
            log.error("poll_task_failed", error=f"{type(e).__name__}: {e}")


async def poll_forever(context: Context) -> None:
    """Run the poll role until SIGTERM or SIGINT."""
    share_one_heap()
    stop = stop_event()
    async with poll_steps(context) as steps:
        await PollLoop(context, steps).run(stop)


# --- work -----------------------------------------------------------------------------------


@dataclass(slots=True)
class WordLists:
    """Keeps the word lists of the stream's languages loaded in the worker.

    A horse that had to load one would take up to a second for it, and so would the next one.
    """

    context: Context
    _loaded: set[str] = field(default_factory=set)

    def load_new(self) -> None:
        """Load the lists of languages that have come up; without Redis, another time."""
        known = {"en"}
        with contextlib.suppress(StoreError):
            known.update(self.context.stories.languages())
        new = known - self._loaded
        if new:
            warm_up(sorted(new))
            self._loaded |= new


@store_errors()
def work_forever(context: Context) -> None:
    """Run one RQ worker until SIGTERM, and let it finish the job in hand within the drain time.

    Raises:
        StoreError: Redis was lost; the supervisor starts this role anew, which waits for it.
    """
    jobs.set_context(context)
    lists = WordLists(context)
    lists.load_new()

    def before_fork() -> None:
        lists.load_new()
        context.clock.sync()

    worker = HintWorker(
        context.hints,
        context.ledger,
        context.settings.work,
        clock=context.clock,
        reconcile=lambda: context.reconciler.hint_again(now=context.clock()),
        before_fork=before_fork,
    )
    worker.work(logging_level="WARNING")


# --- deliver --------------------------------------------------------------------------------


@dataclass(slots=True)
class DeliverLoop:
    """Serves every webhook by a task of its own, so that none waits for another."""

    context: Context
    deliverer: "Deliverer"
    _tasks: dict[WebhookId, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set, then finish the deliveries in hand, within the drain time."""
        looking = asyncio.create_task(every(self.context.client, TICK_S, lambda: self._look(stop)))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([stopping, looking], return_when=asyncio.FIRST_COMPLETED)
        if looking.done():
            looking.result()
        looking.cancel()
        if self._tasks:
            drain_s = self.context.settings.work.drain_s / 2
            await asyncio.wait(self._tasks.values(), timeout=drain_s)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(looking, *self._tasks.values(), return_exceptions=True)

    async def _look(self, stop: asyncio.Event) -> None:
        await asyncio.to_thread(self.context.clock.sync)
        for hook in await asyncio.to_thread(self.deliverer.due):
            if hook.webhook_id not in self._tasks:
                task = asyncio.create_task(self._guarded(hook, stop))
                self._tasks[hook.webhook_id] = task

    async def _guarded(self, hook: Webhook, stop: asyncio.Event) -> None:
        """Serve one webhook. What goes wrong is tried again when it is due next."""
        try:
            await self.deliverer.deliver(hook, stop)
        except Exception as e:  # noqa: BLE001 - the loop's boundary: it outlives any webhook
            log.error("deliver_task_failed", error=f"{type(e).__name__}: {e}")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), AFTER_FAILURE_S)
        finally:
            del self._tasks[hook.webhook_id]


async def deliver_forever(context: Context) -> None:
    """Run the deliver role until SIGTERM or SIGINT."""
    stop = stop_event()
    async with deliver_steps(context) as deliverer:
        await DeliverLoop(context, deliverer).run(stop)
