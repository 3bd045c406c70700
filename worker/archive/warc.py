"""Fetched pages on disk, in the web's own archive format: WARC 1.1, one gzip member a record.

One job: append pages and find them again. Bodies are stored decoded, the HTTP headers adjusted, so
that any WARC tool reads them; a page's ledger entry rides along as a metadata record, so that a
replay needs nothing but these files. A page that several entries lead to is stored once, with a
`revisit` record for each further one; one that came with a feed is a `resource`. Each process writes files of its own, so none is locked.
Called by steps/ingest and steps/replay. Source: iipc.github.io/warc-specifications (WARC 1.1).
"""

import contextlib
import fcntl
import io
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import accumulate
from pathlib import Path

from fastwarc import ArchiveIterator, WarcRecord, WarcRecordType

from worker.archive import records
from worker.archive.members import loss_from
from worker.errors import ArchiveError
from worker.model import Entry, Page

_LOCATION = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*\.warc\.gz):(\d{1,18})")
_UNSAFE = re.compile(r"[^A-Za-z0-9]+")
_OF_PAGES = (WarcRecordType.response, WarcRecordType.revisit)


def is_location(text: str) -> bool:
    """Say whether a text has the form of a place in the archive, `file:offset`."""
    return _LOCATION.fullmatch(text) is not None


class Archive:
    """A directory of WARC files: this process's own to write, all to read."""

    def __init__(
        self, directory: Path, *, max_bytes: int, clock: Callable[[], float] = time.time
    ) -> None:
        """Use a directory, made when first written to; files grow to ``max_bytes`` or a UTC day."""
        self._directory = directory
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._file: io.BufferedWriter | None = None
        self._day = ""
        self._owner = 0  # the process that opened the file: a fork must not go on with it
        self._opened = 0  # files so far; orders the names

    def append(self, page: Page, entry: Entry | None = None) -> str:
        """Write a page, and the entry that led to it, to the disk; return where it is.

        Raises:
            ArchiveError: the disk refuses.
        Cost: one fsync. Thread-safe. Not idempotent: a page appended twice is there twice.
        """
        return self._write(records.response_record(page), page.fetched_at, entry)

    def append_again(self, location: str, entry: Entry) -> str:
        """Write that another entry leads to a page that is here already; return where that stands.

        Raises:
            ArchiveError: the page is missing or torn, or the disk refuses.
        Cost: reads the page, and one fsync. Otherwise as append.
        """
        with _records_from(self._directory, location) as found:
            record = next(found, None)
            page = records.page_of(record, only_html=False) if record is not None else None
            if record is None or page is None:
                raise ArchiveError(f"no whole page at '{location}'")
            origin = records.origin_of(record, location)
        now = self._clock()
        return self._write(records.revisit_record(page, origin, now), now, entry)

    def append_contents(self, pages: Sequence[Page]) -> list[str]:
        """Write pages that came with a feed, whose entries refer to them later; return where each is.

        Raises:
            ArchiveError: the disk refuses.
        Cost: one fsync. Otherwise as append.
        """
        return self._put([records.packed(records.resource_record(page)) for page in pages])

    def _write(self, record: WarcRecord, at: float, entry: Entry | None) -> str:
        """Write a record and the entry that led to it; return where it is."""
        data = records.packed(record)
        if entry is not None:
            data += records.packed(records.metadata_record(entry, record, at))
        return self._put([data])[0]

    def _put(self, parts: Sequence[bytes]) -> list[str]:
        """Write parts to the disk, end to end; return where each begins."""
        data = b"".join(parts)
        with self._lock:
            try:
                file = self._current(len(data))
                offset = file.tell()
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except OSError as e:
                # What was half written is a torn record in the middle: leave the file to readers.
                self._abandon()
                raise ArchiveError(f"the archive cannot be written: {e.strerror}") from e
            name = Path(file.name).name
        starts = accumulate(map(len, parts[:-1]), initial=offset)
        return [f"{name}:{start}" for start in starts]

    def read(self, location: str) -> Page:
        """Return the page at a location, also where only a visit of it is noted.

        Raises:
            ArchiveError: the page is missing or torn.
        """
        with _records_from(self._directory, location) as found:
            record = next(found, None)
            original = records.original_of(record) if record is not None else ""
            page = records.page_of(record, only_html=False) if record is not None else None
        if original:
            page = _page_at(self._directory, original, only_html=False)
        if page is None:
            raise ArchiveError(f"no whole page at '{location}'")
        return page

    def entry(self, location: str) -> Entry | None:
        """Return the entry that was stored with the page at a location; None where there is none.

        Raises:
            ArchiveError: the page is missing or torn.
        """
        with _records_from(self._directory, location) as found:
            page_id = next((record.record_id for record in found), None)
            about = next(found, None)
            return records.entry_of(about, page_id) if about is not None else None

    def close(self) -> None:
        """Close the file being written; the next append opens another."""
        with self._lock:
            self._abandon()

    def _abandon(self) -> None:
        """Let go of the file. After a failed write, closing tries once more and fails again."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _current(self, size: int) -> io.BufferedWriter:
        """Return the file to append ``size`` bytes to, a new one when day or size ask for it."""
        now = self._clock()
        day = datetime.fromtimestamp(now, timezone.utc).strftime("%Y%m%d")
        file, is_ours = self._file, (self._owner, self._day) == (os.getpid(), day)
        if file is not None and is_ours and file.tell() + size <= self._max_bytes:
            return file
        self._abandon()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._day, self._owner, self._opened = day, os.getpid(), self._opened + 1
        host = _UNSAFE.sub("", socket.gethostname())[:32] or "host"
        writer = f"{host}.{self._owner}.{secrets.token_hex(4)}"
        path = self._directory / f"{day}-{writer}-{self._opened:04d}.warc.gz"
        file = self._file = path.open("xb")
        # Held until this process lets go of it, or dies: files.is_being_written looks for it. A file
        # system without locks has the dates in the names to go by.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(records.packed(records.warcinfo_record(path.name, now)))
        # The file's name must outlive a power cut as its content does.
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return file


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A page that is noted in one file, and whose content is not where that says."""

    url: str
    location: str


