"""events: what happens to stories, one line each, for people and for programs that resume."""

import sys
import threading
from typing import Annotated

import typer

from worker.cli.common import Namespace, err, opened, printable
from worker.cli.show import many
from worker.core.events import Cursor, Event, Item, as_json
from worker.endings import stop_signal
from worker.store.client import connect
from worker.store.events import Events
from worker.store.keys import LIVE
from worker.wiring import Context

NOW = "now"
BATCH = 500
# How long Ctrl-C, and the first event of a new language, may have to wait.
BLOCK_S = 1.0


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(events)


def events(
    ctx: typer.Context,
    *,
    after: Annotated[
        str, typer.Option(help="A cursor from an earlier line, or 'now'; else all that is kept.")
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="At most so many lines; 0: all.")] = 0,
    namespace: Namespace = LIVE,
    as_lines: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print what happened to stories, in order; with --json each line holds a cursor."""
    stop = stop_signal() if follow else threading.Event()
    with opened(ctx, namespace) as context:
        stream = _patient(context)
        cursor, left = _start(stream, after), limit or sys.maxsize
        while not stop.is_set():
            items = stream.read(cursor, limit=min(left, BATCH))
            for item in items:
                cursor = cursor.past(item)
                sys.stdout.write((_as_json(item, cursor) if as_lines else _as_text(item)) + "\n")
            sys.stdout.flush()
            left -= len(items)
            if not left or not (items or follow):
                break
            if not items:
                stream.wait(cursor, timeout_s=BLOCK_S)
    if not as_lines and str(cursor):
        err.print(f"to go on here: samestory events --after {cursor}", soft_wrap=True)


def _patient(context: Context) -> Events:
    """Return the events by a connection of their own that waits longer than a read blocks."""
    timeout_s = context.settings.redis.timeout_s + BLOCK_S
    return Events(connect(context.redis_url, timeout_s=timeout_s), context.keys)


def _start(stream: Events, after: str) -> Cursor:
    if after == NOW:
        return stream.newest()
    return Cursor.parse(after) if after else stream.oldest()


def _as_json(item: Item, cursor: Cursor) -> str:
    return as_json({**item.document(), "cursor": str(cursor)})


def _as_text(item: Item) -> str:
    """Return a line for people: what, then the ids that go with it."""
    facts = item.document()
    if isinstance(item, Event):
        head = [str(facts.pop(name)) for name in ("at", "id", "type")]
    else:
        head = ["gap:", f"{many(item.missed, 'event')} of {item.lang} are not kept any more"]
        facts = {}
    rest = [f"{name} {value}" for name, value in facts.items() if name not in {"lang", "number"}]
    return printable("  ".join([*head, *rest]))
