"""The command `samestory`: gathers the commands and turns errors into exit codes.

0 done · 1 the thing asked for is not there, a record failed, or more changed than may · 2 usage or
configuration.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

# One thread a process: the cores are for the workers, and a forked horse must not inherit threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import typer
from rich.markup import escape

from worker import __version__
from worker.cli import (
    archive,
    care,
    diff,
    evaluate,
    events,
    feeds,
    fit,
    quarantine,
    read,
    replay,
    roles,
    webhooks,
)
from worker.cli.common import err, globals_of, printable
from worker.errors import ConfigError, SamestoryError, StoreError

app = typer.Typer(
    name="samestory",
    help="Follows news feeds and says which story each article belongs to.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (roles, replay, diff, read, events, care, evaluate, fit):
    module.register(app)
app.add_typer(archive.app, name="archive")
app.add_typer(feeds.app, name="feeds")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(webhooks.app, name="webhooks")


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it by position
    if wanted:
        sys.stdout.write(f"samestory {__version__}\n")
        raise typer.Exit


@app.callback()
def _global_options(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Settings file; config/samestory.toml if it is there.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; may be repeated."),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    options = globals_of(ctx)
    options.config = config
    options.overrides = tuple(overrides or ())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, or other arguments instead, and exit with its status."""
    try:
        app(arguments)
    except (ConfigError, StoreError) as e:
        _fail(e, 2)
    except SamestoryError as e:
        _fail(e, 1)
    except BrokenPipeError:
        # The reader of our output left, as `head` does. Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _fail(error: SamestoryError, status: int) -> None:
    lines = [escape(printable(line)) for line in str(error).splitlines()]
    err.print("[bold red]error:[/] " + "\n".join(lines), soft_wrap=True)
    sys.exit(status)
