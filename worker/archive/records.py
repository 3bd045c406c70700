"""Pages and entries as WARC 1.1 records, and back.

One job: the layout of single records, ours and other people's; files are warc.py's, its only caller.
Source: iipc.github.io/warc-specifications (WARC 1.1).
"""

import base64
import io
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from hashlib import sha1
from http import HTTPStatus

from fastwarc import GzipWriter, WarcRecord, WarcRecordType

from worker.errors import ArchiveError
from worker.model import Entry, Page

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
# Headers that speak of the body as it was sent; it is stored decoded.
_OF_THE_WIRE = frozenset({"content-encoding", "transfer-encoding", "content-length"})
# An extension field (WARC 1.1 section 5.1 allows them): the address before its redirects.
_ASKED = "X-Requested-URI"
# Which kind of `revisit`: nothing was asked, so no server said "not modified"; what we have is by
# definition the same (WARC 1.1 section 6.7.2).
_SAME_PAYLOAD = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
# Where the record lies that a `revisit` refers to: extension fields, under names that others use too.
_FILE, _OFFSET = "WARC-Refers-To-Filename", "WARC-Refers-To-File-Offset"
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_ENTRY_TYPE = "application/json"
_ENTRY_SCHEMA = 1  # raised when Entry changes in a way that old files do not fit
# The default, 9, takes 8.8 ms for a page of 174 KB and leaves 34.1 KB; 4 takes 3.4 ms for 36.0 KB.
_GZIP_LEVEL = 4
MAX_BODY_BYTES = 16 * 1024 * 1024  # three times what the fetcher lets through; others' may be huge


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A record that others refer to."""

    location: str
    record_id: str
    date: str  # its WARC-Date, as it stands there


def packed(record: WarcRecord) -> bytes:
    """Return a record as one gzip member, with a digest of its block."""
    buffer = io.BytesIO()
    with GzipWriter(buffer, compression_level=_GZIP_LEVEL) as writer:
        record.write(writer, checksum_data=True)
        writer.finish()
        return buffer.getvalue()


def _record(kind: WarcRecordType, at: float, fields: Mapping[str, str], block: bytes) -> WarcRecord:
    """Return a record; the named fields must hold no line ends, and are cleaned of them."""
    record = WarcRecord()
    record.init_headers(kind, content_length=len(block))
    record.headers.status_line = "WARC/1.1"
    stamp = datetime.fromtimestamp(at, timezone.utc)
    record.headers["WARC-Date"] = stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for name, value in fields.items():
        record.headers[name] = _CONTROLS.sub(" ", value)
    record.set_bytes_content(block)
    return record


def warcinfo_record(name: str, at: float) -> WarcRecord:
    """Return the record that opens a file and says who made it."""
    block = b"software: samestory\r\nformat: WARC File Format 1.1\r\n"
    fields = {"WARC-Filename": name, "Content-Type": "application/warc-fields"}
    return _record(WarcRecordType.warcinfo, at, fields, block)


def response_record(page: Page) -> WarcRecord:
    """Return a page as the HTTP response that it would have been without compression."""
    try:
        phrase = HTTPStatus(page.status).phrase
    except ValueError:
        phrase = "Unknown"
    kept = {name: value for name, value in page.headers.items() if name not in _OF_THE_WIRE}
    lines = [f"HTTP/1.1 {page.status} {phrase}"]
    lines += [f"{name}: {_CONTROLS.sub(' ', value)}" for name, value in kept.items()]
    lines.append(f"content-length: {len(page.body)}")
    head = "\r\n".join(lines).encode("utf-8", "surrogateescape")
    fields = {
        "WARC-Target-URI": page.final_url,
        "Content-Type": "application/http; msgtype=response",
    }
    if page.url != page.final_url:
        fields[_ASKED] = page.url
    block = head + b"\r\n\r\n" + page.body
    return _record(WarcRecordType.response, page.fetched_at, fields, block)


def resource_record(page: Page) -> WarcRecord:
    """Return a page that came by other ways than an HTTP response of its own: no headers."""
    fields = {
        "WARC-Target-URI": page.final_url,
        "Content-Type": page.headers["content-type"],
    }
    return _record(WarcRecordType.resource, page.fetched_at, fields, page.body)


def revisit_record(page: Page, original: Origin, at: float) -> WarcRecord:
    """Return that a page is needed again at a time, which is stored in another record: no content."""
    digest = base64.b32encode(sha1(page.body, usedforsecurity=False).digest()).decode()
    name, _, offset = original.location.rpartition(":")
    fields = {
        "WARC-Target-URI": page.final_url,
        "WARC-Profile": _SAME_PAYLOAD,
        "WARC-Payload-Digest": f"sha1:{digest}",
        "WARC-Refers-To": original.record_id,
        "WARC-Refers-To-Target-URI": page.final_url,
        "WARC-Refers-To-Date": original.date,
        _FILE: name,
        _OFFSET: offset,
    }
    return _record(WarcRecordType.revisit, at, fields, b"")


def original_of(record: WarcRecord) -> str:
    """Return the location of the record that a `revisit` refers to; empty when it names none."""
    if record.record_type != WarcRecordType.revisit:
        return ""
    name, offset = (record.headers.get(field) or "" for field in (_FILE, _OFFSET))
    return f"{name}:{offset}" if name and offset else ""


def target_of(record: WarcRecord) -> str:
    """Return the address that a record is about; empty when it names none."""
    return (record.headers.get("WARC-Target-URI") or "").strip("<>")


def addresses_of(record: WarcRecord) -> tuple[str, ...]:
    """Return the addresses under which a record may be looked for: after its redirects, and before."""
    return target_of(record), record.headers.get(_ASKED) or ""


def origin_of(record: WarcRecord, location: str) -> Origin:
    """Return what a `revisit` has to say of a record at a location."""
    return Origin(
        location=location,
        record_id=record.record_id or "",
        date=record.headers.get("WARC-Date") or "",
    )


def metadata_record(entry: Entry, about: WarcRecord, at: float) -> WarcRecord:
    """Return the ledger entry that led to a record, as JSON."""
    fields = {
        "WARC-Target-URI": target_of(about),
        "WARC-Concurrent-To": about.record_id or "",
        "Content-Type": _ENTRY_TYPE,
    }
    block = json.dumps({"schema": _ENTRY_SCHEMA, **asdict(entry)}).encode()
    return _record(WarcRecordType.metadata, at, fields, block)


def whole(record: WarcRecord) -> WarcRecord:
    """Return a record with its block in memory. Raises ArchiveError when some of it is missing."""
    length = record.content_length
    record.freeze()
    if record.content_length != length:
        raise ArchiveError(f"a record of {length} bytes has {record.content_length}")
    return record


def page_of(record: WarcRecord, *, only_html: bool) -> Page | None:
    """Return the page of a response or resource record; None when it holds none that is wanted or readable.

    Raises:
        ArchiveError: the record is cut off.
    """
    at = record.record_date  # the stubs promise a date; a record without one gives None
    is_resource = record.record_type == WarcRecordType.resource
    if not at or not (record.is_http or is_resource) or record.content_length > MAX_BODY_BYTES:
        return None
    block = whole(record).reader.read()
    if is_resource:
        found = 200, {"content-type": record.headers.get("Content-Type") or ""}, block
    else:
        http = _http_of(block)
        if http is None:
            return None
        found = http
    status, headers, body = found
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if only_html and not (200 <= status <= 299 and kind in _HTML_TYPES):
        return None
    target = target_of(record)
    return Page(
        url=record.headers.get(_ASKED) or target,
        final_url=target,
        status=status,
        headers={name: value for name, value in headers.items() if name not in _OF_THE_WIRE},
        body=body,
        fetched_at=at.timestamp(),
    )


def _http_of(block: bytes) -> tuple[int, dict[str, str], bytes] | None:
    """Return status, headers and decoded body of an HTTP response, or None when it is no such.

    Parsed apart from its record: an error inside one that an iterator owns ends the iteration.
    """
    http = WarcRecord()
    http.init_headers(WarcRecordType.response, content_length=len(block))
    http.is_http = True
    http.set_bytes_content(block)
    try:
        http.parse_http(auto_decode="all")  # other people's records keep the wire's encodings
        body = http.reader.read(MAX_BODY_BYTES + 1)
    except (OSError, ValueError):  # not in the encoding that its headers name
        return None
    if len(body) > MAX_BODY_BYTES:
        return None
    headers: dict[str, str] = {}
    for name, value in http.http_headers.to_tuples():
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    return http.http_headers.status_code or 0, headers, body


def entry_of(record: WarcRecord, response_id: str | None) -> Entry | None:
    """Return the entry in a metadata record of that response, or None when it is another kind."""
    about = record.headers.get("WARC-Concurrent-To")
    if about != response_id or record.headers.get("Content-Type") != _ENTRY_TYPE:
        return None
    text = whole(record).reader.read()
    try:
        fields = json.loads(text)
        if not isinstance(fields, dict) or fields.pop("schema", None) != _ENTRY_SCHEMA:
            return None
        return Entry(**fields)
    except (ValueError, TypeError):  # somebody else's JSON
        return None
