"""Decoding that can be killed: a few warm child processes with limits of CPU, memory and time.

One job: run decode/document and decode/robots on bytes from strangers so that a crash, a memory bomb
or a quadratic parse costs one child and one answer, never the daemon. Parent and child speak
length-prefixed msgpack over pipes; a child leaves when its stdin closes, so none outlives its parent.
Called by steps/poll and fetch/robots.
"""

import asyncio
import contextlib
import os
import resource
import signal
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import msgpack

from worker.decode.document import parse_document
from worker.decode.robots import judge
from worker.errors import DecodeError
from worker.limits import allow_cpu, limit_memory, no_core_file
from worker.model import FeedWishes, ParsedEntry, ParsedFeed, Ruling

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since Python 3.11

# A child that starves on a busy machine uses no CPU: it gets this much more time than CPU.
_WALL_FACTOR = 3.0
_WALL_MARGIN_S = 2.0
_START_S = 30.0  # importing feedparser and lxml takes 0.2 s on an idle machine
_EXIT_S = 1.0  # between the end of a child's pipe and that of the child
# For 512 KiB of wildcards against 8 000 characters; agents times rules take more.
_ROBOTS_CPU_S = 1.0
_REQUESTS_PER_CHILD = 1_000  # retired then, before fragments of old feeds fill its address space
# 1 000 entries of 50 000 characters would be more; a feed is at most 10 MiB, and so is its text.
_MAX_REPLY_BYTES = 64 * 1024 * 1024
_FRAME = struct.Struct(">II")  # lengths of the message and of the raw bytes after it


class Sandbox:
    """A pool of decoding children, started when first needed and replaced when they die."""

    def __init__(self, *, workers: int, cpu_s: float, memory_mb: int) -> None:
        """Set the limits of every child.

        Args:
            workers: children at most, and so documents decoded at once.
            cpu_s: CPU seconds for one feed; the kernel counts whole seconds, rounded up.
            memory_mb: MiB that a child may map beside its libraries; 512 holds a 10 MiB feed.
        """
        self._cpu_s = cpu_s
        self._memory_mb = memory_mb
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[_Child] = []
        self._dying: set[asyncio.subprocess.Process] = set()

    async def __aenter__(self) -> "Self":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def parse_feed(
        self, body: bytes, url: str, content_type: str = "", *, content_chars: int = 0
    ) -> ParsedFeed:
        """Return decode.document.parse_document of a document, made in a child.

        Raises:
            DecodeError: as parse_document, or the child died, or used up its CPU, memory or time.
        Cost: half a millisecond over the parse itself; 0.2 s more when a child must be started.
        """
        header = {
            "do": "feed", "url": url, "content_type": content_type, "content_chars": content_chars,
        }  # fmt: skip
        return _feed_of(await self._answer(header, body, self._cpu_s))

    async def judge(self, body: bytes, url: str, token: str) -> Ruling:
        """Return decode.robots.judge of a robots.txt, made in a child.

        Raises:
            DecodeError: the child died, or used up its CPU (one to two seconds), memory or time.
        Cost: as parse_feed.
        """
        header = {"do": "robots", "url": url, "token": token}
        return Ruling(**await self._answer(header, body, _ROBOTS_CPU_S))

    async def _answer(self, header: Mapping[str, Any], body: bytes, cpu_s: float) -> dict[str, Any]:
        """Return the fields of what a child makes of a document. Raises DecodeError."""
        wall_s = _WALL_FACTOR * cpu_s + _WALL_MARGIN_S
        async with self._slots:
            child = self._idle.pop() if self._idle else _Child()
            try:
                await child.start(self._memory_mb)
                ask = child.ask({**header, "cpu_s": cpu_s}, body)
                reply = await asyncio.wait_for(ask, wall_s)
                if child.requests < _REQUESTS_PER_CHILD and not reply.get("spent"):
                    self._idle.append(child)
            except asyncio.TimeoutError as e:
                raise DecodeError(f"decoding took longer than {wall_s:g} s") from e
            except (OSError, EOFError, ValueError) as e:
                raise DecodeError(f"the decoder {await child.fate()}") from e
            finally:
                # Whatever went wrong, cancellation included: the state of its pipes is unknown.
                if child not in self._idle:
                    self._bury(child)
        if "error" in reply:
            raise DecodeError(str(reply["error"]))
        return dict(reply["made"])

    def _bury(self, child: "_Child") -> None:
        """Kill a child; close() waits for it."""
        self._dying = {process for process in self._dying if process.returncode is None}
        if child.process is not None:
            with contextlib.suppress(ProcessLookupError):
                child.process.kill()
            self._dying.add(child.process)

    async def close(self) -> None:
        """Kill the idle children and wait until all are gone; those at work end on their own."""
        while self._idle:
            self._bury(self._idle.pop())
        while self._dying:
            await self._dying.pop().wait()