def read_pages(path: Path) -> Iterator[tuple[Page | Elsewhere, Entry | None]]:
    """Yield the HTML pages of any WARC file, each with its entry when Archive stored one.

    What refers to a page in another file is followed within the folder.

    Raises:
        ArchiveError: the file cannot be read or is torn; the pages before the tear came first.
    """
    held: tuple[str | None, Page | Elsewhere] | None = None  # its metadata record may follow
    last_at, error = 0, ""
    try:
        with path.open("rb") as file:
            for record in ArchiveIterator(file, parse_http=False):
                last_at = record.stream_pos
                entry = None
                if held is not None and record.record_type == WarcRecordType.metadata:
                    entry = records.entry_of(record, held[0])
                if held is not None and (entry or record.record_type in _OF_PAGES):
                    yield held[1], entry
                    held = None
                if record.record_type in _OF_PAGES:
                    page = _page_of(path.parent, record)
                    held = (record.record_id, page) if page is not None else None
    except (OSError, ValueError, ArchiveError) as e:
        error = str(e)
    if held is not None:
        yield held[1], None
    # fastwarc ends quietly where a member is cut, as if the file were whole.
    if error := loss_from(path, last_at) or error:
        raise ArchiveError(f"{path.name} is torn or not a WARC file: {error}")


@contextlib.contextmanager
def _records_from(directory: Path, location: str) -> Iterator[Iterator[WarcRecord]]:
    """Give the records from a location on. Raises ArchiveError when they are missing or torn."""
    match = _LOCATION.fullmatch(location)
    if not match:
        raise ArchiveError(f"'{location}' is not a place in the archive")
    try:
        with (directory / match[1]).open("rb") as file:
            file.seek(int(match[2]))
            yield iter(ArchiveIterator(file, parse_http=False, verify_digests=True))
    except (OSError, ValueError, ArchiveError) as e:
        raise ArchiveError(f"no whole page at '{location}'") from e


def _page_at(directory: Path, location: str, *, only_html: bool) -> Page | None:
    """Return the page of the record at a location; one that refers on has none of its own."""
    with _records_from(directory, location) as found:
        record = next(found, None)
        return records.page_of(record, only_html=only_html) if record is not None else None


def _page_of(directory: Path, record: WarcRecord) -> Page | Elsewhere | None:
    """Return the HTML page of a record, or of the one that it refers to in the same folder."""
    original = records.original_of(record)
    if not original:
        return records.page_of(record, only_html=True)
    try:
        return _page_at(directory, original, only_html=True)
    except ArchiveError:
        return Elsewhere(url=records.target_of(record), location=original)
