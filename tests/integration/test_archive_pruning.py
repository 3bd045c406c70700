"""What retention takes of the archive, and what it leaves because somebody needs it."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import until
from outlet import with_steps
from structlog.testing import capture_logs

from worker.archive.files import files_in
from worker.archive.warc import Archive
from worker.core.retention import Limits
from worker.daemon import PollLoop
from worker.errors import ArchiveError
from worker.model import Entry, Page
from worker.networking import PollSteps
from worker.settings import load_settings
from worker.steps.retention import Retention
from worker.store.ledger import FETCH
from worker.testing import Clock, an_entry
from worker.wiring import Context, retention

DAY_S = 86_400.0
PAGE = Page(
    url="https://news.example.com/a",
    final_url="https://news.example.com/a",
    status=200,
    headers={"content-type": "text/html"},
    body=b"<p>News</p>",
    fetched_at=0.0,
)
Write = Callable[..., str]


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at a morning."""
    return Clock()


@pytest.fixture
def folder(context: Context) -> Path:
    """The folder of the archive."""
    return Path(context.settings.paths.archive)


@pytest.fixture
def write(folder: Path, clock: Clock) -> Write:
    """Write a page, or what refers to one, in a file of its own so many days ago; return its place."""

    def call(days_ago: float, again: str = "") -> str:
        at = clock() - days_ago * DAY_S
        with closing(Archive(folder, max_bytes=10**6, clock=lambda: at)) as archive:
            entry = an_entry(f"{days_ago}")
            if again:
                return archive.append_again(again, entry)
            return archive.append(replace(PAGE, fetched_at=at), entry)

    return call


def _retention(
    context: Context, clock: Clock, *, days: float = 0.0, size: float = 0.0
) -> Retention:
    return Retention(
        directory=Path(context.settings.paths.archive),
        ledger=context.census.ledger,
        limits=Limits(keep_days=days, keep_bytes=size),
        clock=clock,
    )


def _name(place: str) -> str:
    return place.partition(":")[0]


def _left(folder: Path) -> set[str]:
    return {path.name for path in files_in(folder)}


def _with_page(context: Context, place: str, clock: Clock) -> Entry:
    """Put an entry on the ledger whose page lies there."""
    entry = an_entry("waiting")
    context.ledger.claim([entry], now=clock())
    context.ledger.start(entry.entry_id, FETCH, now=clock())
    assert context.ledger.advance(entry.entry_id, place, now=clock())
    return entry


def test_archive_when_files_are_old_then_they_go_and_the_log_says_so(
    context: Context, clock: Clock, folder: Path, write: Write
) -> None:
    """Whole files, oldest first, and nothing that somebody else put there."""
    old, older, young = write(9), write(12), write(3)
    (folder / "CC-NEWS-20180101.warc.gz").write_bytes(b"foreign")
    keeper = _retention(context, clock, days=5)
    assert [file.name for file in keeper.plan()] == [_name(older), _name(old)]
    assert _name(old) in _left(folder)  # a plan takes nothing
    with capture_logs() as lines:
        assert [file.name for file in keeper.run()] == [_name(older), _name(old)]
    assert [(line["event"], line["file"]) for line in lines] == [
        ("archive_file_removed", _name(older)),
        ("archive_file_removed", _name(old)),
    ]
    assert _left(folder) == {_name(young), "CC-NEWS-20180101.warc.gz"}
    assert keeper.run() == []


def test_archive_when_it_is_too_large_then_the_oldest_go(
    context: Context, clock: Clock, folder: Path, write: Write
) -> None:
    """By size the newest stay, today's and yesterday's however large."""
    places = [write(days) for days in (7, 5, 3, 0)]
    two = sum((folder / _name(place)).stat().st_size for place in places[2:])
    with capture_logs():
        _retention(context, clock, size=two).run()
        assert _left(folder) == {_name(place) for place in places[2:]}
        _retention(context, clock, size=1).run()
    assert _left(folder) == {_name(places[3])}


