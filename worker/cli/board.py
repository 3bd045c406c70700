"""What `samestory run` shows: stories as they form; on a terminal a live table, else plain lines."""

import sys
import time
from collections import deque
from types import TracebackType
from typing import final

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from worker.cli.common import out, printable
from worker.cli.read import sources_of
from worker.cli.show import clock, many, table, when
from worker.errors import StoreError
from worker.model import Feed, StoryId
from worker.store.keys import story_lang
from worker.store.stories import Story
from worker.wiring import Context

# Read at each refresh: far more than change between two of them.
MOST_STORIES = 100
FEEDS_EVERY_S = 2.0  # a thousand feeds are a thousand keys, and their health moves slowly
MESSAGES = 3
AROUND_ROWS = 4 + MESSAGES + 1  # table head, status line, messages, cursor
FEWEST_ROWS = 5
OUTCOMES = ("claimed", "pending", "attached", "duplicate", "rejected", "held")
NAMES = {"held": "quarantined"}


@final
class Board:
    """The stories of a namespace while it works. Never raises for a Redis that does not answer.

    Args:
        context: of the namespace.
        since: Unix seconds; stories first seen from then on are marked, and counted at the end.
    """

    def __init__(self, context: Context, *, since: float) -> None:
        self._context = context
        self._since = since
        self._stories: tuple[Story, ...] = ()
        self._counts: dict[str, int] = {}
        self._feeds: tuple[Feed, ...] = ()
        self._feeds_read_at = float("-inf")
        self._trouble = ""
        self._messages: deque[str] = deque(maxlen=MESSAGES)
        self._printed: dict[StoryId, Story] = {}
        self._is_live = sys.stdout.isatty() and not out.is_dumb_terminal
        self._live = Live(console=out, auto_refresh=False, transient=True)

    def __enter__(self) -> "Board":
        """Read what is there already, which is shown but not news, and start showing."""
        self._read()
        self._printed = {story.story_id: story for story in self._stories}
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and leave a summary that stays on the screen."""
        if self._is_live:
            self._live.stop()
            out.print(self._table(MOST_STORIES))
        new = sum(story.opened_at >= self._since for story in self._stories)
        more = " or more" if new == MOST_STORIES else ""
        self._print(self._status())
        self._print(f"{many(new, 'new story')}{more} since {clock(self._since)}")

    def refresh(self) -> None:
        """Read Redis once and show what changed."""
        had_trouble = self._trouble
        self._read()
        if self._is_live:
            self._live.update(self._picture(), refresh=True)
            return
        if self._trouble and not had_trouble:
            self._print(self._trouble)
        for story in reversed(self._stories):  # the newest movement last
            if self._printed.get(story.story_id) != story:
                self._print(_line(story))
                self._printed[story.story_id] = story

    def say(self, text: str) -> None:
        """Show a message."""
        self._messages.append(f"{clock(time.time())} {printable(text)}")
        if self._is_live:
            self._live.update(self._picture(), refresh=True)
        else:
            self._print(self._messages[-1])

    def _read(self) -> None:
        try:
            self._stories = self._context.stories.newest(limit=MOST_STORIES)
            self._counts = self._context.ledger.counts()
            if time.monotonic() >= self._feeds_read_at + FEEDS_EVERY_S:
                self._feeds = self._context.feeds.all()
                self._feeds_read_at = time.monotonic()
            self._trouble = ""
        except StoreError:
            self._trouble = "Redis unreachable, retrying"

    def _picture(self) -> RenderableType:
        rows = max(FEWEST_ROWS, out.height - AROUND_ROWS)
        lines = [Text(message, style="dim", overflow="ellipsis") for message in self._messages]
        if self._trouble:
            lines.append(Text(self._trouble, style="bold red"))
        return Group(self._table(rows), Text(self._status(), overflow="ellipsis"), *lines)

    def _table(self, rows: int) -> Table:
        shown = table("headline", "sources", "articles", "reprints", "first seen", "lang")
        for column in shown.columns[1:]:
            column.no_wrap = True
        headline = shown.columns[0]
        headline.no_wrap, headline.overflow, headline.ratio = True, "ellipsis", 1
        shown.expand = True
        now = self._context.clock()
        for story in self._stories[:rows]:
            is_new = story.opened_at >= self._since
            shown.add_row(
                Text(printable(story.title) or story.story_id, style="bold" if is_new else ""),
                sources_of(story),
                str(story.articles),
                str(story.reprints) if story.reprints else "",
                when(story.opened_at, now=now),
                story_lang(story.story_id),
            )
        return shown

    def _status(self) -> str:
        counts = ", ".join(f"{self._counts.get(n, 0)} {NAMES.get(n, n)}" for n in OUTCOMES)
        failing = sum(bool(feed.error) for feed in self._feeds)
        feeds = many(len(self._feeds), "feed") + (f" ({failing} failing)" if failing else "")
        return f"{feeds} · {counts}"

    def _print(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _line(story: Story) -> str:
    """Return a story on one plain line."""
    return (
        f'{clock(time.time())} {story.story_id} "{printable(story.title)}": '
        f"{many(story.sources, 'source')} ({story.own_accounts} own), "
        f"{many(story.articles, 'article')}, {many(story.reprints, 'reprint')}, "
        f"first seen {when(story.opened_at, now=time.time())}, {story_lang(story.story_id)}"
    )
