"""What a webhook is, and how it goes on after an attempt to send it an event.

Pure; the state lies in Redis (store/webhooks), the sending is done by steps/deliver.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from http import HTTPStatus

from worker.core.events import Cursor, Gap, Item, as_json
from worker.core.retry import retry_at
from worker.model import WebhookId


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address that events are sent to, and how far it is."""

    webhook_id: WebhookId
    url: str  # may hold a secret anywhere behind its host
    cursor: Cursor
    types: tuple[str, ...] = ()  # of core.events.TYPES; none: all
    attempts: int = 0  # failed ones in a row, for the event that is next
    retry_at: float = 0.0
    delivered: int = 0
    missed: int = 0  # events that were dropped before it took them
    parked: int = 0  # events that it did not take after all attempts
    again: int = 0  # so many of the parked ones, from the first on, are to be sent again
    error: str = ""  # why the last attempt failed; empty when it did not
    stopped: str = ""  # why nothing is sent any more
    turn: int = 0  # raised by every settling


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One event on its way to a webhook."""

    event_id: str
    body: str
    cursor: Cursor  # of the webhook, once it is dealt with
    missed: int = 0  # events before it that nobody can read any more
    was_parked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a POST ended. ``status`` is None when no answer came; ``why`` is for people."""

    status: int | None
    why: str
    retry_after_s: float | None = None  # the server's own wish
    elsewhere: str = ""  # where the same POST would be taken, says a 307 or 308; not vetted

    @property
    def taken(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status <= 299

    @property
    def gone(self) -> bool:
        """Whether the receiver wants nothing any more (RFC 9110 15.5.11)."""
        return self.status == HTTPStatus.GONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """What came of a letter, and how the webhook is from now on."""

    cursor: Cursor
    attempts: int = 0
    retry_at: float = 0.0
    error: str = ""
    stopped: str = ""
    delivered: int = 0  # more
    missed: int = 0  # more
    was_parked: bool = False  # the first of the parked events leaves their list
    park: Letter | None = None  # and this one joins it


def webhook_id(url: str) -> WebhookId:
    """Return the id of the webhook at an address: 12 hex characters."""
    return WebhookId(blake2b(url.encode(), digest_size=6, person=b"webhook").hexdigest())


def letters(hook: Webhook, items: Sequence[Item]) -> Iterator[Letter | Settling]:
    """Yield a letter for each event that a webhook wants, then how it goes on behind the last item.

    Gaps, and events that it does not want, are noted with the letter that follows them; those that
    none follows, at the end.
    """
    cursor, missed, noted = hook.cursor, 0, True
    for item in items:
        cursor, noted = cursor.past(item), False
        if isinstance(item, Gap):
            missed += item.missed
        elif not hook.types or item.type in hook.types:
            body = as_json(item.document())
            yield Letter(event_id=item.event_id, body=body, cursor=cursor, missed=missed)
            missed, noted = 0, True
    if not noted:
        yield Settling(cursor=cursor, missed=missed)


def settled(
    hook: Webhook, letter: Letter, answer: Answer, *, attempts: int, now: float
) -> Settling:
    """Return what an answer means: taken, to be tried again, parked, or the end of the webhook.

    Args:
        hook: as it was when the letter was sent.
        letter: what was sent.
        answer: what came of it.
        attempts: so many failures park an event.
        now: Unix seconds.
    """
    dealt_with = Settling(cursor=letter.cursor, missed=letter.missed, was_parked=letter.was_parked)
    if answer.taken:
        return replace(dealt_with, delivered=1)
    if answer.gone:
        return Settling(cursor=hook.cursor, stopped=answer.why)
    attempt = hook.attempts + 1
    if attempt >= attempts:
        return replace(dealt_with, error=answer.why, park=letter)
    due_at = retry_at(now, attempt=attempt, wish_s=answer.retry_after_s)
    return Settling(cursor=hook.cursor, attempts=attempt, retry_at=due_at, error=answer.why)
