"""WebSub: what a subscription is, when its hub is asked, and what a hub's word does to it.

Pure; the state lies in Redis (store/subscriptions). A push says that a feed may have something new, no
more: what it carries is checked for its signature and thrown away. Source: WebSub, W3C
Recommendation of 23 January 2018 (w3.org/TR/websub).
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from worker.model import FeedId

# Asked for; a hub may give less. Two thirds of it leave three days for a hub or a poller that is away.
LEASE_S = 10 * 86_400.0
RENEWED_AT = 2 / 3  # of a lease
# Polling goes on meanwhile, so nobody is in a hurry: an hour, doubled with each failure, up to a day.
# Neither does a lease of minutes, nor a feed that names another hub each time, make us ask more often.
FIRST_RETRY_S = 3_600.0
LONGEST_RETRY_S = 86_400.0
_MAX_DOUBLINGS = 8
PATH = "/websub"  # under web.public_url
_REASON_CHARS = 200
# Section 7.1.1. SHA-1 is no weakness in an HMAC (RFC 6151), and what most hubs sign with.
_METHODS = {
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """By what name which hub tells of a feed's changes: its links `self` and `hub`."""

    hub: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """That a hub is to push what is new in a feed, and how far that has come."""

    feed_id: FeedId
    topic: Topic
    token: str  # the secret part of its callback address
    secret: str  # that pushes are signed with
    leaving: bool = False  # the feed is not followed any more: the hub is to be told so
    asked_at: float = 0.0  # when the hub was asked last; 0 = never
    failures: int = 0  # requests in a row that the hub did not confirm
    lease_until: float = 0.0  # the hub pushes until then; 0 = it has not confirmed yet
    error: str = ""  # why the last request failed
    denied: str = ""  # why the hub refuses
    pushed_at: float = 0.0  # the last push that counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a hub's word does to a subscription that it is about."""

    echo: str = ""  # what the hub wants to hear
    lease_until: float = 0.0
    due_at: float = 0.0  # when the hub is asked again
    denied: str = ""
    ended: bool = False  # the subscription may be forgotten


class Push(str, Enum):
    """What became of a push."""

    ACCEPTED = "accepted"
    UNKNOWN = "unknown"  # no subscription has this callback
    LIMITED = "limited"  # more of them came than anybody reads
    UNSIGNED = "unsigned"
    FALSE = "false"  # the signature is another one
    HUGE = "huge"
    TORN = "torn"  # it took too long, or was broken off

    @property
    def was_read(self) -> bool:
        """Whether its body was read to the end, so that the connection may be used again."""
        return self in {Push.ACCEPTED, Push.UNSIGNED, Push.FALSE}


def request(sub: Subscription, public_url: str) -> dict[str, str]:
    """Return the form that asks a hub to push, or to do so no more (section 5.1)."""
    form = {
        "hub.mode": "unsubscribe" if sub.leaving else "subscribe",
        "hub.topic": sub.topic.url,
        "hub.callback": f"{public_url}{PATH}/{sub.feed_id}/{sub.token}",
    }
    if not sub.leaving:
        form |= {"hub.lease_seconds": str(int(LEASE_S)), "hub.secret": sub.secret}
    return form


def retry_at(sub: Subscription, now: float, *, wish_s: float | None = None) -> float:
    """Return when a hub is asked again that does not confirm what it is asked now.

    Args:
        sub: before it is asked.
        now: Unix seconds.
        wish_s: the hub's own Retry-After; heeded up to LONGEST_RETRY_S.
    """
    doubled = FIRST_RETRY_S * 2.0 ** min(sub.failures, _MAX_DOUBLINGS)
    return now + min(max(doubled, wish_s or 0.0), LONGEST_RETRY_S)


def heard(sub: Subscription, query: Mapping[str, str], now: float) -> Word | None:
    """Return what a hub's GET to the callback does, or None when it is not to be agreed with.

    Only what we asked for counts, and only about our topic (sections 5.2 and 5.3). A hub may confirm
    again what it confirmed.
    """
    mode, challenge = query.get("hub.mode"), query.get("hub.challenge", "")
    if query.get("hub.topic") != sub.topic.url or sub.asked_at <= 0.0:
        return None
    if mode == "denied":
        return Word(denied=_reason(query), due_at=now + LEASE_S, ended=sub.leaving)
    if not challenge or mode != ("unsubscribe" if sub.leaving else "subscribe") or sub.denied:
        return None
    lease_s = _lease_s(query.get("hub.lease_seconds", ""))
    return Word(
        echo=challenge,
        lease_until=now + lease_s,
        due_at=now + max(RENEWED_AT * lease_s, FIRST_RETRY_S),
        ended=sub.leaving,
    )


def _lease_s(text: str) -> float:
    """Return how long a hub means to push: at most what we asked for, and that if it does not say."""
    is_number = text.isascii() and text.isdigit() and len(text) < 20
    return min(float(text), LEASE_S) if is_number and int(text) > 0 else LEASE_S


def _reason(query: Mapping[str, str]) -> str:
    """Return a stranger's words as a line of text."""
    text = "".join(c if c.isprintable() else " " for c in query.get("hub.reason", ""))
    return " ".join(text[:_REASON_CHARS].split()) or "it gives no reason"


class Signature:
    """Checks a signature while the body that it is of goes by: header ``method=hexadecimal``."""

    def __init__(self, header: str, secret: str) -> None:
        """Begin with an empty body.

        Args:
            header: X-Hub-Signature, as it came; '' for none.
            secret: the key.
        """
        name, _, self._claimed = header.strip().partition("=")
        method = _METHODS.get(name.lower())
        self._digest = hmac.new(secret.encode(), digestmod=method) if method else None

    def feed(self, chunk: bytes) -> None:
        """Take the next part of the body."""
        if self._digest is not None:
            self._digest.update(chunk)

    def verdict(self) -> Push:
        """Say what the push is, once the body is over. Compares in constant time."""
        if self._digest is None:
            return Push.UNSIGNED
        claimed = self._claimed.lower().encode("utf-8", "replace")
        is_right = hmac.compare_digest(self._digest.hexdigest().encode(), claimed)
        return Push.ACCEPTED if is_right else Push.FALSE
