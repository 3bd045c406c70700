"""What a replay can read: JSONL, WARC, feed and text files, each record with a name and a time."""

import gzip
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timezone
from pathlib import Path
from typing import Annotated

from dateutil.parser import isoparse
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from worker.archive.warc import Elsewhere, read_pages
from worker.core.entries import (
    article_id,
    article_id_of_record,
    canonical_url,
    entries_of,
    feed_id,
    publisher,
)
from worker.core.redaction import public_part
from worker.decode.document import parse_document
from worker.errors import ArchiveError, ConfigError, DecodeError
from worker.model import ArticleId, Entry, EntryId, Feed, FeedId, Page
from worker.steps.prepare import Draft

# A number of this size or more is a time in milliseconds: as seconds it would be the year 5138.
_MILLISECONDS_FROM = 1e11
_ENDINGS = {
    "JSONL": (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"),
    "WARC": (".warc", ".warc.gz"),
    "text": (".txt",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One article to replay."""

    name: str | int  # what the source calls it; printed back as it came
    entry_id: EntryId
    article_id: ArticleId
    at: float | None  # event time; None takes that of the record before
    draft: Draft
    source: str  # publisher

    def entry(self) -> Entry:
        """Return the ledger entry of this record."""
        return Entry(
            entry_id=self.entry_id,
            feed_id=FeedId(""),
            article_id=self.article_id,
            ref=str(self.name),
            url=self.draft.url,
            title=self.draft.title,
            summary="",
            source=self.source,
            published_at=self.at,
            seen_at=self.at or 0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRecord:
    """A place in a source that is no record, and why."""

    place: str
    reason: str


def kind_of(source: str) -> str:
    """Return what a source is taken for, by its name: JSONL, WARC, text or feed."""
    if source == "-":
        return "JSONL"
    name = source.lower()
    return next((kind for kind, endings in _ENDINGS.items() if name.endswith(endings)), "feed")


def read_source(source: str, *, now: float) -> Iterator[Record | BadRecord]:
    """Yield the records of one source in its order.

    Args:
        source: a path, or ``-`` for JSONL on standard input.
        now: Unix seconds, for feeds whose entries have no date.

    Raises:
        ConfigError: there is no such file, or nothing tells what it is.
    """
    if source == "-":
        yield from _jsonl(sys.stdin.buffer, "standard input")
        return
    path = Path(source)
    if not path.is_file():
        raise ConfigError(f"there is no file {source}")
    kind = kind_of(source)
    if kind == "JSONL":
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as lines:
            yield from _jsonl(lines, source)
    elif kind == "WARC":
        yield from _warc(path)
    elif kind == "text":
        yield _text(path)
    else:
        yield from _feed(path, now=now)


def unix_time(text: str) -> float:
    """Return an ISO 8601 time as Unix seconds; one without a zone is UTC.

    Raises:
        ValueError: it is none, or out of range.
    """
    moment = isoparse(text.strip().replace(" ", "T", 1))
    try:
        return float(moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp())
    except OverflowError as e:
        raise ValueError(str(e)) from e


def dated(records: Iterable[Record], *, now: float) -> list[Record]:
    """Return records with a time each.

    One without takes that of the record before it in the input; now, where there is none.
    """
    result, last = [], now
    for record in records:
        last = last if record.at is None else record.at
        result.append(replace(record, at=last))
    return result


def in_event_order(records: Iterable[Record]) -> list[Record]:
    """Return dated records by event time, those of one time in the order given."""
    return sorted(records, key=lambda record: record.at or 0.0)


def digest_of(records: Iterable[Record], conditions: str) -> str:
    """Return what names a replay: the same for the same records, in the same order and conditions.

    Cost: 45 µs a record of 2.4 kB of text, and 3 ms a megabyte of pages.
    """
    digest = hashlib.blake2b(conditions.encode(), digest_size=16, person=b"replay")
    for record in records:
        draft = record.draft
        texts = (record.source, draft.title, draft.text, draft.url, draft.lang, len(draft.html))
        digest.update(
            repr((record.name, record.entry_id, record.article_id, record.at, texts)).encode()
        )
        digest.update(draft.html)
    return digest.hexdigest()


def _mended(text: str) -> str:
    """Return a text without lone surrogates: JSON may hold half a character, UTF-8 may not."""
    return text.encode("utf-8", "replace").decode("utf-8")


Text = Annotated[StrictStr, AfterValidator(_mended)]


class _Line(BaseModel):
    """A JSONL record as others write it. Keys beyond these are theirs."""

    model_config = ConfigDict(extra="ignore")

    id: Text | StrictInt
    ts: Text | StrictInt | StrictFloat | None = None
    title: Text | None = None
    text: Text | None = None
    html: Text | None = None
    url: Text | None = None
    source: Text | None = None
    lang: Text | None = None

    @model_validator(mode="after")
    def _has_a_body(self) -> "_Line":
        if self.text is None and self.html is None:
            msg = "neither 'text' nor 'html'"
            raise ValueError(msg)
        return self


def _jsonl(lines: Iterable[bytes], source: str) -> Iterator[Record | BadRecord]:
    number = 0
    try:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _line(line, f"{source}, line {number}")
    except (OSError, EOFError) as e:  # a .gz that is none, or torn
        yield BadRecord(place=f"{source}, after line {number}", reason=f"cannot be read on: {e}")


def _line(line: bytes, place: str) -> Record | BadRecord:
    try:
        fields = json.loads(line)
        if not isinstance(fields, dict):
            return BadRecord(place=place, reason="not a JSON object")
        parsed = _Line.model_validate(fields)
        at = _time(parsed.ts)
    except ValidationError as e:
        return BadRecord(place=place, reason="; ".join(_faults(e)))
    except (ValueError, RecursionError) as e:
        return BadRecord(place=place, reason=f"not a record: {e}")
    url = canonical_url(parsed.url or "")
    article = article_id_of_record(parsed.id)
    return Record(
        name=parsed.id,
        entry_id=EntryId(article),
        article_id=article,
        at=at,
        draft=Draft(
            title=parsed.title or "",
            text=parsed.text or "",
            html=(parsed.html or "").encode("utf-8", "replace"),
            url=url,
            lang=parsed.lang or "",
        ),
        source=parsed.source or (publisher(url) if url else "unknown"),
    )


def _faults(error: ValidationError) -> Iterator[str]:
    for item in error.errors(include_url=False, include_input=False):
        path = ".".join(str(part) for part in item["loc"])
        yield f"{path}: {item['msg']}" if path else item["msg"]


def _time(value: str | float | None) -> float | None:
    """Return a record's time as Unix seconds.

    Raises:
        ValueError: it is neither ISO 8601 nor a number of seconds or milliseconds.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            return unix_time(value)
        except ValueError as e:
            raise ValueError(f"ts '{value[:40]}' is not an ISO 8601 time") from e
    if not 0 <= value < _MILLISECONDS_FROM * 1_000:
        raise ValueError(f"ts {value} is not a time")
    return value / 1_000 if value >= _MILLISECONDS_FROM else value


def _text(path: Path) -> Record:
    """Read a text file: the first line is the title."""
    title, _, text = path.read_text(encoding="utf-8-sig", errors="replace").partition("\n")
    article = article_id_of_record(path.stem)
    return Record(
        name=path.stem,
        entry_id=EntryId(article),
        article_id=article,
        at=None,
        draft=Draft(title=title.strip(), text=text, html=b"", url="", lang=""),
        source=path.stem,
    )


def _warc(path: Path) -> Iterator[Record | BadRecord]:
    try:
        for page, entry in read_pages(path):
            if isinstance(page, Elsewhere):
                yield _elsewhere(path, page)
            else:
                yield _archived(page, entry)
    except ArchiveError as e:
        yield BadRecord(place=str(path), reason=str(e))


def _elsewhere(path: Path, page: Elsewhere) -> BadRecord:
    return BadRecord(
        place=f"{path}, {public_part(page.url)}",
        reason=f"its page is at '{page.location}', which cannot be read; put that file beside it",
    )


def _archived(page: Page, entry: Entry | None) -> Record:
    """Make a record of a page: of ours with the ids it had live, of others' named by address."""
    url = canonical_url(page.final_url)
    if entry is None:
        by_url = article_id(url or page.final_url, EntryId(""))
        name, entry_id, article = page.final_url, EntryId(by_url), by_url
    else:
        name, entry_id, article = entry.ref, entry.entry_id, entry.article_id
    return Record(
        name=name,
        entry_id=entry_id,
        article_id=article,
        at=(entry.published_at or entry.seen_at) if entry else page.fetched_at,
        draft=Draft(
            title=entry.title if entry else "",
            text=entry.summary if entry else "",
            html=page.body,
            url=page.final_url,
            lang="",
        ),
        source=entry.source if entry else publisher(url),
    )


def _feed(path: Path, *, now: float) -> Iterator[Record | BadRecord]:
    """Read a feed document: its entries' own texts, without their pages."""
    address = path.resolve().as_uri()
    try:
        parsed = parse_document(path.read_bytes(), url=address)
    except (DecodeError, OSError) as e:
        yield BadRecord(place=str(path), reason=f"neither JSONL, WARC, text nor a feed: {e}")
        return
    feed = Feed(feed_id=feed_id(address), url=address)
    for entry in entries_of(parsed, feed, now):
        yield Record(
            name=entry.ref,
            entry_id=entry.entry_id,
            article_id=entry.article_id,
            at=entry.published_at,
            draft=Draft(title=entry.title, text=entry.summary, html=b"", url=entry.url, lang=""),
            source=entry.source if entry.url else path.stem,
        )
