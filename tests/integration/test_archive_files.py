"""What is in archive files, and what is lost of them, byte by byte."""

import gzip
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from worker.archive.files import contents_of, is_being_written, places_of
from worker.archive.members import Damage, Member, parts
from worker.archive.warc import Archive
from worker.errors import ArchiveError
from worker.model import EntryId, Page
from worker.steps.records import BadRecord, Record, read_source
from worker.testing import an_entry

NOW = 1_800_000_000.25
PAGE = Page(
    url="https://news.example.com/a",
    final_url="https://news.example.com/a",
    status=200,
    headers={"content-type": "text/html"},
    body=b"<p>News</p>",
    fetched_at=NOW,
)
FEED = replace(PAGE, headers={"content-type": "application/rss+xml"}, body=b"<rss/>")
ENTRY, OTHER = an_entry("one"), an_entry("two")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Return an archive in the test's directory, closed at its end."""
    opened = Archive(tmp_path / "archive", max_bytes=1_000_000, clock=lambda: NOW)
    yield opened
    opened.close()


def _written(archive: Archive, *last: str) -> Path:
    """Write a page with its entry, then what is asked for; return the closed file."""
    place = archive.append(PAGE, ENTRY)
    for kind in last:
        if kind == "feed":
            archive.append(FEED)
        elif kind == "page":
            archive.append(PAGE, OTHER)
        elif kind == "shared":
            archive.append_again(place, OTHER)
        else:
            archive.append_contents([PAGE])
    archive.close()
    return _file(archive)


def _file(archive: Archive) -> Path:
    (path,) = archive._directory.iterdir()
    return path


def _names(path: Path) -> tuple[list[str | int], list[str]]:
    """Return what a replay reads of a file: the names of its records, and what it cannot read."""
    found = list(read_source(str(path), now=NOW))
    names = [item.name for item in found if isinstance(item, Record)]
    return names, [item.reason for item in found if isinstance(item, BadRecord)]


@pytest.mark.parametrize("last", ["feed", "page", "shared", "contents"])
def test_file_when_torn_at_any_byte_of_its_last_record_then_the_rest_replays_and_the_loss_is_named(
    archive: Archive, tmp_path: Path, last: str
) -> None:
    """A replay and `archive verify` have all that came before, and say from which byte on what is gone."""
    path = _written(archive, last)
    data, found = path.read_bytes(), list(parts(path))
    begin = found[-1].offset
    complete, _ = _names(path)
    torn = tmp_path / path.name  # what it refers to is in itself
    torn.write_bytes(data[:begin])
    before, faults = _names(torn)
    assert (before[0], faults) == (ENTRY.ref, [])
    assert contents_of(torn).damages == ()
    for cut in range(begin + 1, len(data)):
        torn.write_bytes(data[:cut])
        names, faults = _names(torn)
        # The last bytes are its checksum and empty lines: all of the record is there, unproven.
        assert names == before or (names == complete and cut >= len(data) - 16), cut
        (fault,) = faults
        assert f"byte {begin}: " in fault
        assert f"({cut - begin} bytes lost)" in fault
        contents = contents_of(torn)
        (damage,) = contents.damages
        assert (damage.offset, damage.size) == (begin, cut - begin)
        assert contents.records == len(found) - 1
    torn.write_bytes(data)
    assert contents_of(torn).damages == ()
    assert "https://" in damage.what  # by the last bytes its head had come out


def test_contents_when_a_record_in_the_middle_is_damaged_then_all_others_count(
    archive: Archive, tmp_path: Path
) -> None:
    """Wherever a bit flips, that record alone is lost: the next one is found by itself."""
    path = _written(archive, "feed", "page")
    data, whole = path.read_bytes(), list(parts(path))
    hurt = whole[3]  # the feed
    damaged = tmp_path / "damaged.warc.gz"
    noticed = 0
    for at in range(hurt.offset, hurt.offset + hurt.size):
        damaged.write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        contents = contents_of(damaged)
        assert contents.records + len(contents.damages) == len(whole), at
        for damage in contents.damages:
            assert (damage.offset, damage.size) == (hurt.offset, hurt.size)
        noticed += len(contents.damages)
    assert noticed >= hurt.size - 10  # the fields of RFC 1952 that say nothing of the content


