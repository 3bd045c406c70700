"""Events as a consumer reads them: in order, once, and with every gap told."""

import threading

import pytest
from receiver import event_ids, tell
from seeding import FLOOD, PUMPS, ingest

from worker.core.events import Cursor, Event, Gap, Item, Position
from worker.errors import StoreError
from worker.store.client import connect
from worker.store.events import Events
from worker.wiring import Context

ALL = 10_000


def _ids(items: tuple[Item, ...]) -> list[str]:
    return [item.event_id for item in items if isinstance(item, Event)]


def _last(items: tuple[Item, ...], cursor: Cursor) -> Cursor:
    for item in items:
        cursor = cursor.past(item)
    return cursor


def test_articles_that_form_a_story_are_events_with_numbers(context: Context) -> None:
    """The first article opens, the second is attached; both name the story."""
    for number, text in enumerate((FLOOD, PUMPS)):
        ingest(context, f"guid-{number}", f"https://{number}.example/", "Flood in Oldtown", text)
    first, second = (item.document() for item in context.events.read(Cursor(), limit=ALL))
    [story] = context.stories.newest(limit=5)
    assert (first["type"], first["number"]) == ("story_opened", 1)
    assert (second["type"], second["number"]) == ("article_attached", 2)
    assert first["story"] == second["story"] == story.story_id
    members = {member.article_id for member in context.stories.members(story.story_id)}
    assert {first["article"], second["article"]} == members


@pytest.mark.parametrize("step", [1, 3, 7, 50])
def test_read_when_resumed_from_any_cursor_then_nothing_is_missed_or_read_twice(
    context: Context, step: int
) -> None:
    """A consumer that stops and goes on sees each event once, each language in its order."""
    for number in range(7):
        tell(context, "en", 2 * number, 2 * number + 1)
        tell(context, "de", number)
    cursor, seen = Cursor(), list[str]()
    while items := context.events.read(Cursor.parse(str(cursor)), limit=step):
        assert len(items) <= step
        seen += _ids(items)
        cursor = _last(items, cursor)
    for lang in ("en", "de"):
        assert [one for one in seen if one.startswith(lang)] == event_ids(context, lang)
    assert len(seen) == 21
    assert cursor == context.events.newest()


def test_read_when_a_language_comes_later_then_it_is_read_from_its_first_event(
    context: Context,
) -> None:
    """A cursor that does not know it has missed nothing of it."""
    tell(context, "en", 1)
    cursor = context.events.newest()
    tell(context, "fr", 1, 2)
    items = context.events.read(cursor, limit=ALL)
    assert _ids(items) == event_ids(context, "fr")


@pytest.mark.parametrize("limit", [1, 2, ALL])
def test_read_when_events_were_dropped_then_the_gap_is_told_with_its_size(
    context: Context, limit: int
) -> None:
    """The gap stands before the oldest event that is left; the count is exact."""
    tell(context, "en", 1, 20)
    tell(context, "de", 1, 2)
    # Of events of one millisecond those of either language may come first.
    first = next(item for item in context.events.read(Cursor(), limit=100) if item.lang == "en")
    cursor = Cursor().past(first)
    context.client.xtrim(context.keys.events("en"), maxlen=5, approximate=False)
    seen = list[Item]()
    while items := context.events.read(cursor, limit=limit):
        seen += items
        cursor = _last(items, cursor)
    english = [item for item in seen if item.lang == "en"]
    assert isinstance(english[0], Gap)
    assert english[0].missed == 14
    assert [item.position.number for item in english] == [15, 16, 17, 18, 19, 20]
    assert not any(isinstance(item, Gap) for item in seen if item.lang == "de")


def test_read_when_a_stream_is_gone_whole_then_the_gap_is_told_once(context: Context) -> None:
    """A stream ends with the retention of its stories; its numbers go on."""
    tell(context, "en", 1, 3)
    context.client.delete(context.keys.events("en"))
    [gap] = items = context.events.read(Cursor(), limit=ALL)
    assert isinstance(gap, Gap)
    assert gap.missed == 3
    cursor = _last(items, Cursor())
    assert context.events.read(cursor, limit=ALL) == ()
    tell(context, "en", 4)
    [event] = context.events.read(cursor, limit=ALL)
    assert event.position.number == 4


def test_oldest_when_events_were_dropped_then_is_no_gap(context: Context) -> None:
    """Who reads for the first time has missed nothing; who goes on from there, neither."""
    tell(context, "en", 1, 10)
    tell(context, "de", 1)
    context.client.xtrim(context.keys.events("en"), maxlen=4, approximate=False)
    context.client.delete(context.keys.events("de"))
    start = Cursor.parse(str(context.events.oldest()))
    assert [item.position.number for item in context.events.read(start, limit=ALL)] == [7, 8, 9, 10]


def test_stream_keeps_about_a_hundred_thousand_events(context: Context) -> None:
    """However long nobody reads, the stream stays bounded, and the count tells what went."""
    for first in range(1, 100_500, 2_500):
        tell(context, "en", first, min(first + 2_499, 100_500))
    events = context.keys.events("en")
    assert 100_000 <= context.client.xlen(events) < 100_200
    [gap] = context.events.read(Cursor(), limit=1)
    assert isinstance(gap, Gap)
    assert gap.missed == 100_500 - context.client.xlen(events)


def test_wait_when_something_happens_then_ends_at_once(context: Context, redis_url: str) -> None:
    """A follower does not ask again and again; an hour would pass otherwise."""
    tell(context, "en", 1)
    with connect(redis_url, timeout_s=3_700.0) as client:
        patient = Events(client, context.keys)
        cursor = patient.newest()
        waiting = threading.Thread(target=patient.wait, args=(cursor,), kwargs={"timeout_s": 3_600})
        waiting.start()
        tell(context, "en", 2)
        waiting.join(timeout=20)
        assert not waiting.is_alive()
        assert _ids(patient.read(cursor, limit=ALL)) == event_ids(context, "en")[1:]


def test_read_when_an_event_is_not_ours_then_names_it(context: Context) -> None:
    """What somebody else wrote into the stream is no event, and no crash either."""
    tell(context, "en", 1)
    context.client.xadd(context.keys.events("en"), {"hello": "world"}, id="9999999999999-1")
    with pytest.raises(StoreError, match=r"9999999999999-1 of language 'en'.*XDEL"):
        context.events.read(Cursor({"en": Position(1, 0, 1)}), limit=ALL)
