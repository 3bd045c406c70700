import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from worker.decode.feed import parse_feed
from worker.decode.sandbox import Sandbox
from worker.errors import DecodeError

URL = "https://news.example.com/feed"
FEED = (
    '<rss version="2.0"><channel><title>N\u00e4chrichten</title><ttl>5</ttl>'
    "<skipHours><hour>3</hour></skipHours><skipDays><day>Sunday</day></skipDays>"
    "<item><guid>1</guid>"
    "<title>Eins \U0001f600</title><link>/1</link><pubDate>2018-12-30T06:15:00Z</pubDate></item>"
    "</channel></rss>"
).encode()
# feedparser's author pattern backtracks for minutes on this (feedparser#562).
SLOW = b'<rss version="2.0"><channel><item><author>a@' + b"a." * 60_000 + b"!</author></item>"
# Feedparser copies the text several times over while it finds out its character set.
LARGE = b'<rss version="2.0"><channel><item><title>' + b"x" * 40_000_000


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def _pids(sandbox: Sandbox) -> list[int]:
    return [child.process.pid for child in sandbox._idle if child.process is not None]


def _environment(pid: int) -> bytes:
    path = Path(f"/proc/{pid}/environ")
    if not path.exists():
        pytest.skip("only Linux shows a process's environment")
    return path.read_bytes()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_parse_feed_when_sound_then_equals_the_direct_parse() -> None:
    """A feed crosses the pipes unchanged, and one warm child serves request after request."""

    async def work() -> None:
        async with Sandbox(workers=1, cpu_s=5, memory_mb=512) as sandbox:
            first = await sandbox.parse_feed(FEED, URL, "application/rss+xml")
            (pid,) = _pids(sandbox)
            second = await sandbox.parse_feed(FEED, URL)
            assert _pids(sandbox) == [pid]
        assert first == second == parse_feed(FEED, url=URL)

    _run(work())


def test_parse_feed_when_refused_then_keeps_the_reason_and_the_child() -> None:
    """A document that is no feed is refused with the same words as outside, at no child's cost."""

    async def work() -> None:
        async with Sandbox(workers=1, cpu_s=5, memory_mb=512) as sandbox:
            with pytest.raises(DecodeError, match="HTML page"):
                await sandbox.parse_feed(b"<html></html>", URL)
            (pid,) = _pids(sandbox)
            await sandbox.parse_feed(FEED, URL)
            assert _pids(sandbox) == [pid]

    _run(work())


def test_parse_feed_when_cpu_runs_out_then_raises_and_replaces_the_child() -> None:
    """A quadratic parse dies of its CPU limit, and the next feed is served."""

    async def work() -> None:
        async with Sandbox(workers=1, cpu_s=0.5, memory_mb=512) as sandbox:
            for _ in range(2):  # the limit counts from each request on
                with pytest.raises(DecodeError, match="SIGXCPU"):
                    await sandbox.parse_feed(SLOW, URL)
                assert (await sandbox.parse_feed(FEED, URL)).entries

    _run(work())


def test_parse_feed_when_memory_runs_out_then_raises_and_replaces_the_child() -> None:
    """A document that needs more than its address space costs one answer, not the machine."""

    async def work() -> None:
        async with Sandbox(workers=1, cpu_s=20, memory_mb=100) as sandbox:
            with pytest.raises(DecodeError, match="more memory than allowed"):
                await sandbox.parse_feed(LARGE, URL)
            assert (await sandbox.parse_feed(FEED, URL)).entries

    _run(work())


@pytest.mark.parametrize("fatal", [signal.SIGKILL, signal.SIGSEGV])
def test_parse_feed_when_the_idle_child_has_died_then_raises_and_recovers(
    fatal: signal.Signals,
) -> None:
    """A child that is gone costs at most one DecodeError; the next call starts another."""

    async def work() -> None:
        async with Sandbox(workers=1, cpu_s=5, memory_mb=512) as sandbox:
            await sandbox.parse_feed(FEED, URL)
            (pid,) = _pids(sandbox)
            os.kill(pid, fatal)
            with pytest.raises(DecodeError, match=fatal.name):
                await sandbox.parse_feed(FEED, URL)
            assert (await sandbox.parse_feed(FEED, URL)).entries

    _run(work())


