"""What happened to stories, as those who follow it see it: events, gaps, and the cursor.

Each language has a stream of its own, whose order is the order of the changes. A consumer is at
one position in each; its cursor is all of them. Called by store/events, steps/deliver and the
command line.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from worker.errors import ConfigError

TYPES = ("story_opened", "article_attached", "article_edited", "stories_merged", "story_split")
# One language of a cursor: its code, the stream id, the number. Redis keeps both parts of an id in
# 64 bits, which 19 digits always fit.
_PART = re.compile(r"([a-z]{2,3}):([0-9]{1,19})-([0-9]{1,19}):([0-9]{1,19})")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the stream of one language: just behind an event."""

    ms: int = 0  # Redis's stream id is ms-seq: its clock, and a counter within the millisecond
    seq: int = 0
    number: int = 0  # events of this language up to here

    @property
    def stream_id(self) -> str:
        """The id in Redis's own form."""
        return f"{self.ms}-{self.seq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of a story. Its id never comes again, also for a namespace that is emptied."""

    lang: str
    position: Position
    type: str  # one of TYPES
    at: float
    facts: Mapping[str, str]  # story, and as the type has them: article, original, merged, opened

    @property
    def event_id(self) -> str:
        """The id that is the same at every delivery."""
        return f"{self.lang}-{self.position.stream_id}"

    def document(self) -> dict[str, object]:
        """Return the event as consumers get it; facts that do not apply are left out."""
        at = datetime.fromtimestamp(self.at, tz=timezone.utc)
        return {
            "id": self.event_id,
            "type": self.type,
            "lang": self.lang,
            "number": self.position.number,
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            **{name: value for name, value in self.facts.items() if value},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Events of one language that are not kept any more, so that nobody can read them."""

    lang: str
    position: Position  # behind the last one missed
    missed: int

    def document(self) -> dict[str, object]:
        """Return the gap in the form of an event."""
        return {"type": "gap", "lang": self.lang, "missed": self.missed}


Item = Event | Gap


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a consumer is. A language that is not in it is read from its first event on."""

    positions: Mapping[str, Position] = field(default_factory=dict)

    def at(self, lang: str) -> Position:
        """Return the position in one language."""
        return self.positions.get(lang, Position())

    def past(self, item: Item) -> "Cursor":
        """Return the cursor behind an event or a gap."""
        return Cursor({**self.positions, item.lang: item.position})

    def behind(self, told: Mapping[str, int]) -> int:
        """Return how many events there are behind it, of so many told in each language."""
        return sum(max(0, number - self.at(lang).number) for lang, number in told.items())

    def __str__(self) -> str:
        """Return the form that ``parse`` reads: printable, and unquoted on a command line."""
        return ",".join(
            f"{lang}:{position.stream_id}:{position.number}"
            for lang, position in sorted(self.positions.items())
        )

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Return the cursor that ``str`` of one gave.

        Raises:
            ConfigError: the text is none.
        """
        positions = {}
        for part in text.split(",") if text else ():
            match = _PART.fullmatch(part)
            if not match:
                raise ConfigError(
                    f"'{part}' is not a cursor; give one that `samestory events` printed, or none"
                )
            lang, *numbers = match.groups()
            positions[lang] = Position(*(int(number) for number in numbers))
        return cls(positions)


def as_json(document: Mapping[str, object]) -> str:
    """Return a document as one line."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
