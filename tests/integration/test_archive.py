import base64
import gzip
import hashlib
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from warcio.archiveiterator import (  # type: ignore[import-untyped]
    ArchiveIterator as WarcioIterator,
)

from worker.archive.warc import Archive, Elsewhere, read_pages
from worker.errors import ArchiveError
from worker.model import ArticleId, Entry, EntryId, FeedId, Page

NOW = 1_800_000_000.25
HTML = "<html><body><p>\u00c7avu\u015fo\u011flu</p></body></html>".encode()
PAGE = Page(
    url="https://news.example.com/a?x=1",
    final_url="https://news.example.com/a",
    status=200,
    headers={"content-type": "text/html; charset=utf-8", "x-many": "1, 2"},
    body=HTML,
    fetched_at=NOW,
)
ENTRY = Entry(
    entry_id=EntryId("e" * 16),
    feed_id=FeedId("f" * 12),
    article_id=ArticleId("a" * 16),
    ref="tag:example.com,2018:\u00fc\n1",
    url="https://news.example.com/a",
    title="T\u00fcrkiye",
    summary="One\ntwo",
    source="example.com",
    published_at=None,
    seen_at=NOW,
)
FOREIGN_HTTP = (
    b"HTTP/1.1 200 OK\r\nContent-Type: Text/HTML\r\nContent-Encoding: gzip\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Return an archive in the test's directory, closed at its end."""
    opened = Archive(tmp_path, max_bytes=1_000_000, clock=lambda: NOW)
    yield opened
    opened.close()


def _pages(path: Path) -> tuple[list[tuple[Page | Elsewhere, Entry | None]], str]:
    """Return what can be read of a file, and the error that ended it."""
    pages = []
    try:
        for pair in read_pages(path):
            pages.append(pair)  # noqa: PERF402 - what came before the error counts
    except ArchiveError as e:
        return pages, str(e)
    return pages, ""


def _foreign(kind: str, block: bytes, *fields: str) -> bytes:
    """Return a record as another crawler writes it, uncompressed."""
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        "WARC-Date: 2018-12-30T06:15:00Z",
        f"Content-Length: {len(block)}",
        *fields,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def test_append_when_read_back_then_is_the_same_page(tmp_path: Path, archive: Archive) -> None:
    """Pages and entries come back as they went in, by location and by file."""
    with_entry = archive.append(PAGE, ENTRY)
    direct = replace(PAGE, url=PAGE.final_url, headers={"content-type": "text/html"})
    without = archive.append(direct)
    archive.close()
    assert archive.read(with_entry) == PAGE
    assert archive.read(without) == direct
    (path,) = tmp_path.iterdir()
    assert list(read_pages(path)) == [(PAGE, ENTRY), (direct, None)]


def test_append_when_compressed_on_the_wire_then_stores_the_decoded_body(archive: Archive) -> None:
    """Headers that describe the wire are dropped, for the stored body is decoded."""
    wire = {"content-encoding": "gzip", "transfer-encoding": "chunked", "content-length": "7"}
    location = archive.append(replace(PAGE, headers={**PAGE.headers, **wire}))
    assert archive.read(location) == PAGE


def test_append_when_read_by_warcio_then_is_a_sound_warc_file(
    tmp_path: Path, archive: Archive
) -> None:
    """An independent reader finds warcinfo, response and metadata with right digests and links."""
    archive.append(PAGE, ENTRY)
    (path,) = tmp_path.iterdir()
    with path.open("rb") as file:
        found = []
        for record in WarcioIterator(file, check_digests="raise"):
            body = record.content_stream().read()
            found.append((record.rec_type, record.rec_headers, record.http_headers, body))
    assert [kind for kind, *_ in found] == ["warcinfo", "response", "metadata"]
    _, headers, http, body = found[1]
    assert headers.get_header("WARC-Target-URI") == PAGE.final_url
    assert headers.protocol == "WARC/1.1"
    assert (http.get_statuscode(), http.get_header("content-length")) == ("200", str(len(HTML)))
    assert body == HTML
    about = found[2][1].get_header("WARC-Concurrent-To")
    assert about == headers.get_header("WARC-Record-ID")


def test_append_when_the_file_is_full_or_old_then_starts_another(tmp_path: Path) -> None:
    """Files are rotated by size and by UTC day, and every page stays findable."""
    now = NOW
    with closing(Archive(tmp_path, max_bytes=1_500, clock=lambda: now)) as archive:
        locations = [archive.append(PAGE) for _ in range(6)]
        files = {location.partition(":")[0] for location in locations}
        assert len(files) > 1
        assert all((tmp_path / name).stat().st_size <= 1_500 for name in files)
        now += 86_400.0
        tomorrow = archive.append(PAGE)
        assert tomorrow.startswith("20270116-")
        assert all(archive.read(location) == PAGE for location in [*locations, tomorrow])


def test_append_when_two_writers_share_a_directory_then_use_files_of_their_own(
    tmp_path: Path, archive: Archive
) -> None:
    """Each archive object writes its own file and reads everybody's."""
    with closing(Archive(tmp_path, max_bytes=1_000_000, clock=lambda: NOW)) as other:
        places = [archive.append(PAGE), other.append(PAGE)]
        assert len({place.partition(":")[0] for place in places}) == 2
        assert other.read(places[0]) == archive.read(places[1]) == PAGE


def test_append_when_threads_write_at_once_then_no_record_is_torn(archive: Archive) -> None:
    """Concurrent appends land whole, each at its own location."""
    places: list[tuple[str, Page]] = []

    def write(n: int) -> None:
        page = replace(PAGE, final_url=f"https://news.example.com/{n}")
        places.append((archive.append(page, ENTRY), page))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({place for place, _ in places}) == 16
    assert all(archive.read(place) == page for place, page in places)


def test_append_when_headers_hold_line_ends_then_injects_nothing(archive: Archive) -> None:
    """Control characters in values cannot add headers to a record."""
    evil = replace(PAGE, final_url="https://x.example/\r\nWARC-Type: x", headers={"a": "b\r\nc: d"})
    page = archive.read(archive.append(evil))
    assert page.final_url == "https://x.example/  WARC-Type: x"
    assert page.headers == {"a": "b  c: d"}


def test_append_when_the_disk_refuses_then_raises_archive_error(tmp_path: Path) -> None:
    """A directory that cannot be made is an ArchiveError."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArchiveError, match="cannot be written"):
        Archive(tmp_path / "file", max_bytes=1_000).append(PAGE)


def test_append_when_a_write_fails_then_goes_on_in_another_file(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error of the disk the old file is left as it is, and nothing before it is lost."""
    first = archive.append(PAGE)
    with monkeypatch.context() as patch:

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr("os.fsync", full)
        with pytest.raises(ArchiveError, match="No space left"):
            archive.append(PAGE)
    second = archive.append(PAGE)
    assert first.partition(":")[0] != second.partition(":")[0]
    assert archive.read(first) == archive.read(second) == PAGE


def test_append_when_forked_then_the_child_opens_a_file_of_its_own(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that was open when its process forked is not written to by both."""
    first = archive.append(PAGE)
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert archive.append(PAGE).partition(":")[0] != first.partition(":")[0]


@pytest.mark.parametrize(
    "location",
    [
        "",
        "nonsense",
        "../secrets.warc.gz:0",
        "/etc/passwd:0",
        "missing.warc.gz:0",
        "missing.warc.gz:-1",
        ".hidden.warc.gz:0",
    ],
)
def test_read_when_the_place_is_wrong_then_raises(archive: Archive, location: str) -> None:
    """Locations that lead nowhere, or out of the directory, are ArchiveErrors."""
    with pytest.raises(ArchiveError):
        archive.read(location)


def test_read_when_the_offset_is_wrong_then_raises(archive: Archive) -> None:
    """An offset inside a record, past the end, or of another kind of record holds no page."""
    name, _, offset = archive.append(PAGE).partition(":")
    for wrong in (0, int(offset) + 1, int(offset) + 10, 10**9):
        with pytest.raises(ArchiveError):
            archive.read(f"{name}:{wrong}")


def test_read_when_a_bit_has_flipped_then_raises(tmp_path: Path, archive: Archive) -> None:
    """Damage inside a record is noticed, not returned."""
    location = archive.append(PAGE)
    name, _, offset = location.partition(":")
    data = bytearray((tmp_path / name).read_bytes())
    for at in range(int(offset) + 12, len(data), 37):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(ArchiveError):
            archive.read(location)


def test_read_pages_when_cut_anywhere_then_yields_what_is_whole_and_tells(
    tmp_path: Path, archive: Archive
) -> None:
    """A torn tail costs the torn record alone, and never passes as the end of the file."""
    ends = []
    for _ in range(2):
        archive.append(PAGE, ENTRY)
        ends.append(next(iter(tmp_path.iterdir())).stat().st_size)
    archive.close()
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    torn = tmp_path / "torn.warc.gz"
    for cut in range(ends[0] + 1, ends[1]):
        torn.write_bytes(data[:cut])
        pages, error = _pages(torn)
        assert pages[0] == (PAGE, ENTRY)
        assert [page for page, _ in pages[1:]] in ([], [PAGE])
        # A page without its metadata record is whole to any reader: the cut at that very byte.
        assert error or pages[1:] == [(PAGE, None)]
    torn.write_bytes(data[: ends[0]])
    assert _pages(torn) == ([(PAGE, ENTRY)], "")


@pytest.mark.parametrize("data", [b"garbage" * 100, b"\x1f\x8b garbage", b"<html></html>"])
def test_read_pages_when_not_a_warc_file_then_tells(tmp_path: Path, data: bytes) -> None:
    """Files of another kind are ArchiveErrors without pages."""
    path = tmp_path / "x.warc.gz"
    path.write_bytes(data)
    pages, error = _pages(path)
    assert pages == []
    assert error


def test_read_pages_when_missing_then_raises(tmp_path: Path) -> None:
    """A file that is not there is an ArchiveError."""
    with pytest.raises(ArchiveError):
        list(read_pages(tmp_path / "none.warc.gz"))


@pytest.mark.parametrize("suffix", [".warc", ".warc.gz"])
def test_read_pages_when_written_by_another_crawler_then_reads_its_html(
    tmp_path: Path, suffix: str
) -> None:
    """Foreign files give their HTML answers decoded; images, errors and requests are passed over."""
    packed = gzip.compress(HTML, mtime=0)
    html = FOREIGN_HTTP % (len(packed), packed)
    image = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\nPNG"
    broken = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\nno"
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\nno"
    http = ("Content-Type: application/http; msgtype=response", "WARC-Target-URI: <http://x/a>")
    records = [
        _foreign("warcinfo", b"software: other\r\n", "Content-Type: application/warc-fields"),
        _foreign("request", b"GET / HTTP/1.1\r\n\r\n", "Content-Type: application/http"),
        _foreign("response", html, *http, "WARC-Record-ID: <urn:uuid:1>"),
        _foreign("metadata", b"a: 1\r\n", "WARC-Concurrent-To: <urn:uuid:1>"),
        _foreign(
            "metadata", b"[]", "WARC-Concurrent-To: <urn:uuid:1>", "Content-Type: application/json"
        ),
        _foreign("response", image, *http, "WARC-Record-ID: <urn:uuid:2>"),
        _foreign("response", missing, *http, "WARC-Record-ID: <urn:uuid:3>"),
        _foreign("response", broken, *http, "WARC-Record-ID: <urn:uuid:4>"),
        _foreign("response", b"no HTTP at all", *http, "WARC-Record-ID: <urn:uuid:5>"),
        _foreign("response", html, *http).replace(b"WARC-Date", b"X-Date"),
    ]
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"".join(gzip.compress(r) if suffix == ".warc.gz" else r for r in records))
    ((page, entry),) = read_pages(path)
    assert (page.url, page.status, page.body, entry) == ("http://x/a", 200, HTML, None)
    assert page.headers == {"content-type": "Text/HTML"}
    assert page.fetched_at == 1546150500.0


OTHER = replace(ENTRY, entry_id=EntryId("d" * 16), ref="two")


def test_append_again_when_read_back_then_the_page_is_stored_once_with_both_entries(
    tmp_path: Path, archive: Archive
) -> None:
    """A second entry of a page has a place of its own, which leads to the same page."""
    first = archive.append(PAGE, ENTRY)
    again = archive.append_again(first, OTHER)
    archive.close()
    assert again != first
    assert archive.read(again) == PAGE
    assert (archive.entry(first), archive.entry(again)) == (ENTRY, OTHER)
    (path,) = tmp_path.iterdir()
    assert list(read_pages(path)) == [(PAGE, ENTRY), (PAGE, OTHER)]
    with path.open("rb") as file:
        bodies = [record.content_stream().read() for record in WarcioIterator(file)]
    assert bodies.count(HTML) == 1


def test_append_again_when_read_by_warcio_then_is_a_revisit_as_the_standard_has_it(
    tmp_path: Path, archive: Archive
) -> None:
    """Nothing was asked, so it is the profile of equal payloads; it names the record it is about."""
    first = archive.append(PAGE, ENTRY)
    archive.append_again(first, OTHER)
    (path,) = tmp_path.iterdir()
    with path.open("rb") as file:
        found = [r.rec_headers for r in WarcioIterator(file, check_digests="raise")]
    _, response, _, revisit, about = found
    assert revisit.get_header("WARC-Type") == "revisit"
    assert revisit.get_header("WARC-Profile").endswith("/warc/1.1/revisit/identical-payload-digest")
    digest = base64.b32encode(hashlib.sha1(HTML, usedforsecurity=False).digest()).decode()
    assert revisit.get_header("WARC-Payload-Digest") == f"sha1:{digest}"
    assert revisit.get_header("Content-Length") == "0"
    for name, of in (
        ("WARC-Refers-To", "WARC-Record-ID"),
        ("WARC-Refers-To-Date", "WARC-Date"),
        ("WARC-Refers-To-Target-URI", "WARC-Target-URI"),
    ):
        assert revisit.get_header(name) == response.get_header(of)
    assert about.get_header("WARC-Concurrent-To") == revisit.get_header("WARC-Record-ID")


def test_append_again_when_the_page_is_in_another_file_then_is_read_from_there(
    tmp_path: Path, archive: Archive
) -> None:
    """Two pollers write files of their own; where one is missing, that is told, and what is whole is read."""
    first = archive.append(PAGE, ENTRY)
    with closing(Archive(tmp_path, max_bytes=1_000_000, clock=lambda: NOW)) as other:
        again = other.append_again(first, OTHER)
        direct = other.append(PAGE)
        assert other.read(again) == PAGE
    path = tmp_path / again.partition(":")[0]
    assert list(read_pages(path)) == [(PAGE, OTHER), (PAGE, None)]
    (tmp_path / first.partition(":")[0]).unlink()
    with pytest.raises(ArchiveError, match="no whole page"):
        archive.read(again)
    lost = Elsewhere(url=PAGE.final_url, location=first)
    assert list(read_pages(path)) == [(lost, OTHER), (PAGE, None)]
    assert archive.read(direct) == PAGE


def test_append_contents_when_referred_to_then_is_the_page_of_the_entry(
    tmp_path: Path, archive: Archive
) -> None:
    """What came with a feed is a resource without an entry of its own; what refers to it has one."""
    headers = {"content-type": "text/html; charset=utf-8"}
    pages = [
        replace(PAGE, url=url, final_url=url, headers=headers, body=HTML + url.encode())
        for url in ("https://news.example.com/a", "https://news.example.com/b")
    ]
    places = archive.append_contents(pages)
    assert [archive.read(place) for place in places] == pages
    again = archive.append_again(places[1], ENTRY)
    archive.close()
    assert archive.read(again) == pages[1]
    (path,) = tmp_path.iterdir()
    assert list(read_pages(path)) == [(pages[1], ENTRY)]
    with path.open("rb") as file:
        kinds = [record.rec_type for record in WarcioIterator(file, check_digests="raise")]
    assert kinds == ["warcinfo", "resource", "resource", "revisit", "metadata"]


def test_append_again_when_the_place_holds_no_page_then_raises(archive: Archive) -> None:
    """What is gone, or only refers to a page, is not referred to."""
    again = archive.append_again(archive.append(PAGE, ENTRY), OTHER)
    for place in (again, "gone.warc.gz:0"):
        with pytest.raises(ArchiveError):
            archive.append_again(place, OTHER)


def test_read_pages_when_a_revisit_leads_astray_then_follows_nothing(tmp_path: Path) -> None:
    """A foreign file may refer to itself or out of its folder, or not say where: no page, no loop."""
    html = ("Content-Type: application/http; msgtype=response", "WARC-Target-URI: <http://x/a>")
    path = tmp_path / "x.warc.gz"
    refers = ("WARC-Refers-To-Filename: {}", "WARC-Refers-To-File-Offset: 0")
    records = [
        _foreign("revisit", b"", *html),
        _foreign("revisit", b"", *html, refers[0].format("x.warc.gz"), refers[1]),
        _foreign("revisit", b"", *html, refers[0].format("../x.warc.gz"), refers[1]),
    ]
    path.write_bytes(b"".join(gzip.compress(record) for record in records))
    lost = Elsewhere(url="http://x/a", location="../x.warc.gz:0")
    assert list(read_pages(path)) == [(lost, None)]
