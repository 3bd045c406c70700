import re
from dataclasses import replace

import pytest

from worker.core.events import Cursor, Event, Gap, Position
from worker.core.retry import LONGEST_WISH_S
from worker.core.webhooks import (
    Answer,
    Letter,
    Settling,
    Webhook,
    letters,
    settled,
    webhook_id,
)
from worker.errors import FetchError
from worker.fetch.post import vet
from worker.networking import post_policy
from worker.settings import Settings

NOW = 1_800_000_000.0
ATTEMPTS = 4
URL = "https://hooks.example/services/SECRET?token=SECRET"
BEFORE = Cursor({"en": Position(1, 0, 1)})
AFTER = Cursor({"en": Position(2, 0, 4)})
HOOK = Webhook(webhook_id=webhook_id(URL), url=URL, cursor=BEFORE)
LETTER = Letter(event_id="en-2-0", body="{}", cursor=AFTER, missed=2)


def _answer(status: int | None, retry_after_s: float | None = None) -> Answer:
    return Answer(status=status, why=f"HTTP status {status}", retry_after_s=retry_after_s)


def _settled(hook: Webhook, answer: Answer, letter: Letter = LETTER) -> Settling:
    return settled(hook, letter, answer, attempts=ATTEMPTS, now=NOW)


def _event(number: int, kind: str = "article_attached") -> Event:
    return Event(lang="en", position=Position(number, 0, number), type=kind, at=NOW, facts={})


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_letter_when_taken_then_the_webhook_is_behind_it(status: int) -> None:
    """Every 2xx is a yes; earlier failures are forgotten."""
    hook = replace(HOOK, attempts=2, error="HTTP status 500", retry_at=NOW)
    assert _settled(hook, _answer(status)) == Settling(cursor=AFTER, missed=2, delivered=1)


@pytest.mark.parametrize("status", [None, 301, 307, 400, 404, 429, 500, 503])
def test_letter_when_not_taken_then_waits_longer_each_time_and_is_parked(
    status: int | None,
) -> None:
    """A redirect is a failure like any other; the order holds, for nothing is skipped meanwhile."""
    hook, waits = HOOK, []
    for _ in range(ATTEMPTS - 1):
        done = _settled(hook, _answer(status))
        assert (done.cursor, done.delivered, done.missed, done.park) == (BEFORE, 0, 0, None)
        waits.append(done.retry_at - NOW)
        hook = replace(hook, attempts=done.attempts)
    assert waits == [2.0, 4.0, 8.0]
    done = _settled(hook, _answer(status))
    assert (done.cursor, done.attempts, done.park, done.missed) == (AFTER, 0, LETTER, 2)
    assert done.error == f"HTTP status {status}"


@pytest.mark.parametrize(("wish_s", "wait_s"), [(1.0, 2.0), (60.0, 60.0), (1e9, LONGEST_WISH_S)])
def test_letter_when_the_server_names_a_wait_then_waits_as_long(
    wish_s: float, wait_s: float
) -> None:
    """Retry-After goes before our own wait where it is longer, within reason."""
    assert _settled(HOOK, _answer(503, wish_s)).retry_at == NOW + wait_s


def test_letter_when_the_receiver_is_gone_then_stops_the_webhook_where_it_is() -> None:
    """410 ends it; the event is not lost should it be taken up again."""
    done = _settled(HOOK, _answer(410))
    assert (done.stopped, done.cursor, done.park) == ("HTTP status 410", BEFORE, None)


def test_parked_letter_when_not_taken_again_then_goes_back_to_the_end() -> None:
    """It leaves the head of the list by the same settling."""
    letter = replace(LETTER, was_parked=True, cursor=BEFORE, missed=0)
    done = _settled(replace(HOOK, attempts=ATTEMPTS - 1), _answer(500), letter)
    assert (done.was_parked, done.park) == (True, letter)
    assert _settled(HOOK, _answer(200), letter).was_parked


def test_letters_when_events_are_unwanted_or_missing_then_are_noted_with_the_next_one() -> None:
    """Each letter carries where the webhook is behind it; the rest stands at the end."""
    hook = replace(HOOK, types=("stories_merged",))
    gap = Gap(lang="en", position=Position(1, 0, 3), missed=2)
    items = [gap, _event(4), _event(5, "stories_merged"), _event(6)]
    [letter, rest] = letters(hook, items)
    assert isinstance(letter, Letter)
    assert (letter.event_id, letter.missed) == ("en-5-0", 2)
    assert letter.cursor.at("en").number == 5
    assert rest == Settling(cursor=Cursor({"en": Position(6, 0, 6)}))


def test_letters_when_nothing_happened_then_are_none() -> None:
    """An idle webhook costs no write."""
    assert list(letters(HOOK, [])) == []
    assert len(list(letters(HOOK, [_event(2), _event(3)]))) == 2


def test_ids_when_made_then_tell_addresses_apart() -> None:
    """One address is one webhook, to the letter."""
    assert webhook_id(URL) != webhook_id(URL + "x")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://10.0.0.1/SECRET", "'10.0.0.1' has no public address"),
        ("http://2130706433/SECRET", "has no public address"),
        ("https://hooks.example:6379/SECRET", "asks for port 6379: https://hooks.example:6379/…"),
        ("https://me:SECRET@hooks.example/", "carries a user"),
        ("ftp://hooks.example/SECRET", "is not http(s): ftp://hooks.example/…"),
        ("SECRET", "is not http(s): …"),
        ("http://[SECRET", "is malformed"),
    ],
)
def test_vet_when_an_address_may_not_be_asked_then_says_why_without_its_secret(
    url: str, why: str
) -> None:
    """An operator is told at once, not at the first event."""
    with pytest.raises(FetchError, match=re.escape(why)) as told:
        vet(url, post_policy(Settings()))
    assert "SECRET" not in str(told.value)
    assert vet(URL, post_policy(Settings())).host == "hooks.example"
