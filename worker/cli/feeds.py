"""feeds: which feeds are followed."""

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from worker.cli.common import AsJson, iso, opened, out, print_json, printable
from worker.cli.reasons import because, complaints, facts, habits, pushes
from worker.cli.show import clock, fields, many, safe_url, span, table, when
from worker.core.entries import canonical_url, feed_id
from worker.core.health import ailments
from worker.core.schedule import first_poll_at
from worker.decode.opml import MAX_BYTES, read_opml, write_opml
from worker.errors import ConfigError, DecodeError, NotFoundError
from worker.model import Feed, FeedId, Why
from worker.settings import PollSettings
from worker.steps.lookup import nearest_of
from worker.wiring import Context

app = typer.Typer(help="Follow feeds, or stop to.", no_args_is_help=True)

STANDARD_OUTPUT = "-"


@app.command()
def add(
    ctx: typer.Context,
    sources: Annotated[list[str], typer.Argument(help="Feed addresses, OPML or text files.")],
) -> None:
    """Follow feeds, from now on."""
    with opened(ctx) as context:
        _report(context, add_sources(context, sources))


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="OPML, or one address a line.")],
) -> None:
    """Follow the feeds that a file lists."""
    with opened(ctx) as context:
        if not file.is_file():
            raise ConfigError(f"there is no file {file}")
        _report(context, add_sources(context, [str(file)]))


@app.command()
def remove(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="URL|ID...", help="As `list` has them.")],
) -> None:
    """Follow feeds no more; what they brought stays."""
    with opened(ctx) as context:
        feeds = context.feeds.all()
        named = [_known(name, feeds) for name in names]
        removed = sum(context.feeds.remove(feed.feed_id) for feed in named)
        out.print(f"removed {many(removed, 'feed')}")