def test_contents_when_a_record_was_changed_and_packed_again_then_its_digest_tells(
    archive: Archive,
) -> None:
    """A sound gzip member is no proof: the block must have the digest that its head names."""
    path = _written(archive, "feed")
    data, last = path.read_bytes(), list(parts(path))[-1]
    block = gzip.decompress(data[last.offset :]).replace(b"<rss/>", b"<RSS/>")
    path.write_bytes(data[: last.offset] + gzip.compress(block))
    (damage,) = contents_of(path).damages
    assert "is not what its digest says" in damage.what
    assert "https://news.example.com" in damage.what


@pytest.mark.parametrize("junk", [b"\x1f\x8b\x08", b"\0" * 5_000, gzip.compress(b"no record")])
def test_parts_when_something_else_lies_between_then_the_sizes_add_up(
    archive: Archive, junk: bytes
) -> None:
    """Nothing of a file is passed over in silence."""
    path = _written(archive, "feed")
    data, whole = path.read_bytes(), list(parts(path))
    middle = whole[3].offset
    path.write_bytes(data[:middle] + junk + data[middle:])
    found = list(parts(path))
    assert [part.offset for part in found if isinstance(part, Damage)] == [middle]
    assert sum(part.size for part in found) == len(data) + len(junk)
    assert len([part for part in found if isinstance(part, Member)]) == len(whole)


def test_contents_when_whole_then_each_kind_is_counted(archive: Archive) -> None:
    """Pages are what entries led to; feeds are the other answers."""
    found = contents_of(_written(archive, "feed", "shared", "contents", "page"))
    counts = (found.pages, found.feeds, found.revisits, found.contents, found.entries)
    assert (counts, found.records) == ((2, 1, 1, 1, 3), 9)
    assert (found.first_at, found.last_at, found.is_open) == (NOW, NOW, False)


def test_contents_when_the_file_is_being_written_then_half_a_record_at_its_end_is_no_loss(
    archive: Archive,
) -> None:
    """The writer is in the middle of it; when it has let go of the file, the same bytes are a loss."""
    archive.append(PAGE, ENTRY)
    path = _file(archive)
    with path.open("ab") as more:
        more.write(b"\x1f\x8b\x08 half")
    assert (contents_of(path).is_open, contents_of(path).damages) == (True, ())
    archive.close()
    found = contents_of(path)
    assert (found.is_open, len(found.damages)) == (False, 1)


def test_contents_when_the_file_is_gone_then_raises(tmp_path: Path) -> None:
    """A file that cannot be read is named."""
    with pytest.raises(ArchiveError, match=r"none\.warc\.gz cannot be read"):
        contents_of(tmp_path / "none.warc.gz")


def test_file_when_its_writer_forked_then_the_child_does_not_let_go_of_it(
    archive: Archive,
) -> None:
    """A child of the poller that ends leaves the mark that its parent is writing."""
    archive.append(PAGE)
    child = os.fork()
    if not child:
        archive.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert is_being_written(_file(archive))


def test_places_when_an_address_is_there_often_then_the_newest_comes_first(
    archive: Archive, tmp_path: Path
) -> None:
    """It is found as it was asked for, as it answered, and as entries have it."""
    moved = replace(PAGE, final_url="https://news.example.com/b")
    places = [archive.append(PAGE, ENTRY), archive.append(moved)]
    places.append(archive.append_again(places[0], replace(OTHER, entry_id=EntryId("x"))))
    folder = tmp_path / "archive"
    assert list(places_of(folder, PAGE.url)) == places[::-1]
    assert list(places_of(folder, PAGE.url + "?utm_source=mail")) == places[::-1]
    assert list(places_of(folder, moved.final_url)) == places[1:2]
    assert list(places_of(folder, "https://news.example.com/none")) == []
