"""An archive file as what it is on the disk: gzip members, one a record, some of them damaged.

One job: go through a file to its end, whatever lies in between, and say of each stretch of bytes which
record it is or what is wrong there. Called by warc.py and files.py. Source: RFC 1952; WARC 1.1 annex D.
"""

import io
import mmap
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastwarc import ArchiveIterator, WarcRecord

from worker.archive import records
from worker.core.redaction import public_part
from worker.errors import ArchiveError

_MAGIC = b"\x1f\x8b\x08"
_WARC = b"WARC/"
_READ_BYTES = 64 * 1024  # most members are smaller, and what is behind one is read in vain
_BEGIN_BYTES = 4_096  # of a member, to tell that it is one; of a record, to name it
# Twice the longest body that is read of any file: what is longer is none of ours, and no replay takes it.
_MOST_BYTES = 2 * records.MAX_BODY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A record that is whole: complete, and of the digest that it names, if it names one."""

    offset: int
    size: int  # bytes on the disk
    record: WarcRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Bytes that are no whole record, up to the next one that is, or to the end."""

    offset: int
    size: int
    what: str

    def __str__(self) -> str:
        return f"byte {self.offset}: {self.what} ({self.size} bytes lost)"


def parts(path: Path, start: int = 0) -> Iterator[Member | Damage]:
    """Yield what a file consists of, from the member at ``start`` on; the sizes add up to all of it.

    Raises:
        OSError: the file cannot be read.
    Cost: inflates everything; holds one record at a time.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= start:  # and what is empty cannot be mapped
            return
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as data:
            while start < size:
                part = _part(data, start)
                yield part
                start += part.size


def loss_from(path: Path, start: int) -> str:
    """Return the first loss of a file from the member at ``start`` on, in words.

    Returns: empty when all is whole, or nothing can be said: not compressed, or not to be opened.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            if not file.read(len(_MAGIC)).startswith(_MAGIC[:2]):
                return ""
        return next((str(part) for part in parts(path, start) if isinstance(part, Damage)), "")
    except OSError:
        return ""


def _part(data: mmap.mmap, at: int) -> Member | Damage:
    """Return what begins at a place: a whole record, or damage to where the next one may begin."""
    block, size, fault = _inflated(data, at)
    if not fault:
        found = _record(block)
        if isinstance(found, WarcRecord):
            return Member(offset=at, size=size, record=found)
        fault = found
    return Damage(
        offset=at, size=size or _next_start(data, at + 1) - at, what=f"{_named(block)} {fault}"
    )


def _inflated(data: mmap.mmap, at: int) -> tuple[bytes, int, str]:
    """Return the content of the member at a place, its size on the disk, and what is wrong with it.

    Returns: of one that is not whole, what came out of it, and 0 for the size.
    """
    stream, content, end = zlib.decompressobj(wbits=31), bytearray(), at
    while not stream.eof:
        piece = stream.unconsumed_tail
        if not piece:
            piece = data[end : end + _READ_BYTES]
            end += len(piece)
        if not piece:
            return bytes(content), 0, "is cut off"
        try:
            content += stream.decompress(piece, _MOST_BYTES + 1 - len(content))
        except zlib.error as e:
            return bytes(content), 0, f"cannot be read ({e})"
        if len(content) > _MOST_BYTES:
            return bytes(content), 0, f"is longer than {_MOST_BYTES} bytes"
    return bytes(content), end - len(stream.unused_data) - at, ""


def _record(block: bytes) -> WarcRecord | str:
    """Return the record that a member holds, or what is wrong with it."""
    try:
        record = next(iter(ArchiveIterator(io.BytesIO(block), parse_http=False)), None)
        if record is None:
            return "is no WARC record"
        records.whole(record)
        if record.headers.get("WARC-Block-Digest") and not record.verify_block_digest():
            return "is not what its digest says"
    except (OSError, ValueError, ArchiveError) as e:
        return f"is no whole record ({e})"
    return record


def _named(block: bytes) -> str:
    """Return what the first bytes of a record tell of it: its type and address, if they came out."""
    begin = block[:_BEGIN_BYTES] if block.startswith(_WARC) else b""
    head, end, _ = begin.partition(b"\r\n\r\n")
    if not end:
        head = head.rpartition(b"\r\n")[0]  # half an address would be another one
    fields: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    kind, target = fields.get("warc-type", ""), fields.get("warc-target-uri", "").strip("<>")
    named = f"a {kind} record" if kind else "a record"
    return f"{named} of {public_part(target)}" if target else named


def _next_start(data: mmap.mmap, at: int) -> int:
    """Return where, from a place on, a member begins that holds a record; else the end."""
    while (at := data.find(_MAGIC, at)) >= 0:
        try:
            begin = data[at : at + _BEGIN_BYTES]
            if zlib.decompressobj(wbits=31).decompress(begin, len(_WARC)) == _WARC:
                return at
        except zlib.error:
            pass
        at += 1
    return len(data)
