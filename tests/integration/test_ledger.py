"""The ledger on a real Redis: one outcome for each entry, whatever is lost, late or doubled."""

from dataclasses import replace

import pytest
import redis

from worker.core.entries import feed_id
from worker.errors import StoreError
from worker.model import EntryId, Feed, Outcome, StoryId
from worker.steps.audit import audit
from worker.store import scripts
from worker.store.claims import Claim, Claims
from worker.store.feeds import poll_fields
from worker.store.ledger import FETCH, WORK, FeedClaim, Started
from worker.testing import FEED, Clock, an_entry
from worker.wiring import Context

LEASE_S = 10.0


def _balanced(context: Context) -> bool:
    return audit(context.ledger, context.stories, context.census).balanced


def _feed_claim(context: Context, clock: Clock, *, token: str = "") -> FeedClaim:
    context.feeds.add(Feed(feed_id=FEED, url="https://example.org/feed"))
    lease = context.feeds.due(now=clock(), lease_s=60.0, limit=1)[0]
    feed = Feed(feed_id=FEED, url="https://example.org/feed", polled_at=clock())
    return FeedClaim(
        feed_id=FEED,
        token=token or lease.token,
        next_poll_at=clock() + 3_600,
        fields={**poll_fields(feed), "etag": '"v1"'},
        listed_all=True,
    )


def _overdue(context: Context, clock: Clock) -> list[tuple[str, str]]:
    found = context.ledger.overdue(now=clock(), limit=10)
    return [(one.entry_id, one.stage) for one in found]


def _started(context: Context, entry_id: EntryId, stage: str, clock: Clock) -> Started:
    started = context.ledger.start(entry_id, stage, now=clock())
    assert isinstance(started, Started)
    return started


def test_claim_when_repeated_then_entries_are_new_once(context: Context) -> None:
    """A response polled twice, or a resent command, puts each entry on the ledger once."""
    clock, entries = Clock(), [an_entry("one"), an_entry("two")]
    first = context.ledger.claim(entries, now=clock())
    again = context.ledger.claim(entries, now=clock())
    assert (first, again) == (tuple(e.entry_id for e in entries), ())
    assert context.ledger.counts()["claimed"] == 2
    assert _balanced(context)


def test_claims_when_made_together_then_each_stands_alone(context: Context) -> None:
    """Entries, state and lease of each feed are its own; a feed whose keys are broken costs no other."""
    clock, names = Clock(), ("one", "two", "bad")
    feeds = {feed_id(url): url for url in (f"https://{name}.example/feed" for name in names)}
    for key, url in feeds.items():
        context.feeds.add(Feed(feed_id=key, url=url))
    leases = {one.feed_id: one for one in context.feeds.due(now=clock(), lease_s=60.0, limit=9)}
    assert {key: lease.feed.url for key, lease in leases.items()} == feeds
    one, two, bad = feeds
    context.client.delete(context.keys.feed(bad))
    context.client.set(context.keys.feed(bad), "no hash")
    claims = [
        Claim(
            [an_entry(key)],
            now=clock(),
            feed=FeedClaim(
                feed_id=key,
                token="another's" if key == two else leases[key].token,
                next_poll_at=clock() + 3_600.0,
                fields={**poll_fields(leases[key].feed), "etag": key},
                listed_all=True,
            ),
        )
        for key in feeds
    ]
    context.client.script_flush()
    first, second, third = Claims(context.client, context.ledger).make(claims)
    assert (first, second) == ((an_entry(one).entry_id,), (an_entry(two).entry_id,))
    assert isinstance(third, StoreError)
    tags = [feed.validators.etag for key in (one, two) if (feed := context.feeds.get(key))]
    assert tags == [one, ""]  # who lost the lease brings entries, and no news of the feed


def test_claim_stores_validators_and_next_poll_with_the_entries(context: Context) -> None:
    """The feed's state is written by the same script as its entries, so never before them."""
    clock = Clock()
    context.ledger.claim([an_entry("one")], now=clock(), feed=_feed_claim(context, clock))
    feed = context.feeds.get(FEED)
    assert feed is not None
    assert (feed.validators.etag, feed.next_poll_at) == ('"v1"', clock() + 3_600)