class _Child:
    """The parent's end of one decoding process."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self.requests = 0

    async def start(self, memory_mb: int) -> None:
        """Start the process, unless it runs, and wait until its libraries are loaded."""
        if self.process is not None:
            return
        # Only what Python needs: no secret of the parent's environment is the child's to lose.
        root = str(Path(__file__).parents[2])
        env = {"PATH": os.defpath, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker.decode.sandbox", str(memory_mb)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env=env,
        )
        await asyncio.wait_for(self._receive(), _START_S)

    async def ask(self, header: Mapping[str, object], body: bytes) -> dict[str, Any]:
        """Return the child's reply to one request. Raises OSError, EOFError or ValueError."""
        if self.process is None or self.process.stdin is None:
            raise EOFError("the decoder was never started")
        self.requests += 1
        self.process.stdin.write(_framed(header, body))
        await self.process.stdin.drain()
        return await self._receive()

    async def _receive(self) -> dict[str, Any]:
        """Return one message of the child's."""
        if self.process is None or self.process.stdout is None:
            raise EOFError("the decoder was never started")
        size, _ = _FRAME.unpack(await self.process.stdout.readexactly(_FRAME.size))
        if size > _MAX_REPLY_BYTES:
            raise ValueError(f"a reply of {size} bytes")
        reply = msgpack.unpackb(await self.process.stdout.readexactly(size))
        if not isinstance(reply, dict):
            raise ValueError("a reply that is not a map")  # noqa: TRY004 - as all bad replies
        return reply

    async def fate(self) -> str:
        """Say how the child ended, after its pipe has failed: 'died of SIGXCPU'."""
        if self.process is None:
            return "could not be started"
        try:
            # Not kill() at once: it would take the status of a dead child from asyncio's watcher.
            code = await asyncio.wait_for(self.process.wait(), _EXIT_S)
        except asyncio.TimeoutError:
            return "broke the protocol"
        return f"died of {signal.Signals(-code).name}" if code < 0 else f"left with status {code}"


def _framed(header: Mapping[str, object], body: bytes = b"") -> bytes:
    """Return a message: two lengths, a map, raw bytes. Half a character becomes a question mark."""
    packed: bytes = msgpack.packb(header, default=_fields, unicode_errors="replace")
    return _FRAME.pack(len(packed), len(body)) + packed + body


def _fields(made: Any) -> dict[str, Any]:
    """Return the fields of one of our dataclasses, which msgpack does not know."""
    return {name: getattr(made, name) for name in made.__dataclass_fields__}


def _feed_of(fields: Mapping[str, Any]) -> ParsedFeed:
    """Return a feed that crossed the pipe."""
    entries = tuple(ParsedEntry(**entry) for entry in fields["entries"])
    wishes = FeedWishes(**fields["wishes"])
    links = {name: fields[name] for name in ("hub", "topic")}
    return ParsedFeed(title=fields["title"], entries=entries, wishes=wishes, **links)


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until stdin closes: the child's whole life."""
    replies.write(_framed({"ready": True}))
    replies.flush()
    while len(head := requests.read(_FRAME.size)) == _FRAME.size:
        size, body_size = _FRAME.unpack(head)
        header, body = msgpack.unpackb(requests.read(size)), requests.read(body_size)
        allow_cpu(header["cpu_s"])
        replies.write(_framed(_answer(header, body)))
        replies.flush()


def _answer(header: Mapping[str, Any], body: bytes) -> dict[str, object]:
    """Return the reply to one request: what was made of the document, or why nothing was."""
    try:
        return {"made": _made(header, body)}
    except DecodeError as e:
        return {"error": str(e)}
    except MemoryError:
        return {"error": "decoding needed more memory than allowed", "spent": True}
    except Exception as e:  # noqa: BLE001 - the child's boundary: a fault is an answer too
        return {"error": f"decoding failed: {type(e).__name__}", "spent": True}


def _made(header: Mapping[str, Any], body: bytes) -> ParsedFeed | Ruling:
    if header["do"] == "robots":
        return judge(body, url=header["url"], token=header["token"])
    return parse_document(
        body,
        url=header["url"],
        content_type=header["content_type"],
        content_chars=header["content_chars"],
    )


def _main(memory_mb: int) -> None:
    """Set the limits that hold for the child's life, and serve."""
    limit_memory(memory_mb)
    no_core_file()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # decoding writes no file
    # A terminal's Ctrl-C goes to the whole group; the parent decides when we leave.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a stray print must not break the protocol
    _serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
