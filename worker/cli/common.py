"""What every command shares: the global options, the context, and how answers are printed."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, TextIO

import structlog
import typer
from rich.console import Console

from worker.core.redaction import redacted
from worker.errors import ConfigError, StoreError
from worker.settings import LogSettings, Settings, load_settings
from worker.store.client import masked
from worker.store.keys import LIVE
from worker.wiring import Context, redis_address

DEFAULT_CONFIG = Path("config/samestory.toml")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Namespace = Annotated[
    str, typer.Option("--namespace", "-n", help="'live', or the namespace of a replay.")
]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@dataclass(slots=True)
class Globals:
    """The options that stand before the command."""

    config: Path | None = None
    overrides: tuple[str, ...] = ()
    extra: list[str] = field(default_factory=list)  # overrides that a command adds itself

    def settings(self) -> Settings:
        """Return the settings of this call: defaults, file, environment, --set.

        Raises:
            ConfigError: a file that is not there, or a wrong setting.
        """
        path = self.config or DEFAULT_CONFIG
        if self.config and not path.is_file():
            raise ConfigError(f"there is no settings file {path}")
        toml = path.read_bytes() if path.is_file() else b""
        return load_settings(toml, os.environ, (*self.extra, *self.overrides), origin=str(path))

    def arguments(self) -> list[str]:
        """Return these options as arguments, for child processes of this program."""
        given = ["--config", str(self.config)] if self.config else []
        return given + [f"--set={item}" for item in (*self.extra, *self.overrides)]


def globals_of(ctx: typer.Context) -> Globals:
    """Return the options that stood before the command."""
    return ctx.ensure_object(Globals)


@contextmanager
def opened(ctx: typer.Context, namespace: str = LIVE) -> Iterator[Context]:
    """Give the context of a namespace on a server that answers and is safe.

    Raises:
        ConfigError: a wrong setting or an unsafe server.
        StoreError: the server does not answer; names it.
    """
    settings = globals_of(ctx).settings()
    with redis_address(settings) as url:
        context = Context(settings=settings, redis_url=url, namespace=namespace)
        try:
            context.check()
        except StoreError as e:
            raise StoreError(f"{masked(url)}: {e}") from e
        yield context


def set_up_logging(settings: LogSettings) -> None:
    """Send logs to standard error, for people or as JSON lines."""
    levels = {"debug": 10, "info": 20, "warning": 30, "error": 40}
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            _redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(levels[settings.level]),
        logger_factory=structlog.PrintLoggerFactory(file=_Log(sys.stderr)),  # type: ignore[arg-type]
    )


def _redact(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Cut what addresses are left in a line, as messages of libraries quote them."""
    return {key: redacted(v) if isinstance(v, str) else v for key, v in event.items()}


@dataclass(frozen=True, eq=False)  # structlog keeps its locks by weak references to streams
class _Log:
    """A stream that goes on when its disk is full: a lost line is better than a lost entry."""

    stream: TextIO

    def write(self, text: str) -> None:
        """Write a line, if that is possible."""
        with contextlib.suppress(OSError):
            self.stream.write(text)

    def flush(self) -> None:
        """Bring it to its file, if that is possible."""
        with contextlib.suppress(OSError):
            self.stream.flush()


def print_json(value: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def printable(text: str) -> str:
    """Return a text without control characters, which could drive a terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def iso(at: float | None) -> str:
    """Return Unix seconds as ISO 8601 in UTC; empty for none."""
    if not at:
        return ""
    return datetime.fromtimestamp(at, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
