"""Reading what can be replayed, and replaying it, without the command around it."""

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from outlet import OPERA
from seeding import HEAVY_PAGE

from worker.archive.warc import Archive
from worker.errors import ConfigError
from worker.model import Outcome, Page
from worker.steps.audit import audit
from worker.steps.prepare import Draft, Prepared, prepare
from worker.steps.records import BadRecord, Record, dated, in_event_order, read_source
from worker.steps.replay import Replayed
from worker.testing import an_entry
from worker.wiring import Context, replay_steps

NOON = 1_772_366_400.0  # 2026-03-01T12:00:00Z


def _read(tmp_path: Path, *lines: object) -> list[Record | BadRecord]:
    path = tmp_path / "records.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return list(read_source(str(path), now=NOON))


def _records(tmp_path: Path, *lines: object) -> list[Record]:
    found = _read(tmp_path, *lines)
    records = [item for item in found if isinstance(item, Record)]
    assert len(records) == len(found)
    return records


def _replay(
    context: Context, records: list[Record], workers: int = 1, cpu_s: int = 20
) -> list[Replayed]:
    work = context.settings.work.model_copy(update={"cpu_s": cpu_s})
    limited = replace(context, settings=context.settings.model_copy(update={"work": work}))
    with replay_steps(limited, workers) as steps:
        return steps.in_the_end(list(steps.run(in_event_order(dated(records, now=NOON)))))


@pytest.fixture
def warc(tmp_path: Path) -> Iterator[Archive]:
    """An archive to write to."""
    archive = Archive(tmp_path / "pages", max_bytes=2**20)
    yield archive
    archive.close()


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01 12:00:00", NOON),
        ("2026-03-01T14:00:00.500+02:00", NOON + 0.5),
        ("20260301T120000Z", NOON),
        ("2026-03-01", NOON - 43_200),
        (1_772_366_400, NOON),
        (1_772_366_400.25, NOON + 0.25),
        (1_772_366_400_000, NOON),
        (None, None),
        ("", None),
    ],
)
def test_time_when_in_a_known_form_then_is_read_in_utc(
    tmp_path: Path, given: object, at: float | None
) -> None:
    """ISO 8601 with or without a zone, seconds and milliseconds all mean the same moment."""
    (record,) = _records(tmp_path, {"id": 1, "text": "words", "ts": given})
    assert record.at == at


@pytest.mark.parametrize("given", ["soon", "2026-13-01", -1, 1e15, "NaN", [1], {"at": 1}, True])
def test_time_when_in_no_known_form_then_the_record_is_bad(tmp_path: Path, given: object) -> None:
    """A time that cannot be read is told, not guessed."""
    (bad,) = _read(tmp_path, {"id": 1, "text": "words", "ts": given})
    assert isinstance(bad, BadRecord)
    assert "line 1" in bad.place
    assert "ts" in bad.reason


@pytest.mark.parametrize(
    "line",
    [
        {"id": "half \ud800", "text": "words"},
        {"id": 1, "text": "words", "title": "half an emoji \ud83d"},
        {"id": 1, "text": "words", "source": "\udc00"},
    ],
)
def test_record_when_its_text_holds_half_a_character_then_can_still_be_replayed(
    context: Context, tmp_path: Path, line: dict[str, object]
) -> None:
    """JSON allows lone surrogates, which no store takes: told as bad or mended, never a crash."""
    found = _read(tmp_path, line, {"id": "whole", "text": OPERA})
    records = [item for item in found if isinstance(item, Record)]
    done = _replay(context, records)
    assert "whole" in [replayed.record.name for replayed in done]
    assert len(done) + sum(isinstance(item, BadRecord) for item in found) == 2


@pytest.mark.parametrize(
    "title", ["Opera closes", "Opera closes | Tarnsby Post", "Opera closes \u2013 Post"]
)
def test_html_record_when_it_has_no_address_then_is_extracted(context: Context, title: str) -> None:
    """A record needs no `url`, whatever its page's title looks like."""
    html = f"""<html><head><title>{title}</title><meta property="og:title" content="{title}"></head>
    <body><article><h1>{title}</h1><p>{OPERA}</p></article></body></html>"""
    draft = Draft(title="", text="", html=html.encode(), url="", lang="")
    settings = context.settings
    prepared = prepare(draft, settings.index.params(), settings.match.policy())
    assert isinstance(prepared, Prepared)
    assert prepared.title.startswith("Opera closes")


def test_records_without_time_take_that_of_the_one_before(tmp_path: Path) -> None:
    """The order of the input is kept among records of one moment, in event order."""
    lines = [{"id": n, "text": "words"} for n in range(4)]
    records = _records(tmp_path, lines[0], {**lines[1], "ts": 5}, lines[2], {**lines[3], "ts": 4})
    given = dated(records, now=NOON)
    assert [record.at for record in given] == [NOON, 5.0, 5.0, 4.0]
    assert [record.name for record in in_event_order(given)] == [3, 1, 2, 0]


def test_jsonl_when_its_gzip_is_torn_then_the_records_before_are_read(tmp_path: Path) -> None:
    """A torn download loses what is torn, and says after which line."""
    path = tmp_path / "torn.jsonl.gz"
    path.write_bytes(
        gzip.compress(b'{"id": 1, "text": "words"}\n') + gzip.compress(b'{"id": 2}\n' * 99)[:-20]
    )
    found = list(read_source(str(path), now=NOON))
    assert isinstance(found[0], Record)
    assert isinstance(found[-1], BadRecord)
    assert "cannot be read on" in found[-1].reason