def test_claim_when_lease_was_stolen_then_validators_stay_and_entries_count(
    context: Context,
) -> None:
    """A slow poller's entries are true; its validators may be older than those stored since."""
    clock = Clock()
    late = _feed_claim(context, clock, token="another")
    assert context.ledger.claim([an_entry("one")], now=clock(), feed=late) != ()
    feed = context.feeds.get(FEED)
    assert feed is not None
    assert feed.validators.etag == ""


def test_lease_of_a_feed_is_kept_by_its_poller_and_lost_to_the_next_one(context: Context) -> None:
    """A poll may take longer than a lease; one whose poller died is taken up after one."""
    clock, feeds = Clock(), context.feeds
    feeds.add(Feed(feed_id=FEED, url="https://example.org/feed"))
    mine = feeds.due(now=clock(), lease_s=LEASE_S, limit=1)
    clock.move(LEASE_S - 1)
    assert feeds.keep(mine, now=clock(), lease_s=LEASE_S) == 1
    clock.move(LEASE_S - 1)
    assert feeds.due(now=clock(), lease_s=LEASE_S, limit=1) == ()
    clock.move(2)
    (theirs,) = feeds.due(now=clock(), lease_s=LEASE_S, limit=1)
    assert feeds.keep(mine, now=clock(), lease_s=LEASE_S) == 0
    feeds.remove(FEED)
    assert feeds.keep([theirs], now=clock(), lease_s=LEASE_S) == 0
    assert feeds.get(FEED) is None


def test_entry_still_listed_when_its_record_expired_then_is_not_new(context: Context) -> None:
    """Some feeds list an entry for years: it is new once, not again after the retention."""
    clock, entry = Clock(), an_entry("old")
    context.ledger.claim([entry], now=clock(), feed=_feed_claim(context, clock))
    context.ledger.settle(entry.entry_id, Outcome.REJECTED, reason="too_short")
    context.client.delete(context.keys.entry(entry.entry_id))  # as if retention were over
    clock.move(3_600)
    again = context.ledger.claim([entry], now=clock(), feed=_feed_claim(context, clock))
    assert again == ()


def test_start_when_another_worker_holds_the_lease_then_refuses(context: Context) -> None:
    """Two hints at one entry do not make two workers extract it at once."""
    clock, entry = Clock(), an_entry("one")
    context.ledger.claim([entry], now=clock())
    assert isinstance(context.ledger.start(entry.entry_id, FETCH, now=clock()), Started)
    assert context.ledger.start(entry.entry_id, FETCH, now=clock()) is None
    clock.move(LEASE_S + 1)
    taken_over = context.ledger.start(entry.entry_id, FETCH, now=clock())
    assert isinstance(taken_over, Started)
    assert taken_over.attempt == 2


def test_start_gives_back_the_entry_as_it_was_claimed(context: Context) -> None:
    """What the poller knew of an entry is what the worker gets."""
    clock, entry = Clock(), an_entry("one")
    context.ledger.claim([entry], now=clock())
    context.ledger.advance(entry.entry_id, "file.warc.gz:17", now=clock())
    started = context.ledger.start(entry.entry_id, WORK, now=clock())
    assert isinstance(started, Started)
    assert (started.entry, started.page, started.attempt) == (entry, "file.warc.gz:17", 1)


def test_entry_when_every_attempt_dies_then_is_quarantined_and_can_be_retried(
    context: Context,
) -> None:
    """After five attempts an entry waits for a person; retrying gives it five more."""
    clock, entry = Clock(), an_entry("poison")
    context.ledger.claim([entry], now=clock())
    for _ in range(context.settings.ledger.attempts):
        assert isinstance(context.ledger.start(entry.entry_id, FETCH, now=clock()), Started)
        clock.move(LEASE_S + 1)
        assert _overdue(context, clock) == [(entry.entry_id, FETCH)]
    assert context.ledger.start(entry.entry_id, FETCH, now=clock()) is Outcome.QUARANTINED
    row = context.ledger.row(entry.entry_id)
    assert row is not None
    assert (row.outcome, row.reason) == ("quarantined", "its worker died every time")
    assert context.ledger.quarantined() == (entry.entry_id,)
    assert _balanced(context)
    assert context.ledger.release(entry.entry_id, now=clock())
    assert isinstance(context.ledger.start(entry.entry_id, FETCH, now=clock()), Started)
    assert _balanced(context)


