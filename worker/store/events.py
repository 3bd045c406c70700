"""Reading the streams of events, all languages of a namespace together."""

import time
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice

import redis

from worker.core.events import Cursor, Event, Gap, Item, Position
from worker.errors import StoreError
from worker.store.client import store_errors
from worker.store.keys import Keys

_Entries = Sequence[tuple[bytes, Mapping[bytes, bytes]]]
_OWN = frozenset({"type", "at", "number"})  # fields that are no facts about a story


class Events:
    """The events of one namespace; reads only, so any number of consumers may.

    A language's newest 100 000 events are kept, for as long as its stories are.
    """

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        """Take the connection to read by.

        Args:
            client: for ``wait``, one whose time-out is longer than the wait.
            keys: of the namespace.
        """
        self._client = client
        self._keys = keys

    @store_errors()
    def read(self, after: Cursor, *, limit: int) -> tuple[Item, ...]:
        """Return what happened behind a cursor, the oldest first, at most ``limit`` items.

        Within a language in the order of the changes; across languages by Redis's clock. What was
        dropped before it could be read stands as a ``Gap`` where it would have been.

        Cost: two commands and up to ``limit`` events a language, in one round trip.
        """
        langs = self._langs()
        with self._client.pipeline(transaction=False) as pipe:
            for lang in langs:
                # In this order: what the count includes and the stream lacks has been dropped.
                pipe.get(self._keys.told(lang))
                pipe.xrange(
                    self._keys.events(lang), min=f"({after.at(lang).stream_id}", count=limit
                )
            answers = pipe.execute()
        found = (
            _items(lang, after.at(lang), int(told or 0), entries)
            for lang, told, entries in zip(langs, answers[::2], answers[1::2], strict=True)
        )
        return tuple(islice(merge(*found, key=_when), limit))

    @store_errors()
    def wait(self, after: Cursor, *, timeout_s: float) -> None:
        """Return when something has happened behind a cursor, or after the time."""
        streams = {self._keys.events(lang): after.at(lang).stream_id for lang in self._langs()}
        if streams:
            self._client.xread(streams, count=1, block=int(1_000 * timeout_s))
        else:
            time.sleep(timeout_s)

    @store_errors()
    def oldest(self) -> Cursor:
        """Return the cursor before the oldest event that is kept."""
        cursor = self.newest()
        with self._client.pipeline(transaction=False) as pipe:
            for lang in cursor.positions:
                pipe.xrange(self._keys.events(lang), count=1)
            answers = pipe.execute()
        positions = dict(cursor.positions)
        for lang, entries in zip(cursor.positions, answers, strict=True):
            for event in _items(lang, Position(), 0, entries):
                if isinstance(event, Event):
                    positions[lang] = Position(number=event.position.number - 1)
        return Cursor(positions)

    @store_errors()
    def newest(self) -> Cursor:
        """Return the cursor behind the newest event."""
        langs = self._langs()
        with self._client.pipeline(transaction=False) as pipe:
            for lang in langs:
                # In this order: an event that comes between is read twice rather than never.
                pipe.xrevrange(self._keys.events(lang), count=1)
                pipe.get(self._keys.told(lang))
            answers = pipe.execute()
        positions = {}
        for lang, entries, told in zip(langs, answers[::2], answers[1::2], strict=True):
            ms, _, seq = entries[0][0].decode().partition("-") if entries else ("0", "", "0")
            positions[lang] = Position(int(ms), int(seq), int(told or 0))
        return Cursor(positions)

    @store_errors()
    def told(self) -> Mapping[str, int]:
        """Return how many events each language has had."""
        langs = self._langs()
        with self._client.pipeline(transaction=False) as pipe:
            for lang in langs:
                pipe.get(self._keys.told(lang))
            return {lang: int(raw or 0) for lang, raw in zip(langs, pipe.execute(), strict=True)}

    def _langs(self) -> list[str]:
        return sorted(raw.decode() for raw in self._client.smembers(self._keys.langs))


def _items(lang: str, after: Position, told: int, entries: _Entries) -> Iterator[Item]:
    """Yield the events of one language, and the gaps that their numbers show."""
    for raw_id, raw_fields in entries:
        event = _event(lang, raw_id.decode(), raw_fields)
        missed = event.position.number - after.number - 1
        if missed > 0:
            position = Position(after.ms, after.seq, event.position.number - 1)
            yield Gap(lang=lang, position=position, missed=missed)
        after = event.position
        yield event
    if not entries and told > after.number:
        position = Position(after.ms, after.seq, told)
        yield Gap(lang=lang, position=position, missed=told - after.number)


def _event(lang: str, stream_id: str, raw: Mapping[bytes, bytes]) -> Event:
    """Return one event. Raises StoreError when no script of ours wrote it."""
    ms, _, seq = stream_id.partition("-")
    try:
        fields = {name.decode(): value.decode() for name, value in raw.items()}
        return Event(
            lang=lang,
            position=Position(int(ms), int(seq), int(fields["number"])),
            type=fields["type"],
            at=float(fields["at"]),
            facts={name: value for name, value in fields.items() if name not in _OWN},
        )
    except (KeyError, ValueError) as e:
        raise StoreError(
            f"event {stream_id} of language '{lang}' is not of this version's form; "
            "XDEL it from the stream {ns:lang}:events, or DEL the stream"
        ) from e


def _when(item: Item) -> tuple[int, int]:
    return item.position.ms, item.position.seq