def test_text_file_is_a_record_whose_first_line_is_the_title(tmp_path: Path) -> None:
    """The file's name is the record's, and a byte order mark is no part of the title."""
    path = tmp_path / "note.txt"
    path.write_bytes(b"\xef\xbb\xbfOpera house closes\r\n" + OPERA.encode())
    (record,) = read_source(str(path), now=NOON)
    assert isinstance(record, Record)
    assert (record.name, record.draft.title, record.draft.text) == (
        "note",
        "Opera house closes",
        OPERA,
    )


def test_source_of_no_known_kind_is_a_bad_record_and_a_missing_one_an_error(tmp_path: Path) -> None:
    """What cannot be read is named; a path that leads nowhere stops the command."""
    (tmp_path / "noise.xml").write_bytes(b"\x00\x01\x02")
    (bad,) = read_source(str(tmp_path / "noise.xml"), now=NOON)
    assert isinstance(bad, BadRecord)
    with pytest.raises(ConfigError, match="there is no file"):
        list(read_source(str(tmp_path / "none.jsonl"), now=NOON))


def test_archived_page_when_replayed_then_has_the_ids_that_it_had_live(
    context: Context, tmp_path: Path, warc: Archive
) -> None:
    """A replay of the archive needs nothing else: entry, article and time ride along."""
    entry = an_entry("opera", at=NOON)
    html = f"<html><body><article><p>{OPERA}</p></article></body></html>".encode()
    page = Page(
        url=entry.url, final_url=entry.url, status=200, headers={"content-type": "text/html"},
        body=html, fetched_at=time.time(),
    )  # fmt: skip
    place = warc.append(page, entry)
    (record,) = read_source(str(tmp_path / "pages" / place.partition(":")[0]), now=NOON)
    assert isinstance(record, Record)
    assert (record.entry_id, record.article_id, record.at) == (
        entry.entry_id,
        entry.article_id,
        NOON,
    )
    (done,) = _replay(context, [record])
    assert done.outcome is Outcome.ATTACHED
    stored = context.stories.article(entry.article_id)
    assert stored is not None
    assert stored.ref == entry.ref


@pytest.mark.parametrize(
    ("text", "outcomes"),
    [(OPERA, ["attached", "duplicate"]), ("Short.", ["rejected", "rejected"])],
)
def test_page_that_two_entries_brought_when_replayed_then_both_end_in_an_outcome(
    context: Context, tmp_path: Path, warc: Archive, text: str, outcomes: list[str]
) -> None:
    """As they did live: one article, and none of its entries is left pending."""
    entries = [replace(an_entry(name, at=NOON), article_id=an_entry("opera", at=NOON).article_id)
               for name in ("opera", "again")]  # fmt: skip
    html = f"<html><body><article><p>{text}</p></article></body></html>".encode()
    url = entries[0].url
    page = Page(
        url=url, final_url=url, status=200, headers={"content-type": "text/html"},
        body=html, fetched_at=time.time(),
    )  # fmt: skip
    place = warc.append(page, entries[0])
    warc.append_again(place, entries[1])
    found = read_source(str(tmp_path / "pages" / place.partition(":")[0]), now=NOON)
    records = [one for one in found if isinstance(one, Record)]
    assert len(records) == 2
    for _ in range(2):  # a second run goes on where the first has ended
        done = _replay(context, records)
        assert [r.outcome.value for r in done] == outcomes
        report = audit(context.ledger, context.stories, context.census)
        assert (report.offences, report.sums["claimed"], report.sums["pending"]) == ((), 2, 0)


def test_name_given_twice_when_the_first_is_rejected_then_both_are(
    context: Context, tmp_path: Path
) -> None:
    """Of records that share a name the first counts, also where it is no article."""
    records = _records(
        tmp_path,
        {"id": "x", "text": "Short."},
        {"id": "x", "text": OPERA},
        {"id": 7, "text": OPERA},
    )
    done = _replay(context, records, workers=2)
    assert [(r.outcome, r.reason) for r in done] == [
        (Outcome.REJECTED, "too_short"),
        (Outcome.REJECTED, "too_short"),
        (Outcome.ATTACHED, "new_story"),
    ]
    report = audit(context.ledger, context.stories, context.census)
    assert (report.offences, report.sums["claimed"], report.sums["pending"]) == ((), 2, 0)


def test_more_records_than_one_claim_takes_all_end_in_an_outcome(
    context: Context, tmp_path: Path
) -> None:
    """Claims are made a few hundred at a time; the sums agree across them."""
    records = _records(tmp_path, *({"id": n, "text": "Short.", "ts": n} for n in range(600)))
    assert len(_replay(context, records)) == 600
    report = audit(context.ledger, context.stories, context.census)
    assert (report.offences, report.sums["claimed"], report.sums["rejected"]) == ((), 600, 600)


def test_record_when_it_burns_the_processor_then_fails_alone_and_the_sums_agree(
    context: Context, tmp_path: Path
) -> None:
    """A page that ends its process is given up; the records beside it are not."""
    records = _records(
        tmp_path,
        {"id": "before", "ts": 1, "text": OPERA},
        {"id": "heavy", "ts": 2, "html": HEAVY_PAGE, "url": "https://heavy.example/"},
        {"id": "after", "ts": 3, "text": OPERA},
    )
    done = _replay(context, records, workers=2, cpu_s=1)
    assert [(r.outcome, r.story_id is None, r.copy_of) for r in done] == [
        (Outcome.ATTACHED, False, None),
        (Outcome.QUARANTINED, True, None),
        (Outcome.ATTACHED, False, "before"),
    ]
    assert "processor time" in done[1].reason
    assert audit(context.ledger, context.stories, context.census).offences == ()