def test_quarantined_entry_when_dropped_then_counts_as_rejected(context: Context) -> None:
    """Giving up is an outcome too, and the sums agree."""
    clock, entry = Clock(), an_entry("poison")
    context.ledger.claim([entry], now=clock())
    for _ in range(context.settings.ledger.attempts + 1):
        context.ledger.start(entry.entry_id, FETCH, now=clock())
        clock.move(LEASE_S + 1)
    assert context.ledger.release(entry.entry_id, now=clock(), drop=True)
    assert not context.ledger.release(entry.entry_id, now=clock(), drop=True)
    assert context.ledger.counts()["rejected:dropped"] == 1
    assert _balanced(context)


def test_settle_when_repeated_or_contradicted_then_the_first_outcome_stands(
    context: Context,
) -> None:
    """A late worker cannot change an outcome, and nothing is counted twice."""
    clock, entry = Clock(), an_entry("one")
    context.ledger.claim([entry], now=clock())
    assert context.ledger.settle(entry.entry_id, Outcome.REJECTED, reason="paywall") == "rejected"
    assert context.ledger.settle(entry.entry_id, Outcome.ATTACHED) == "rejected"
    assert not context.ledger.advance(entry.entry_id, "late:1", now=clock())
    assert context.ledger.start(entry.entry_id, WORK, now=clock()) is None
    counts = context.ledger.counts()
    assert (counts["rejected"], counts["rejected:paywall"], counts["pending"]) == (1, 1, 0)
    assert "attached" not in counts
    assert _balanced(context)


def test_deferred_entry_comes_back_when_due_and_not_before(context: Context) -> None:
    """A failed attempt waits out its back-off."""
    clock, entry = Clock(), an_entry("one")
    context.ledger.claim([entry], now=clock())
    context.ledger.start(entry.entry_id, FETCH, now=clock())
    context.ledger.defer(entry.entry_id, "no route", due_at=clock() + 30)
    clock.move(29)
    assert _overdue(context, clock) == []
    clock.move(2)
    assert _overdue(context, clock) == [(entry.entry_id, FETCH)]


def test_settle_when_attached_then_keeps_where_it_went_and_leaves_the_rest_to_its_article(
    context: Context,
) -> None:
    """A settled entry lies in Redis for a month: its title and address stand with its article."""
    clock = Clock()
    entry, wall = (replace(an_entry(name), title=name * 90) for name in "ab")
    context.ledger.claim([entry, wall], now=clock())
    context.ledger.settle(
        entry.entry_id, Outcome.ATTACHED, reason="copy", story_id=StoryId("en-0123456789ab"),
    )  # fmt: skip
    context.ledger.settle(wall.entry_id, Outcome.REJECTED, reason="too_short")
    kept, rejected = context.ledger.row(entry.entry_id), context.ledger.row(wall.entry_id)
    assert kept is not None
    assert rejected is not None
    assert (kept.outcome, kept.reason, kept.story_id) == ("attached", "copy", "en-0123456789ab")
    assert (kept.entry.article_id, kept.entry.feed_id) == (entry.article_id, entry.feed_id)
    assert (kept.entry.title, rejected.entry.title) == ("", wall.title)
    key = context.keys.entry(entry.entry_id)
    assert context.client.object("encoding", key) in (b"ziplist", b"listpack")
    assert context.client.ttl(key) > 0


def test_renewed_lease_is_not_overdue_and_a_settled_entry_is_not_revived(
    context: Context,
) -> None:
    """Renewing keeps what is in hand and never puts an entry back on the ledger."""
    clock, kept, settled = Clock(), an_entry("kept"), an_entry("settled")
    context.ledger.claim([kept, settled], now=clock())
    context.ledger.settle(settled.entry_id, Outcome.REJECTED, reason="too_short")
    clock.move(8)
    context.ledger.renew([kept.entry_id, settled.entry_id], now=clock())
    clock.move(8)
    assert _overdue(context, clock) == []
    assert context.ledger.counts()["pending"] == 1


