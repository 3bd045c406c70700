"""run, poll, work, web, deliver: the long-lived roles."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from worker.cli.board import Board
from worker.cli.common import err, globals_of, set_up_logging
from worker.cli.feeds import add_sources
from worker.core.retry import back_offs
from worker.demo import DemoServer
from worker.endings import on_ending, stop_signal
from worker.errors import StoreError
from worker.settings import Settings
from worker.store.client import masked
from worker.supervisor import Supervisor, follow_parent
from worker.wiring import Context, redis_address

# Beyond its drain time, for a worker to end its horse, hand back what is left, and leave.
LEAVE_S = 2.5
# Ctrl-C must end `run` within 10 s: this, twice LEAVE_S, and the server's own end.
RUN_DRAIN_S = 4.0
REFRESH_S = 0.25
DEMO_PORT = 8_781
# The demonstration's outlets are this machine itself: they need no second between two requests.
DEMO_GAP_S = 0.1


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (run, poll, work, web, deliver):
        app.command()(command)


def run(
    ctx: typer.Context,
    feeds: Annotated[
        str, typer.Option(help="Feed addresses and OPML files to follow, separated by spaces.")
    ] = "",
    seeds: Annotated[
        Path | None, typer.Option(help="Serve this folder as feeds on loopback and follow those.")
    ] = None,
    seeds_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Where; part of the feeds' addresses.")
    ] = DEMO_PORT,
) -> None:
    """Run everything on this machine and show stories as they form."""
    options = globals_of(ctx)
    if seeds:
        options.extra += ["fetch.allow_private=.localhost", f"fetch.host_gap_s={DEMO_GAP_S}"]
    settings = options.settings()
    set_up_logging(settings.log)
    stop = stop_signal()
    with ExitStack() as stack:
        url = stack.enter_context(redis_address(settings))
        context = Context(settings=settings, redis_url=url)
        _wait_until_safe(context, stop)
        if stop.is_set():
            return
        sources = feeds.split()
        if seeds:
            demo = stack.enter_context(DemoServer(seeds, seeds_port))
            sources += demo.feed_urls()
        add_sources(context, sources)
        log = stack.enter_context(_log_file(settings)) if sys.stdout.isatty() else None
        drain_s = min(settings.work.drain_s, RUN_DRAIN_S)
        options.overrides += (f"work.drain_s={drain_s}",)  # the last word, for the children
        supervisor = Supervisor(options.arguments(), _environ(url), log=log)
        supervisor.add("work", ["work"])
        supervisor.add("web", ["web"])
        later = {"poll": _has_worker, "deliver": _has_webhook}  # when there is somebody to serve
        started_at = context.clock()
        with Board(context, since=started_at) as board:
            if log:
                board.say(f"log: {log.name}")
            while not stop.wait(REFRESH_S):
                for role in [role for role, is_due in later.items() if is_due(context)]:
                    supervisor.add(role, [role])
                    del later[role]
                supervisor.tick()
                board.refresh()
            board.say("draining: finishing what is in hand")
            supervisor.stop(drain_s + 2 * LEAVE_S)  # workers have a supervisor in between
            board.refresh()


def poll(ctx: typer.Context) -> None:
    """Poll feeds, fetch pages, archive them, and hint at the workers."""
    from worker import daemon  # noqa: PLC0415 - it would slow every command's start

    with _role(ctx) as context:
        asyncio.run(daemon.poll_forever(context))


def work(
    ctx: typer.Context,
    processes: Annotated[
        int, typer.Option(min=0, help="Worker processes; 0: work.processes, or one a core.")
    ] = 0,
    single: Annotated[bool, typer.Option("--single", hidden=True)] = False,
) -> None:
    """Extract, sign and attach what the ledger holds."""
    from worker import daemon  # noqa: PLC0415 - as above
    from worker.cli.main import main  # noqa: PLC0415 - which imports this module

    with _role(ctx) as context:
        if single:
            daemon.work_forever(context)
            return
        stop = stop_signal()
        lists = daemon.WordLists(context)
        lists.load_new()  # once for all workers, and before there is one to be started anew
        arguments = globals_of(ctx).arguments()
        supervisor = Supervisor(arguments, _environ(context.redis_url), program=main)
        for number in range(processes or context.settings.work.processes or os.cpu_count() or 1):
            supervisor.add(f"work-{number + 1}", ["work", "--single"])
        while not stop.wait(REFRESH_S):
            supervisor.tick()
        supervisor.stop(context.settings.work.drain_s + LEAVE_S)
        on_ending(signal.SIG_IGN)  # we are leaving, and not because of one more


def web(ctx: typer.Context) -> None:
    """Serve health and metrics over HTTP."""
    from worker.web.app import serve  # noqa: PLC0415 - it would slow every command's start

    with _role(ctx) as context:
        serve(context)


def deliver(ctx: typer.Context) -> None:
    """Send events to the webhooks."""
    from worker import daemon  # noqa: PLC0415 - as above

    with _role(ctx) as context:
        asyncio.run(daemon.deliver_forever(context))


@contextmanager
def _role(ctx: typer.Context) -> Iterator[Context]:
    """Give a daemon its context once Redis is there and safe."""
    settings = globals_of(ctx).settings()
    set_up_logging(settings.log)
    follow_parent()
    stop = stop_signal()
    with redis_address(settings) as url:
        context = Context(settings=settings, redis_url=url)
        _wait_until_safe(context, stop)
        if stop.is_set():
            raise typer.Exit
        on_ending(signal.SIG_DFL)  # each role handles them in a way of its own
        yield context


def _wait_until_safe(context: Context, stop: threading.Event) -> None:
    """Wait for Redis as long as it takes, longer each time; an unsafe one is refused at once."""
    for wait_s in back_offs():
        if stop.is_set():
            return
        try:
            context.check()
        except StoreError as e:
            err.print(f"waiting for {masked(context.redis_url)}: {e}", soft_wrap=True)
            stop.wait(wait_s)
        else:
            return


def _has_worker(context: Context) -> bool:
    """Say whether somebody waits for the first articles; polling earlier would make them wait."""
    try:
        return context.hints.has_worker()
    except StoreError:
        return False


def _has_webhook(context: Context) -> bool:
    """Say whether there is anything to deliver to; most have nothing, and save a process."""
    try:
        return context.webhooks.any()
    except StoreError:
        return False


def _environ(redis_url: str) -> dict[str, str]:
    """Return the environment of children that use the same server.

    The address goes this way because it may hold a password, and arguments are public.
    """
    return {**os.environ, "SAMESTORY_REDIS_URL": redis_url}


def _log_file(settings: Settings) -> IO[str]:
    """Open the file that takes the children's log while the terminal shows the stories."""
    path = Path(settings.paths.var) / "samestory.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="utf-8")
