import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.events import Cursor, Event, Gap, Position
from worker.errors import ConfigError

numbers = st.integers(0, 10**19 - 1)
cursors = st.builds(
    Cursor,
    st.dictionaries(
        st.from_regex(r"[a-z]{2,3}", fullmatch=True),
        st.builds(Position, numbers, numbers, numbers),
    ),
)


def _event(lang: str, number: int) -> Event:
    facts = {"story": f"{lang}-0123456789ab", "article": "a" * 16, "original": ""}
    return Event(
        lang=lang, position=Position(1_800_000_000_000 + number, 7, number),
        type="article_attached", at=1_800_000_000.5, facts=facts,
    )  # fmt: skip


@given(cursors)
def test_cursor_when_printed_then_can_be_read_again(cursor: Cursor) -> None:
    """What a consumer keeps is one word that a shell leaves as it is."""
    text = str(cursor)
    assert Cursor.parse(text) == cursor
    assert text.isascii()
    assert not set(text) & set(" \t\n'\"\\$*?&;|<>(){}[]#~")


@pytest.mark.parametrize("text", ["now then", "en:1", "en:1-1", "en:1-1:-4", "EN:1-1:1", "en:1-1:1,", "en:\uff11-1:1", "e" * 70 + ":1-1:1", "en:99999999999999999999-0:1"])  # fmt: skip
def test_cursor_when_the_text_is_none_then_says_where_to_get_one(text: str) -> None:
    """A mistyped cursor would otherwise start from anywhere."""
    with pytest.raises(ConfigError, match="is not a cursor; give one that `samestory events`"):
        Cursor.parse(text)


def test_cursor_past_an_event_keeps_the_other_languages() -> None:
    """Languages go on independently of each other."""
    cursor = Cursor().past(_event("en", 3)).past(_event("de", 1)).past(_event("en", 4))
    assert {lang: p.number for lang, p in cursor.positions.items()} == {"en": 4, "de": 1}
    assert cursor.behind({"en": 9, "de": 1, "fr": 2}) == 5 + 0 + 2


def test_documents_hold_what_a_consumer_needs() -> None:
    """The id names language and place; facts that do not apply are left out; a gap has a count."""
    assert _event("en", 3).document() == {
        "id": "en-1800000000003-7",
        "type": "article_attached",
        "lang": "en",
        "number": 3,
        "at": "2027-01-15T08:00:00.500Z",
        "story": "en-0123456789ab",
        "article": "a" * 16,
    }
    gap = Gap(lang="en", position=Position(0, 0, 5), missed=5)
    assert gap.document() == {"type": "gap", "lang": "en", "missed": 5}