def test_late_result_of_a_stolen_lease_changes_nothing(context: Context) -> None:
    """A worker that was stopped for longer than its lease comes back when another one has begun."""
    clock, entry = Clock(), an_entry("one")
    context.ledger.claim([entry], now=clock())
    late = _started(context, entry.entry_id, FETCH, clock)
    clock.move(LEASE_S + 1)
    assert _overdue(context, clock) == [(entry.entry_id, FETCH)]
    current = _started(context, entry.entry_id, FETCH, clock)
    key = context.keys.entry(entry.entry_id)
    before = context.client.hgetall(key)
    ledger, token = context.ledger, late.token
    assert not ledger.advance(entry.entry_id, "late:1", now=clock(), token=token)
    assert not ledger.defer(entry.entry_id, "late", due_at=clock(), token=token)
    assert ledger.settle(entry.entry_id, Outcome.REJECTED, reason="late", token=token) == ""
    assert context.client.hgetall(key) == before
    assert ledger.advance(entry.entry_id, "page:1", now=clock(), token=current.token)
    assert not ledger.advance(entry.entry_id, "late:1", now=clock(), token=token)
    assert _started(context, entry.entry_id, WORK, clock).page == "page:1"
    assert _balanced(context)


def test_late_result_when_nobody_else_began_then_counts(context: Context) -> None:
    """After a halt of everything all leases are over, and work that was done is not done again."""
    clock, entry = Clock(), an_entry("one")
    context.ledger.claim([entry], now=clock())
    started = _started(context, entry.entry_id, FETCH, clock)
    clock.move(LEASE_S + 1)
    assert _overdue(context, clock) == [(entry.entry_id, FETCH)]
    assert context.ledger.advance(entry.entry_id, "page:1", now=clock(), token=started.token)


def test_handed_back_entries_are_due_at_once_and_deferred_ones_wait_on(context: Context) -> None:
    """A worker that ends gives up what it has in hand, and nothing that waits for its next attempt."""
    clock = Clock()
    held, queued, deferred, settled = entries = [an_entry(name) for name in "abcd"]
    context.ledger.claim(entries, now=clock())
    _started(context, held.entry_id, FETCH, clock)
    context.ledger.defer(deferred.entry_id, "no route", due_at=clock() + 60)
    context.ledger.settle(settled.entry_id, Outcome.REJECTED, reason="too_short")
    ids = [entry.entry_id for entry in entries]
    assert context.ledger.hand_back(ids, now=clock()) == 2
    assert context.ledger.hand_back(ids, now=clock()) == 0
    assert sorted(_overdue(context, clock)) == sorted(
        (entry.entry_id, FETCH) for entry in (held, queued)
    )
    assert _started(context, held.entry_id, FETCH, clock).attempt == 2
    assert _balanced(context)


def test_what_a_dead_worker_had_in_hand_backs_off_and_the_rest_of_its_batch_does_not(
    context: Context,
) -> None:
    """The page in work may be what killed it: its attempts span half a minute, not a moment."""
    clock = Clock()
    poison, other = entries = [an_entry(name) for name in "ab"]
    context.ledger.claim(entries, now=clock())
    ids = [entry.entry_id for entry in entries]
    for wait_s in (2.0, 4.0, 8.0):
        _started(context, poison.entry_id, FETCH, clock)
        context.ledger.hand_back(ids, now=clock(), back_off_s=2.0)
        assert (poison.entry_id, FETCH) not in _overdue(context, clock)
        clock.move(wait_s)
        assert (poison.entry_id, FETCH) in _overdue(context, clock)
    context.ledger.renew([other.entry_id], now=clock())
    context.ledger.hand_back([other.entry_id], now=clock(), back_off_s=2.0)
    assert (other.entry_id, FETCH) in _overdue(context, clock)


def test_renewing_never_brings_a_later_attempt_forward(context: Context) -> None:
    """A batch is renewed whole, and one of its entries may wait for its next attempt by then."""
    clock, entry = Clock(), an_entry("one")
    context.ledger.claim([entry], now=clock())
    context.ledger.defer(entry.entry_id, "no route", due_at=clock() + 60)
    context.ledger.renew([entry.entry_id], now=clock())
    clock.move(LEASE_S + 1)
    assert _overdue(context, clock) == []


