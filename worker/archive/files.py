"""The files of an archive as a whole: what is in one and what is broken, where an address lies, who writes.

One job: read-only looks at files and folders, for people and for retention; none of them may disturb
a poller that writes. Called by the command `archive` and steps/retention.
"""

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastwarc import WarcRecordType

from worker.archive import records
from worker.archive.members import Damage, Member, parts
from worker.core.entries import canonical_url
from worker.errors import ArchiveError

ENDING = ".warc.gz"
_OF_CONTENT = (WarcRecordType.response, WarcRecordType.resource, WarcRecordType.revisit)


@dataclass(slots=True, kw_only=True)
class Contents:
    """What is in a file: whole records, counted, and what is lost between or behind them."""

    name: str
    size: int  # bytes
    is_open: bool  # somebody writes to it
    first_at: float = 0.0  # Unix seconds of the first and the last record; 0 for none
    last_at: float = 0.0
    records: int = 0
    pages: int = 0  # responses that an entry led to
    feeds: int = 0  # all other responses
    contents: int = 0  # texts that came with feeds
    revisits: int = 0  # that an entry led to a page that was there already
    entries: int = 0
    damages: tuple[Damage, ...] = ()


def files_in(directory: Path) -> list[Path]:
    """Return the archive files of a folder, by name and so by day; none where there is no folder."""
    return sorted(path for path in directory.glob(f"*{ENDING}") if path.is_file())


def contents_of(path: Path) -> Contents:
    """Return what is in a file, each record checked by its gzip member, length and digest.

    The end of a file that is being written may be half a record, which is no loss.

    Raises:
        ArchiveError: the file cannot be read.
    Cost: inflates all of it: 2.6 s of processor time for 100 MB of pages (500 of 172 KB took .49 s).
    """
    try:
        found = Contents(name=path.name, size=path.stat().st_size, is_open=is_being_written(path))
        response_id: str | None = None
        for part in parts(path):
            if isinstance(part, Damage):
                if not (found.is_open and part.offset + part.size >= found.size):
                    found.damages += (part,)
                continue
            response_id = _count(found, part, response_id)
    except OSError as e:
        raise ArchiveError(f"{path} cannot be read: {e.strerror}") from e
    return found


def _count(found: Contents, member: Member, response_id: str | None) -> str | None:
    """Count a record; return the id of the response that a next one may belong to."""
    record = member.record
    found.records += 1
    if at := record.record_date:
        found.first_at = found.first_at or at.timestamp()
        found.last_at = max(found.last_at, at.timestamp())
    match record.record_type:
        case WarcRecordType.response:
            found.feeds += 1  # until an entry tells that it is a page
            return record.record_id
        case WarcRecordType.resource:
            found.contents += 1
        case WarcRecordType.revisit:
            found.revisits += 1
        case WarcRecordType.metadata:
            found.entries += 1
            if response_id and record.headers.get("WARC-Concurrent-To") == response_id:
                found.pages, found.feeds = found.pages + 1, found.feeds - 1
        case _:
            pass
    return None


def is_being_written(path: Path) -> bool:
    """Say whether a process, of any container on this machine, has a file open to write to it.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
        return False


def referred_from(path: Path) -> frozenset[str]:
    """Return the names of the files that the `revisit` records of a file refer to.

    Raises:
        OSError: the file cannot be read.
    Cost: as contents_of.
    """
    members = (part for part in parts(path) if isinstance(part, Member))
    places = (records.original_of(member.record) for member in members)
    return frozenset(place.rpartition(":")[0] for place in places if place)


def places_of(directory: Path, url: str) -> Iterator[str]:
    """Yield the places in the archive that hold an address, in the newest files first.

    Raises:
        OSError: a file cannot be read.
    Cost: inflates the archive as far as it is read.
    """
    canonical = canonical_url(url)
    for path in reversed(files_in(directory)):
        found = [
            f"{path.name}:{part.offset}"
            for part in parts(path)
            if isinstance(part, Member)
            and part.record.record_type in _OF_CONTENT
            and _is_of(part, url, canonical)
        ]
        yield from reversed(found)


def _is_of(member: Member, url: str, canonical: str) -> bool:
    """Say whether a record is about an address, as it was asked for or as it answered."""
    addresses = records.addresses_of(member.record)
    return url in addresses or bool(canonical and canonical in map(canonical_url, addresses))
