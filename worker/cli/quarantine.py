"""quarantine: entries that failed too often, kept for a person to look at."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from worker.cli.common import AsJson, Namespace, iso, opened, out, print_json, printable
from worker.cli.show import fields, many, table
from worker.core.redaction import public_part, redacted
from worker.errors import NotFoundError
from worker.model import EntryId
from worker.steps.lookup import nearest_of
from worker.store.keys import LIVE
from worker.store.ledger import LedgerRow
from worker.wiring import Context

app = typer.Typer(help="Look at, retry or drop what failed too often.", no_args_is_help=True)

Entries = Annotated[list[str], typer.Argument(metavar="ENTRY...", help="Ids, as `list` has them.")]


@app.command("list")
def list_(ctx: typer.Context, *, namespace: Namespace = LIVE, as_json: AsJson = False) -> None:
    """Show what is held, oldest first."""
    with opened(ctx, namespace) as context:
        rows = [row for held in context.ledger.quarantined() if (row := context.ledger.row(held))]
    if as_json:
        print_json([_as_json(row) for row in rows])
        return
    if not rows:
        out.print("nothing is in the quarantine")
        return
    shown = table("entry", "title", "why")
    for row in rows:
        title = Text(printable(row.entry.title or public_part(row.entry.url)))
        shown.add_row(row.entry.entry_id, title, Text(printable(row.reason)))
    out.print(shown)


@app.command()
def show(
    ctx: typer.Context, entry: str, *, namespace: Namespace = LIVE, as_json: AsJson = False
) -> None:
    """Show all that is known of one entry that is held."""
    with opened(ctx, namespace) as context:
        held = _held(context, [entry])[0]
        row = context.ledger.row(held)
    if row is None:  # dropped by somebody else since
        raise NotFoundError("quarantined entry", entry)
    if as_json:
        print_json(_as_json(row))
        return
    out.print(
        fields(
            ("entry", row.entry.entry_id),
            ("title", row.entry.title),
            ("address", public_part(row.entry.url)),
            ("known as", redacted(row.entry.ref)),
            ("publisher", row.entry.source),
            ("claimed", iso(row.entry.seen_at)),
            ("stage", row.stage),
            ("attempts", row.attempts),
            ("page", row.page),
            ("summary", row.entry.summary),
            ("why", row.reason),
        )
    )
    for line in row.trace.splitlines():
        out.print(Text(printable(line)))


@app.command()
def retry(
    ctx: typer.Context,
    entries: Annotated[list[str] | None, typer.Argument(metavar="ENTRY...")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Retry all that is held.")] = False,
    namespace: Namespace = LIVE,
) -> None:
    """Give entries another round of attempts; running workers take them up at once."""
    if bool(entries) == everything:
        raise typer.BadParameter("name entries, or say --all")
    with opened(ctx, namespace) as context:
        ids = _held(context, entries) if entries else context.ledger.quarantined()
        released = _release(context, ids, drop=False)
    out.print(f"retrying {many(released, 'entry')}")


@app.command()
def drop(ctx: typer.Context, entries: Entries, namespace: Namespace = LIVE) -> None:
    """Give entries up for good; they count as rejected."""
    with opened(ctx, namespace) as context:
        released = _release(context, _held(context, entries), drop=True)
    out.print(f"dropped {many(released, 'entry')}")


def _release(context: Context, ids: Sequence[EntryId], *, drop: bool) -> int:
    now = context.clock()
    return sum(context.ledger.release(one, now=now, drop=drop) for one in ids)


def _held(context: Context, names: Sequence[str]) -> list[EntryId]:
    """Return the ids of entries that are all held.

    Raises:
        NotFoundError: one is not; carries the nearest that are.
    """
    held = context.ledger.quarantined()
    for name in names:
        if name not in held:
            raise NotFoundError("quarantined entry", printable(name), nearest_of(name, held))
    return [EntryId(name) for name in names]


def _as_json(row: LedgerRow) -> dict[str, object]:
    return {
        "entry": row.entry.entry_id,
        "title": row.entry.title,
        "url": public_part(row.entry.url),
        "ref": redacted(row.entry.ref),
        "source": row.entry.source,
        "claimed_at": iso(row.entry.seen_at),
        "stage": row.stage,
        "attempts": row.attempts,
        "page": row.page,
        "summary": row.entry.summary,
        "reason": row.reason,
        "trace": row.trace,
    }