def test_what_an_unforeseen_error_left_is_kept_with_its_trace(context: Context) -> None:
    """In the quarantine lies what a person needs: the reason, the place in the archive, the trace."""
    clock, entry = Clock(), an_entry("poison")
    context.ledger.claim([entry], now=clock())
    context.ledger.advance(entry.entry_id, "page:1", now=clock())
    for _ in range(context.settings.ledger.attempts):
        started = _started(context, entry.entry_id, WORK, clock)
        context.ledger.defer(
            entry.entry_id, "KeyError: 'x'", due_at=clock(), trace="in f", token=started.token
        )
    assert context.ledger.start(entry.entry_id, WORK, now=clock()) is Outcome.QUARANTINED
    row = context.ledger.row(entry.entry_id)
    assert row is not None
    assert (row.reason, row.page, row.trace) == ("KeyError: 'x'", "page:1", "in f")


def test_scripts_when_the_server_forgot_them_then_are_sent_again(context: Context) -> None:
    """A restarted or flushed server answers NOSCRIPT; nobody notices."""
    clock = Clock()
    context.ledger.claim([an_entry("one")], now=clock())
    context.client.script_flush()
    assert context.ledger.claim([an_entry("two")], now=clock()) != ()


def test_versions_when_two_run_side_by_side_then_each_reads_what_the_other_writes(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault F46: scripts go by what they are, and what the next version adds is passed over."""
    clock, entries = Clock(), [an_entry(str(n)) for n in range(6)]
    texts = {name: scripts.script_text(name) for name in ("claim", "start", "settle", "overdue")}

    def newer(name: str) -> str:
        return f"{texts[name]}\n-- of the next version"

    for entry in entries:
        monkeypatch.undo()  # this version claims and starts, the next one settles
        context.ledger.claim([entry], now=clock())
        context.client.hset(context.keys.entry(entry.entry_id), "colour", "new in the next version")
        assert isinstance(context.ledger.start(entry.entry_id, FETCH, now=clock()), Started)
        scripts._sha1.cache_clear()
        monkeypatch.setattr(scripts, "script_text", newer)
        assert context.ledger.settle(entry.entry_id, Outcome.REJECTED, reason="wall") == "rejected"
        scripts._sha1.cache_clear()
    monkeypatch.undo()
    rows = [context.ledger.row(entry.entry_id) for entry in entries]
    assert [row and (row.entry, row.outcome) for row in rows] == [(e, "rejected") for e in entries]
    assert _balanced(context)


@pytest.mark.parametrize("name", ["", "no such entry", "../..", "é" * 300, "{live}:counts"])
def test_hint_when_it_names_no_entry_then_there_is_nothing_to_do(
    context: Context, name: str
) -> None:
    """Fault F46: whatever a hint of another version carries, the ledger knows it or does nothing."""
    entry_id = EntryId(name)
    before = {key: context.client.type(key) for key in context.client.scan_iter()}
    assert context.ledger.start(entry_id, WORK, now=Clock()()) is None
    assert not context.ledger.defer(entry_id, "why", due_at=0.0)
    assert context.ledger.settle(entry_id, Outcome.ATTACHED) == ""
    context.ledger.renew([entry_id], now=Clock()())
    assert {key: context.client.type(key) for key in context.client.scan_iter()} == before


def test_audit_when_an_entry_vanished_then_names_it(context: Context) -> None:
    """A loss is an offence with the entry's name, not a wrong sum that nobody sees."""
    clock, entry = Clock(), an_entry("one")
    context.ledger.claim([entry], now=clock())
    context.client.delete(context.keys.entry(entry.entry_id))
    report = audit(context.ledger, context.stories, context.census)
    assert not report.balanced
    assert any(entry.entry_id in offence for offence in report.offences)
    context.client.zrem(context.keys.pending, entry.entry_id)
    report = audit(context.ledger, context.stories, context.census)
    assert report.offences == ("1 entries were claimed, but 0 are pending and 0 have an outcome",)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_server_that_evicts_is_refused(redis_url: str, context: Context, policy: str) -> None:
    """A server that may drop keys by itself never holds the ledger."""
    from worker.errors import UnsafeRedisError

    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", policy)
        try:
            with pytest.raises(UnsafeRedisError, match=f"{policy}.*CONFIG SET"):
                context.check()
        finally:
            client.config_set("maxmemory-policy", "noeviction")
