"""archive: what lies in the WARC files, whether it is whole, and what may go."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.text import Text

from worker.archive.files import Contents, contents_of, files_in, places_of
from worker.archive.warc import Archive, is_location
from worker.cli.common import (
    AsJson,
    globals_of,
    iso,
    opened,
    out,
    print_json,
    printable,
    set_up_logging,
)
from worker.cli.show import many, table
from worker.core.redaction import public_part
from worker.core.retention import Limits
from worker.errors import ArchiveError, ConfigError, NotFoundError
from worker.model import Page
from worker.settings import Settings
from worker.wiring import retention

app = typer.Typer(help="Look into, check and prune the WARC files.", no_args_is_help=True)

_SHOWN = ("records", "pages", "feeds", "entries")
_COUNTS = ("records", "pages", "feeds", "contents", "revisits", "entries")


@app.command("list")
def list_(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """Show the files and what is in each; reads them all."""
    found = [contents_of(path) for path in files_in(_directory(globals_of(ctx).settings()))]
    if as_json:
        print_json([_as_json(file) for file in found])
        return
    if not found:
        out.print("the archive is empty")
        return
    shown = table("file", "from", "to", "MB", *_SHOWN, "", numbers=("MB", *_SHOWN))
    for column in shown.columns[1:]:
        column.no_wrap = True  # on a narrow screen the names give way
    for file in found:
        span = (iso(at)[11:16] for at in (file.first_at, file.last_at))  # the name has the day
        counts = (str(getattr(file, name)) for name in _SHOWN)
        state = "damaged" if file.damages else "open" if file.is_open else ""
        shown.add_row(Text(printable(file.name)), *span, f"{file.size / 1e6:.1f}", *counts, state)
    out.print(shown)


@app.command()
def verify(
    ctx: typer.Context,
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE...]")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Check every record's compression, length and digest; say what is lost. Exit 1 if anything is."""
    paths = files or files_in(_directory(globals_of(ctx).settings()))
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise ConfigError(f"there is no file {missing[0]}")
    found = [contents_of(path) for path in paths]
    if as_json:
        print_json([_as_json(file) for file in found])
    else:
        for file in found:
            for damage in file.damages:
                line = escape(printable(f"{file.name}, {damage}"))
                out.print(f"[red]lost[/] {line}", soft_wrap=True)
        records = sum(file.records for file in found)
        out.print(f"{many(len(found), 'file')}, {many(records, 'record')} whole")
    if any(file.damages for file in found):
        raise typer.Exit(1)


@app.command()
def cat(
    ctx: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="LOCATION|URL", help="FILE:OFFSET, as `quarantine show` has it, or an address."
        ),
    ],
    *,
    headers: Annotated[
        bool, typer.Option("--headers", help="Print status and headers too.")
    ] = False,
) -> None:
    """Print the body at a place of the archive, or the newest one of an address."""
    settings = globals_of(ctx).settings()
    place = what if is_location(what) else _newest(_directory(settings), what)
    page = Archive(_directory(settings), max_bytes=settings.archive.max_bytes).read(place)
    body = (_head(page) if headers else b"") + page.body
    if sys.stdout.isatty():  # a page must not drive the terminal
        lines = body.decode("utf-8", "replace").splitlines()
        body = "".join(printable(line) + "\n" for line in lines).encode()
    sys.stdout.buffer.write(body)


@app.command()
def prune(
    ctx: typer.Context,
    *,
    keep_days: Annotated[
        float | None, typer.Option(min=0, help="Instead of archive.keep_days; 0: for ever.")
    ] = None,
    keep_gb: Annotated[
        float | None, typer.Option(min=0, help="Instead of archive.keep_gb; 0: any size.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove the oldest files beyond what is to be kept, unless somebody needs them."""
    set_up_logging(globals_of(ctx).settings().log)  # each removal is logged, to standard error
    with opened(ctx) as context:
        kept = context.settings.archive
        limits = Limits(
            keep_days=kept.keep_days if keep_days is None else keep_days,
            keep_bytes=(kept.keep_gb if keep_gb is None else keep_gb) * 1e9,
        )
        if not (limits.keep_days or limits.keep_bytes):
            raise typer.BadParameter("nothing is to go: give --keep-days or --keep-gb, or set them")
        keeper = retention(context, limits)
        gone = keeper.plan() if dry_run else keeper.run()
    if as_json:
        print_json([{"file": file.name, "bytes": file.size} for file in gone])
        return
    for file in gone:
        out.print(escape(file.name), soft_wrap=True)
    size = sum(file.size for file in gone)
    done = "would be removed" if dry_run else "removed"
    out.print(f"{many(len(gone), 'file')} of {size / 1e6:.1f} MB {done}")


def _directory(settings: Settings) -> Path:
    return Path(settings.paths.archive)


def _newest(directory: Path, url: str) -> str:
    """Return the newest place of an address.

    Raises:
        NotFoundError: the archive has none.
        ArchiveError: a file cannot be read.
    """
    try:
        place = next(places_of(directory, url), None)
    except OSError as e:
        raise ArchiveError(f"the archive cannot be read: {e}") from e
    if place is None:
        raise NotFoundError("archived page", public_part(url) if "//" in url else printable(url))
    return place


def _head(page: Page) -> bytes:
    lines = [
        f"HTTP/1.1 {page.status}",
        *(f"{name}: {value}" for name, value in page.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def _as_json(file: Contents) -> dict[str, object]:
    return {
        "file": file.name,
        "bytes": file.size,
        "from": iso(file.first_at),
        "to": iso(file.last_at),
        "being_written": file.is_open,
        **{name: getattr(file, name) for name in _COUNTS},
        "lost": [asdict(damage) for damage in file.damages],
    }