def test_parse_feed_when_the_child_hangs_then_the_wall_clock_ends_it() -> None:
    """A child that makes no progress without using CPU is killed at the deadline."""

    async def work() -> None:
        async with Sandbox(workers=1, cpu_s=0.1, memory_mb=512) as sandbox:
            await sandbox.parse_feed(FEED, URL)
            (pid,) = _pids(sandbox)
            os.kill(pid, signal.SIGSTOP)
            with pytest.raises(DecodeError, match="longer than"):
                await sandbox.parse_feed(FEED, URL)
            assert (await sandbox.parse_feed(FEED, URL)).entries
            assert pid not in _pids(sandbox)
        assert not _is_alive(pid)

    _run(work())


def test_parse_feed_when_cancelled_then_kills_the_child_and_frees_the_slot() -> None:
    """Cancelling a request leaves no busy child behind and the pool usable."""

    async def work() -> None:
        async with Sandbox(workers=1, cpu_s=30, memory_mb=512) as sandbox:
            await sandbox.parse_feed(FEED, URL)
            (pid,) = _pids(sandbox)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(sandbox.parse_feed(SLOW, URL), 0.3)
            assert (await sandbox.parse_feed(FEED, URL)).entries
            assert pid not in _pids(sandbox)
        assert not _is_alive(pid)

    _run(work())


def test_parse_feed_when_many_ask_at_once_then_uses_no_more_children_than_allowed() -> None:
    """Concurrent requests share the workers, and every one gets its own answer."""

    async def work() -> None:
        async with Sandbox(workers=2, cpu_s=5, memory_mb=512) as sandbox:
            bodies = [FEED.replace(b"<guid>1<", b"<guid>%d<" % n) for n in range(12)]
            feeds = await asyncio.gather(*(sandbox.parse_feed(body, URL) for body in bodies))
            assert [feed.entries[0].guid for feed in feeds] == [str(n) for n in range(12)]
            assert len(_pids(sandbox)) == 2

    _run(work())


def test_close_when_called_then_leaves_no_child() -> None:
    """After close() no decoding process is left."""

    async def work() -> None:
        sandbox = Sandbox(workers=2, cpu_s=5, memory_mb=512)
        await asyncio.gather(*(sandbox.parse_feed(FEED, URL) for _ in range(2)))
        pids = _pids(sandbox)
        assert len(pids) == 2
        await sandbox.close()
        assert not any(_is_alive(pid) for pid in pids)

    _run(work())


def test_child_when_its_parents_end_of_the_pipe_closes_then_leaves() -> None:
    """A child whose parent has gone sees its stdin close and exits by itself."""

    async def work() -> None:
        async with Sandbox(workers=1, cpu_s=5, memory_mb=512) as sandbox:
            await sandbox.parse_feed(FEED, URL)
            process = sandbox._idle[0].process
            assert process is not None
            assert process.stdin is not None
            process.stdin.close()
            assert await asyncio.wait_for(process.wait(), 10) == 0

    _run(work())


def test_child_when_started_then_sees_no_secret_of_the_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The parent's environment does not reach the process that reads strangers' bytes."""
    monkeypatch.setenv("SAMESTORY_REDIS_URL", "redis://:secret@db/")

    async def work() -> None:
        async with Sandbox(workers=1, cpu_s=5, memory_mb=512) as sandbox:
            await sandbox.parse_feed(FEED, URL)
            (pid,) = _pids(sandbox)
            environment = _environment(pid)
            assert b"PYTHONPATH" in environment
            assert b"SAMESTORY_REDIS_URL" not in environment

    _run(work())