@pytest.mark.parametrize("state", ["pending", "quarantined"])
def test_archive_when_an_entry_waits_for_its_page_then_its_file_stays(
    context: Context, clock: Clock, folder: Path, write: Write, state: str
) -> None:
    """Pending or in quarantine, it will be read; when it has its outcome, its file goes."""
    needed = write(9)
    write(8)
    entry = _with_page(context, needed, clock)
    if state == "quarantined":
        context.ledger.give_up(entry.entry_id, "why", now=clock())
    with capture_logs():
        keeper = _retention(context, clock, days=5)
        keeper.run()
        assert _left(folder) == {_name(needed)}
        if state == "pending":
            context.ledger.give_up(entry.entry_id, "why", now=clock())
        context.ledger.release(entry.entry_id, now=clock(), drop=True)
        keeper.run()
    assert _left(folder) == set()


def test_archive_when_an_entry_waits_for_a_shared_page_then_both_files_stay(
    context: Context, clock: Clock, folder: Path, write: Write
) -> None:
    """Its own place only refers to the page, which lies in a file of the day before."""
    page = write(9)
    shared = write(8, again=page)
    _with_page(context, shared, clock)
    with capture_logs():
        _retention(context, clock, days=5).run()
    assert _left(folder) == {_name(page), _name(shared)}
    with closing(Archive(folder, max_bytes=10**6)) as archive:
        assert archive.read(shared).body == PAGE.body


def test_archive_when_every_day_refers_to_the_day_before_then_one_day_more_stays_and_no_chain(
    context: Context, clock: Clock, folder: Path
) -> None:
    """A file that is kept for a reference alone keeps no other: else nothing would ever go."""
    last, places = "", []
    for days in range(10, 1, -1):
        at = clock() - days * DAY_S
        with closing(Archive(folder, max_bytes=10**6, clock=lambda at=at: at)) as archive:
            if last:
                archive.append_again(last, an_entry(f"again {days}"))
            last = archive.append(replace(PAGE, fetched_at=at), an_entry(f"{days}"))
        places.append(last)
    with capture_logs():
        keeper = _retention(context, clock, days=4)
        keeper.run()
        # Ten to seven days old are gone; the sixth stays for the fifth, which is within its days.
        assert _left(folder) == {_name(place) for place in places[5:]}
        assert keeper.run() == []


def test_archive_when_a_process_writes_to_a_file_of_an_old_name_then_it_stays(
    context: Context, clock: Clock, folder: Path
) -> None:
    """A poller whose clock is weeks behind loses nothing: it holds the lock of its file."""
    at = clock() - 30 * DAY_S
    with closing(Archive(folder, max_bytes=10**6, clock=lambda: at)) as archive, capture_logs():
        place = archive.append(PAGE)
        keeper = _retention(context, clock, days=5)
        assert keeper.run() == []
        assert archive.read(archive.append(PAGE)) == PAGE
        assert _left(folder) == {_name(place)}
        archive.close()
        assert [file.name for file in keeper.run()] == [_name(place)]


def test_archive_when_a_file_cannot_be_removed_then_the_error_names_it(
    context: Context, clock: Clock, folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder may be another user's."""
    place = write(9)

    def refuse(_: Path, *, missing_ok: bool) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(ArchiveError, match=f"{_name(place)} cannot be removed: Permission denied"):
        _retention(context, clock, days=5).run()
    assert _left(folder) == {_name(place)}


def test_archive_when_nobody_set_a_limit_then_nothing_goes(
    context: Context, clock: Clock, folder: Path, write: Write
) -> None:
    """The settings as they come remove nothing."""
    place = write(9_000)
    keeper = retention(context)
    assert keeper.run() == []
    assert _left(folder) == {_name(place)}


def test_poller_when_files_are_old_then_they_go_as_the_settings_say(
    context: Context, folder: Path
) -> None:
    """The poll role prunes by itself, soon after its start."""
    at = context.clock() - 9 * DAY_S
    with closing(Archive(folder, max_bytes=10**6, clock=lambda: at)) as archive:
        archive.append(PAGE)
    settings = load_settings(overrides=["archive.keep_days=5", f"paths.archive={folder}"])
    polling = Context(settings=settings, redis_url=context.redis_url)

    async def act(steps: PollSteps) -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(PollLoop(polling, steps).run(stop))
        await asyncio.to_thread(until, lambda: not _left(folder))
        stop.set()
        await running

    with capture_logs() as lines, closing(polling.client):
        with_steps(polling, act)
    assert "archive_file_removed" in [line["event"] for line in lines]
