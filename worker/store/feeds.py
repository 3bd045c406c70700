"""The feeds of a namespace: the poll schedule, and what is known of each."""

import secrets
import struct
from base64 import b85decode, b85encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import redis

from worker.core import entries
from worker.model import (
    Dates,
    EntryId,
    Feed,
    FeedId,
    FeedWishes,
    Move,
    Rhythm,
    Taken,
    Validators,
    Why,
)
from worker.store.client import store_errors
from worker.store.keys import Keys
from worker.store.scripts import Scripts, pairs

# Clocks of several machines differ by less when NTP keeps them; beyond it a clock jumped.
SKEW_S = 60.0
_COUNTS = struct.Struct(">24e")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to poll one feed; the token proves it when the result comes."""

    feed_id: FeedId
    token: str
    feed: Feed = field(compare=False, repr=False)  # as it was then: nobody else may poll it now


class Feeds:
    """The feeds of one namespace."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._scripts = Scripts(client)
        self._keys = keys

    def add(self, feed: Feed) -> bool:
        """Add a feed, due at its ``next_poll_at``. One that is there keeps its state, schedule and validators.

        Returns: whether it is new; a feed that moved to this address is there too.
        """
        keys = [self._keys.feeds, self._keys.feed(feed.feed_id), self._keys.moved]
        arguments = {
            "feed_id": feed.feed_id,
            "url": feed.url,
            "title": feed.title,
            "next_poll_at": feed.next_poll_at,
        }
        return bool(self._scripts.run("follow", keys, arguments))

    def remove(self, feed_id: FeedId) -> bool:
        """Forget a feed. Its entries go on to their outcome; its articles stay; its hub is told."""
        k = self._keys
        keys = [k.feeds, k.feed(feed_id), k.moved, k.listed(feed_id)]
        keys += [k.subscribing, k.subscription(feed_id)]
        return bool(self._scripts.run("unfollow", keys, {"feed_id": feed_id}))

    @store_errors()
    def at(self, url: str) -> Feed | None:
        """Return the feed that is asked at a canonical address, be it that it moved there; or None."""
        here = entries.feed_id(url)
        moved = self._client.hget(self._keys.moved, here)
        feed = self.get(FeedId(moved.decode()) if moved else here)
        return feed if feed and feed.url == url else None

    def due(self, *, now: float, lease_s: float, limit: int) -> tuple[Lease, ...]:
        """Lease the feeds whose time has come, at most ``limit``, the longest overdue first.

        Cost: one round trip.
        """
        token = secrets.token_hex(4)
        arguments = {
            "now": now,
            "lease": lease_s,
            "limit": limit,
            "token": token,
            "feed_prefix": self._keys.feed_prefix,
        }
        leased = self._scripts.run("due", [self._keys.feeds], arguments)
        found = ((FeedId(raw_id.decode()), pairs(raw)) for raw_id, raw in leased)
        return tuple(
            Lease(feed_id=one, token=token, feed=_feed(one, raw, now + lease_s))
            for one, raw in found
        )

    def keep(self, leases: Iterable[Lease], *, now: float, lease_s: float) -> int:
        """Keep the leases of feeds that this process polls; return how many are still its own."""
        held = [(lease.feed_id, lease.token) for lease in leases]
        if not held:
            return 0
        arguments = {"leases": held, "until": now + lease_s, "feed_prefix": self._keys.feed_prefix}
        return int(self._scripts.run("keep", [self._keys.feeds], arguments))

    def put_back(self, lease: Lease, at: float) -> bool:
        """Give a lease back unused; the feed is due at a time. Return whether it was still held."""
        keys = [self._keys.feeds, self._keys.feed(lease.feed_id)]
        arguments = {"feed_id": lease.feed_id, "token": lease.token, "at": at}
        return bool(self._scripts.run("put_back", keys, arguments))

    @store_errors()
    def addresses(self) -> frozenset[str]:
        """Return ids of what is followed and where it moved: another set once that is another.

        Cost: O(feeds), one round trip.
        """
        with self._client.pipeline(transaction=False) as pipe:
            pipe.zrange(self._keys.feeds, 0, -1)
            pipe.hkeys(self._keys.moved)
            return frozenset(raw.decode() for found in pipe.execute() for raw in found)

    @store_errors()
    def is_listed(self) -> bool:
        """Say whether a list of the feeds was written from this Redis; an emptied one forgot it."""
        return bool(self._client.exists(self._keys.followed))

    @store_errors()
    def mark_listed(self) -> None:
        """Note that the list of feeds follows this Redis from now on."""
        self._client.set(self._keys.followed, 1)

    def rejoin(self, feed: Feed, *, now: float) -> bool:
        """Put a feed that was polled in the future back on the schedule; say whether it was one.

        From now on it waits as long as it had to wait after that poll.
        """
        if feed.polled_at <= now + SKEW_S:
            return False
        arguments = {"feed_id": feed.feed_id, "now": now, "slack": SKEW_S}
        keys = [self._keys.feeds, self._keys.feed(feed.feed_id)]
        return bool(self._scripts.run("rejoin", keys, arguments))

    @store_errors()
    def get(self, feed_id: FeedId) -> Feed | None:
        """Return one feed, or None when it is not followed."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self._keys.feed(feed_id))
            pipe.zscore(self._keys.feeds, feed_id)
            raw, score = pipe.execute()
        return None if score is None else _feed(feed_id, raw, score)

    def listed(self, feed_id: FeedId) -> dict[EntryId, bytes]:
        """Return what the feed's last document listed, and said of each (core.edits.saying).

        Cost: O(entries).
        """
        flat = self._scripts.run("listed", [self._keys.listed(feed_id)], {})
        return {EntryId(raw.decode()): said for raw, said in pairs(flat).items()}

    def postpone(self, moves: Sequence[tuple[FeedId, float, float]]) -> int:
        """Let feeds come due later, each given as (id, when it was due, when it is); return how many.

        One that is due at another time by now, because somebody polls it, keeps that.
        """
        return int(self._scripts.run("postpone", [self._keys.feeds], {"feeds": moves}))

    @store_errors()
    def due_before(self, at: float, *, limit: int) -> tuple[Feed, ...]:
        """Return the feeds that came due before a time, the longest overdue first."""
        scored = self._client.zrangebyscore(
            self._keys.feeds, "-inf", f"({at!r}", start=0, num=limit, withscores=True
        )
        return self._read(scored)

    @store_errors()
    def all(self) -> tuple[Feed, ...]:
        """Return every feed, the next to be polled first. Cost: O(feeds)."""
        return self._read(self._client.zrange(self._keys.feeds, 0, -1, withscores=True))

    def _read(self, scored: Sequence[tuple[bytes, float]]) -> tuple[Feed, ...]:
        if not scored:
            return ()
        with self._client.pipeline(transaction=False) as pipe:
            for raw_id, _ in scored:
                pipe.hgetall(self._keys.feed(FeedId(raw_id.decode())))
            states = pipe.execute()
        return tuple(
            _feed(FeedId(raw_id.decode()), raw, score)
            for (raw_id, score), raw in zip(scored, states, strict=True)
        )


def poll_fields(feed: Feed) -> dict[str, str | float]:
    """Return what a poll writes about a feed, for the claim that stores it."""
    return {
        "title": feed.title,
        "etag": feed.validators.etag,
        "last_modified": feed.validators.last_modified,
        "validators_url": feed.validators.url,
        "wishes": _wish_text(feed.wishes),
        "watched": f"{int(feed.rhythm.since)} {int(feed.rhythm.until)}",
        "changes": _packed(feed.rhythm.changes),
        "dates": feed.dates.value,
        "why": feed.why.value if feed.why else "",
        "polled_at": feed.polled_at,
        "changed_at": feed.changed_at,
        "interval_s": feed.interval_s,
        "soonest_at": feed.soonest_at,
        "error": feed.error,
        "failures": feed.failures,
        "gone": int(feed.gone),
        "move": f"{feed.move.since} {feed.move.polls} {feed.move.url}" if feed.move else "",
        "same_as": feed.same_as,
        "taken": f"{feed.taken.count:.1f} {feed.taken.at:.0f}" if feed.taken.count else "",
        "left_out": feed.left_out,
    }


def _feed(feed_id: FeedId, raw: Mapping[bytes, bytes], next_poll_at: float) -> Feed:
    fields = {name.decode(): value.decode() for name, value in raw.items()}
    return Feed(
        feed_id=feed_id,
        url=fields.get("url", ""),
        title=fields.get("title", ""),
        validators=Validators(
            etag=fields.get("etag", ""),
            last_modified=fields.get("last_modified", ""),
            url=fields.get("validators_url", ""),
        ),
        wishes=_wishes(fields.get("wishes", "")),
        rhythm=_rhythm(fields.get("watched", ""), fields.get("changes", "")),
        dates=Dates(fields.get("dates", "")),
        next_poll_at=next_poll_at,
        soonest_at=float(fields.get("soonest_at", 0)),
        why=Why(fields["why"]) if fields.get("why") else None,
        polled_at=float(fields.get("polled_at", 0)),
        changed_at=float(fields.get("changed_at", 0)),
        interval_s=float(fields.get("interval_s", 0)),
        error=fields.get("error", ""),
        failures=int(fields.get("failures", 0)),
        gone=fields.get("gone") == "1",
        move=_move(fields.get("move", "")),
        same_as=FeedId(fields.get("same_as", "")),
        taken=_taken(fields.get("taken", "")),
        left_out=int(fields.get("left_out", 0)),
    )


def _taken(text: str) -> Taken:
    count, _, at = text.partition(" ")
    return Taken(count=float(count), at=float(at)) if text else Taken()


def _move(text: str) -> Move | None:
    since, _, rest = text.partition(" ")
    polls, _, url = rest.partition(" ")
    return Move(url=url, since=float(since), polls=int(polls)) if text else None


def _wish_text(wishes: FeedWishes) -> str:
    """Return a feed's wishes in a few characters; none for none, as most feeds have none."""
    if wishes == FeedWishes():
        return ""
    return f"{wishes.every_s:g} {wishes.skip_hours} {wishes.skip_days}"


def _wishes(text: str) -> FeedWishes:
    if not text:
        return FeedWishes()
    every_s, hours, days = text.split()
    return FeedWishes(every_s=float(every_s), skip_hours=int(hours), skip_days=int(days))


def _packed(changes: tuple[float, ...]) -> str:
    """Return a count of each hour of day as 60 characters: half floats, errors of .05 % at most.

    Redis keeps a hash compact only as long as no value of it has more than 64 bytes.
    """
    return b85encode(_COUNTS.pack(*changes)).decode()


def _rhythm(times: str, changes: str) -> Rhythm:
    if not times:
        return Rhythm()
    since, until = times.split()
    counts = _COUNTS.unpack(b85decode(changes))
    return Rhythm(since=float(since), until=float(until), changes=counts)