@app.command("list")
def list_(
    ctx: typer.Context,
    *,
    sick: Annotated[
        bool,
        typer.Option("--sick", help="Only those that fail, fell silent, turned undated or flood."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the feeds: when they were and will be polled, and what is wrong with them."""
    with opened(ctx) as context:
        followed, now, poll = context.feeds.all(), context.clock(), context.settings.poll
    feeds = [feed for feed in followed if ailments(feed)] if sick else followed
    if as_json:
        print_json([_as_json(feed, poll) for feed in feeds])
    elif feeds:
        _print_feeds(feeds, now)
    elif followed:
        out.print(f"{many(len(followed), 'feed')}, none of them sick")
    else:
        out.print("no feeds; add one: samestory feeds add URL")


@app.command()
def why(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="URL|ID", help="As `list` has it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Say when a feed is polled next, and what decided that."""
    with opened(ctx) as context:
        feed = _known(name, context.feeds.all())
        now, poll = context.clock(), context.settings.poll
        pushed = pushes(context.subscriptions.get(feed.feed_id), now)
    if as_json:
        print_json(_as_json(feed, poll) | {"pushes": pushed})
    else:
        _print_why(feed, now, poll, pushed)


@app.command()
def export(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="'-' is standard output.")] = STANDARD_OUTPUT,
) -> None:
    """Write the feeds as OPML, their addresses in full."""
    with opened(ctx) as context:
        feeds = context.feeds.all()
    document = write_opml(feeds)
    if file == STANDARD_OUTPUT:
        sys.stdout.write(document.decode())
        return
    try:
        Path(file).write_bytes(document)
    except OSError as e:
        raise ConfigError(f"cannot write {file}: {e.strerror}") from e
    out.print(f"wrote {many(len(feeds), 'feed')} to {file}", markup=False, soft_wrap=True)


def add_sources(context: Context, sources: Sequence[str]) -> int:
    """Follow the feeds that addresses and files name; all are read before one is added.

    A few are due at once, many within an interval.

    Args:
        context: of the namespace.
        sources: http(s) addresses, and paths of OPML files or of text with one address a line.

    Returns: how many were not followed before.

    Raises:
        ConfigError: naming what is neither an address nor a readable file.
        StoreError: Redis did not answer.
    """
    feeds = [feed for source in sources for feed in _read(source)]
    now, interval_s = context.clock(), context.settings.poll.interval_s
    added = 0
    for feed in feeds:
        at = first_poll_at(now, interval_s, count=len(feeds), draw=random.random())  # noqa: S311 - no secret
        added += context.feeds.add(replace(feed, next_poll_at=at))
    return added


def _read(source: str) -> Iterator[Feed]:
    if "://" in source:
        yield _feed(source)
        return
    path = Path(source)
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as e:
        raise ConfigError(
            f"'{source}' is neither an http(s) address nor a file that can be read ({e.strerror})"
        ) from e
    for url, title in _addresses(path, body):
        yield _feed(url, title=title, origin=f"{path}: ")


def _addresses(path: Path, body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the addresses and titles in a file; what begins like XML has to be OPML."""
    try:
        if body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
            return read_opml(body)
        lines = [line.strip() for line in body.decode("utf-8-sig").splitlines()]
    except DecodeError as e:
        raise ConfigError(f"{path}: {e}") from e
    except UnicodeDecodeError as e:
        raise ConfigError(f"{path}: neither OPML nor text in UTF-8") from e
    return tuple((line, "") for line in lines if line and not line.startswith("#"))


def _feed(source: str, *, title: str = "", origin: str = "") -> Feed:
    url = canonical_url(source)
    if not url:
        raise ConfigError(
            f"{origin}'{safe_url(source)}' is not an http(s) address (one with a user or password "
            "is refused)"
        )
    return Feed(feed_id=feed_id(url), url=url, title=title)


def _known(name: str, feeds: Sequence[Feed]) -> Feed:
    """Return a feed that is followed, by its address, its first address or its id."""
    names = {feed.feed_id: feed for feed in feeds} | {feed_id(feed.url): feed for feed in feeds}
    for candidate in (FeedId(name), feed_id(name)):
        if candidate in names:
            return names[candidate]
    near = nearest_of(name, [feed.url for feed in feeds])
    raise NotFoundError("feed", safe_url(name), [safe_url(url) for url in near])


def _report(context: Context, added: int) -> None:
    out.print(f"added {many(added, 'feed')}; following {many(len(context.feeds.all()), 'feed')}")


def _as_json(feed: Feed, poll: PollSettings) -> dict[str, object]:
    return {
        "id": feed.feed_id,
        "url": safe_url(feed.url),
        "title": feed.title,
        "next_poll_at": iso(feed.next_poll_at),
        "polled_at": iso(feed.polled_at),
        "changed_at": iso(feed.changed_at),
        "interval_s": feed.interval_s,
        "error": feed.error,
        "failures": feed.failures,
        "gone": feed.gone,
        "moving_to": safe_url(feed.move.url) if feed.move else "",
        "same_as": feed.same_as,
        **facts(feed, poll),
    }


def _print_why(feed: Feed, now: float, poll: PollSettings, pushed: str) -> None:
    next_poll = _next_poll(feed, now)
    if not (feed.gone or feed.same_as) and feed.next_poll_at > now:
        next_poll = f"{clock(feed.next_poll_at)} ({next_poll})"
    given = {"ETag": feed.validators.etag, "Last-Modified": feed.validators.last_modified}
    out.print(
        fields(
            ("feed", safe_url(feed.url)),
            ("title", feed.title),
            ("next poll", next_poll),
            ("because", because(feed, poll)),
            ("last polled", when(feed.polled_at, now=now)),
            ("last new", when(feed.changed_at, now=now)),
            ("rhythm", "" if feed.why is Why.RHYTHM else habits(feed.rhythm)),
            ("pushes", pushed),
            ("validators", ", ".join(name for name, value in given.items() if value)),
            *(("wrong", line) for line in complaints(feed)),
        )
    )


def _print_feeds(feeds: Sequence[Feed], now: float) -> None:
    shown = table("id", "feed", "last polled", "next poll", "failures", numbers=("failures",))
    for feed in feeds:
        name = Text(printable(feed.title) + "\n" if feed.title else "")
        name.append(safe_url(feed.url), style="dim" if feed.title else "")
        if feed.move:
            name.append(f"\nmoves to {safe_url(feed.move.url)}", style="dim")
        for line in complaints(feed):
            name.append(f"\n{line}", style="red")
        shown.add_row(
            feed.feed_id,
            name,
            clock(feed.polled_at) if feed.polled_at else "never",
            _next_poll(feed, now),
            str(feed.failures) if feed.failures else "",
        )
    out.print(shown)


def _next_poll(feed: Feed, now: float) -> str:
    if feed.gone:
        return "gone: never"
    if feed.same_as:
        return f"as {feed.same_as}"
    return f"in {span(feed.next_poll_at - now)}" if feed.next_poll_at > now else "now"
