"""What `samestory run` prints into a pipe."""

import time

import pytest
from seeding import BANK, FLOOD, PUMPS, follow, ingest

from worker.cli.board import Board
from worker.settings import load_settings
from worker.wiring import Context


def test_a_story_is_printed_once_for_each_change(
    context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was there before is no news; then each change is one line, without control sequences."""
    ingest(context, "guid-1", "https://a.example/1", "Bank raises rate", BANK)
    with Board(context, since=time.time()) as board:
        board.refresh()
        assert capsys.readouterr().out == ""
        ingest(context, "guid-2", "https://a.example/2", "Flood \x1b[2J[red]hits", FLOOD)
        board.refresh()
        board.refresh()
        first = capsys.readouterr().out
        ingest(context, "guid-3", "https://b.example/3", "Pumps for flooded Oldtown", PUMPS)
        ingest(context, "guid-4", "https://c.example/4", "Flood in Oldtown", FLOOD)
        board.refresh()
        second = capsys.readouterr().out
    assert first.count("\n") == second.count("\n") == 1
    assert "\x1b" not in first + second
    assert "[red]hits" in first
    assert "1 source (1 own), 1 article, 0 reprints, first seen" in first
    assert "3 sources (2 own), 3 articles, 1 reprint, first seen" in second


def test_messages_and_a_summary_are_plain_lines(
    context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last lines say what the ledger holds and how many stories are new."""
    follow(context)
    with Board(context, since=time.time() - 1) as board:
        ingest(context, "guid-1", "https://a.example/1", "Flood", FLOOD)
        ingest(context, "guid-2", "https://a.example/2", "Short", "Too short.")
        board.refresh()
        board.say("draining \x1b[0m")
    *_, said, counts, new = capsys.readouterr().out.splitlines()
    assert "draining" in said
    assert "\x1b" not in said
    assert "1 feed" in counts
    assert "2 claimed, 0 pending, 1 attached, 0 duplicate, 1 rejected, 0 quarantined" in counts
    assert new.startswith("1 new story since ")


def test_an_absent_server_is_said_once_and_never_raised(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The board outlives its server."""
    away = Context(settings=load_settings(), redis_url="redis://127.0.0.1:1/0")
    with Board(away, since=time.time()) as board:
        board.refresh()
        board.refresh()
    assert capsys.readouterr().out.count("Redis unreachable, retrying") <= 1
