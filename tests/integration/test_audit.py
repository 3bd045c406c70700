"""The audit on a real Redis: names every way to break the books, mends it; what retention does is no offence."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import msgpack
import pytest
from seeding import BANK, FLOOD, PUMPS, attach, claim, follow, ingest, quarantine
from structlog.testing import capture_logs

from worker.core.entries import entry_id as id_of_entry
from worker.model import (
    Entry,
    Feed,
    Outcome,
    Page,
    ParsedEntry,
    StoryId,
)
from worker.settings import DAY_S, load_settings
from worker.steps.audit import AuditReport, audit
from worker.steps.repair import repair
from worker.store.feeds import poll_fields
from worker.store.ledger import WORK, FeedClaim
from worker.testing import an_article, an_entry
from worker.wiring import Context


def _audit(context: Context) -> AuditReport:
    return audit(context.ledger, context.stories, context.census)


def _repair(context: Context) -> AuditReport:
    return repair(context.ledger, context.stories, context.census, context.archive)


def _dump(context: Context) -> dict[bytes, bytes]:
    """Return everything that is in Redis."""
    return {key: context.client.dump(key) for key in sorted(context.client.scan_iter())}


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A small namespace with an entry for every outcome."""

    context: Context
    flood: Entry  # opened a story, with its page in the archive
    pumps: Entry  # joined it in other words
    reprint: Entry  # copies `flood`
    bank: Entry  # a story of its own
    again: Entry  # a duplicate of `bank`
    short: Entry  # rejected
    held: Entry  # in quarantine
    waiting: Entry  # pending

    def key(self, name: str, of: str = "") -> str:
        """Return the key of the English stories with a name, and an id."""
        return self.context.keys.lang_prefix("en") + name + (f":{of}" if of else "")

    def entry(self, entry: Entry) -> str:
        """Return the key of an entry."""
        return self.context.keys.entry(entry.entry_id)

    def article(self, entry: Entry) -> str:
        """Return the key of an entry's article."""
        return self.context.keys.article("en", entry.article_id)

    def story(self, entry: Entry) -> StoryId:
        """Return the id of an entry's story."""
        article = self.context.stories.article(entry.article_id)
        assert article is not None
        return article.story_id

    def change(self, key: str, **fields: object) -> None:
        """Change fields of a packed record, by their place: `_2=5`."""
        record = msgpack.unpackb(self.context.client.get(key), raw=True)
        for name, value in fields.items():
            record[int(name[1:])] = value
        self.context.client.set(key, msgpack.packb(record, use_bin_type=False), keepttl=True)


def _with_page(context: Context, guid: str, url: str, title: str, text: str) -> Entry:
    """Bring an article to its outcome whose page was fetched and archived."""
    follow(context)
    entry = claim(context, guid, url, title, text)
    html = f"<html><head><title>{title}</title></head><body><article><p>{text}</p></article></body></html>"
    page = Page(
        url=url, final_url=url, status=200, headers={"content-type": "text/html"},
        body=html.encode(), fetched_at=time.time(),
    )  # fmt: skip
    context.ledger.advance(entry.entry_id, context.archive.append(page, entry), now=time.time())
    context.ingest().work([entry.entry_id])
    return entry


@pytest.fixture
def town(context: Context) -> Iterator[Town]:
    """A small namespace whose books are in order."""
    with capture_logs():
        made = Town(
            context=context,
            flood=_with_page(context, "1", "https://a.example/1", "Flood in Oldtown", FLOOD),
            pumps=ingest(context, "2", "https://b.example/2", "Pumps for Oldtown", PUMPS),
            reprint=ingest(context, "3", "https://c.example/3", "Flood", f"{FLOOD} More soon."),
            bank=ingest(context, "4", "https://a.example/4", "Bank raises rate", BANK),
            again=ingest(context, "5", "https://a.example/4?utm_source=x", "Bank", BANK),
            short=ingest(context, "6", "https://a.example/6", "Short", "Too short."),
            held=quarantine(context, "7", "https://a.example/7", "Held"),
            waiting=claim(context, "8", "https://a.example/8", "Waiting", PUMPS),
        )
        assert _audit(context).offences == ()
        yield made
    context.archive.close()


Break = Callable[[Town], object]


def _forget(town: Town) -> None:
    town.context.client.zrem(town.context.keys.pending, town.waiting.entry_id)


def _vanish(town: Town) -> None:
    town.context.client.delete(town.entry(town.waiting))


def _tear(town: Town) -> None:
    town.context.client.hdel(town.entry(town.waiting), "stage")


def _no_stage(town: Town) -> None:
    town.context.client.hset(town.entry(town.waiting), "stage", "done")


def _settled_pending(town: Town) -> None:
    town.context.client.zadd(town.context.keys.pending, {town.short.entry_id: time.time()})


def _held_pending(town: Town) -> None:
    town.context.client.zadd(town.context.keys.pending, {town.held.entry_id: time.time()})


def _not_held(town: Town) -> None:
    town.context.client.zrem(town.context.keys.quarantine, town.held.entry_id)


def _held_unmarked(town: Town) -> None:
    town.context.client.hdel(town.entry(town.held), "outcome")


def _hold(entry: str) -> Break:
    def act(town: Town) -> None:
        held = "0" * 16 if entry == "nobody" else getattr(town, entry).entry_id
        town.context.client.zadd(town.context.keys.quarantine, {held: 1.0})

    return act


def _lose_held(town: Town) -> None:
    town.context.client.delete(town.entry(town.held))


def _count(name: str, by: int) -> Break:
    return lambda town: town.context.client.hincrby(town.context.keys.counts, name, by)


def _lose_article(town: Town) -> None:
    town.context.client.delete(town.article(town.flood))


def _lose_story(town: Town) -> None:
    town.context.client.delete(town.context.keys.story(town.story(town.flood)))


def _lose_story_of_one(town: Town) -> None:
    town.context.client.delete(town.context.keys.story(town.story(town.bank)))


def _unlist(town: Town) -> None:
    town.context.client.zrem(
        town.context.keys.members(town.story(town.flood)), town.pumps.article_id
    )


def _lose_members(town: Town) -> None:
    town.context.client.delete(town.context.keys.members(town.story(town.flood)))


def _lose_sources(town: Town) -> None:
    town.context.client.delete(town.context.keys.sources(town.story(town.flood)))


def _own_account(town: Town) -> None:
    town.context.client.hincrby(
        town.context.keys.sources(town.story(town.flood)), town.reprint.source, 1
    )


def _record(place: int, value: object) -> Break:
    return lambda town: town.change(
        town.context.keys.story(town.story(town.flood)), **{f"_{place}": value}
    )


def _lose_family(town: Town) -> None:
    town.context.client.delete(town.key("family", town.flood.article_id))


def _other_original(town: Town) -> None:
    town.context.client.set(town.key("family", town.flood.article_id), town.reprint.article_id)


def _stranger(town: Town) -> None:
    members = town.context.keys.members(town.story(town.flood))
    town.context.client.zadd(members, {town.bank.article_id: 1.0})


def _dangling_member(town: Town) -> None:
    members = town.context.keys.members(town.story(town.flood))
    town.context.client.zadd(members, {"f" * 16: 1.0})


def _alias(*names: str) -> Break:
    def act(town: Town) -> None:
        ids = [f"en-{name * 12}" for name in names]
        for one, other in pairwise(ids):
            town.context.client.set(
                town.context.keys.story(StoryId(one)), msgpack.packb([other], use_bin_type=False)
            )

    return act


def _half_merged(town: Town) -> None:
    """As if a merge had renamed the story and left its article behind."""
    bank, flood = town.story(town.bank), town.story(town.flood)
    town.context.client.set(
        town.context.keys.story(bank), msgpack.packb([flood], use_bin_type=False)
    )


def _not_shown(town: Town) -> None:
    town.context.client.zrem(town.key("stories"), town.story(town.bank))


def _shown_gone(town: Town) -> None:
    town.context.client.zadd(town.key("stories"), {"en-ffffffffffff": time.time()})


def _empty_story(town: Town) -> None:
    record = msgpack.unpackb(
        town.context.client.get(town.context.keys.story(town.story(town.bank))), raw=True
    )
    record[7] = b"f" * 16  # a founder that is not there
    town.context.client.set(
        town.context.keys.story(StoryId("en-eeeeeeeeeeee")),
        msgpack.packb(record, use_bin_type=False),
    )
    town.context.client.zadd(town.key("stories"), {"en-eeeeeeeeeeee": time.time()})


def _offer_no_story(town: Town) -> None:
    index = town.key("s")
    name = next(n for n in town.context.client.hkeys(index) if len(n) == 4)
    page = town.context.client.hget(index, name)
    town.context.client.hset(index, name, page[:6] + b"\xee" * 6 + page)
    town.context.client.hincrby(index, "entries", 1)


def _offer_no_text(town: Town) -> None:
    town.context.client.setrange(town.key("texts", "0"), 212, b"\xee" * 8)  # that of article 1


def _seq_back(town: Town) -> None:
    town.context.client.decrby(town.key("seq"), 1)


def _docs_ahead(town: Town) -> None:
    [key] = town.context.client.scan_iter(town.key("docs") + ":*")
    town.context.client.incrby(key, 7)


@pytest.mark.parametrize(
    ("break_it", "offence"),
    [
        (_forget, "entry {waiting}: neither pending nor settled: forgotten"),
        (_vanish, "entry {waiting}: pending, but has no record"),
        (_tear, "entry {waiting}: its record is torn"),
        (_no_stage, "entry {waiting}: without outcome, but in no stage"),
        (_settled_pending, "entry {short}: pending, but settled"),
        (_held_pending, "entry {held}: pending, but settled"),
        (_not_held, "entry {held}: given up, but not in quarantine"),
        (_held_unmarked, "entry {held}: in quarantine, but not marked as given up"),
        (_hold("waiting"), "entry {waiting}: pending and in quarantine"),
        (_hold("bank"), "entry {bank}: settled, but in quarantine"),
        (_hold("nobody"), "entry 0000000000000000: in quarantine, but has no record"),
        (_lose_held, "entry {held}: in quarantine, but has no record"),
        (_count("claimed", 2), "10 entries were claimed, but 1 are pending and 7 have an outcome"),
        (_count("claimed", -2), "6 entries were claimed, but 1 are pending and 7 have an outcome"),
        (_count("attached", 3), "8 entries were claimed, but 1 are pending and 10 have an outcome"),
        (_count("rejected", -1), "0 entries count as rejected, but 1 are"),
        (_count("quarantined", 1), "2 entries count as quarantined, but 1 are held"),
        (_lose_article, "entry {flood}: attached, but article {flood.article} is gone"),
        (_lose_article, "story {flood.story}: lists article {flood.article}, which is gone"),
        (_lose_story, "article {pumps.article}: a member of story {flood.story}, which is gone"),
        (_lose_story_of_one, "article {bank.article}: a member of story {bank.story}, which is"),
        (_unlist, "article {pumps.article}: names story {flood.story}, which does not list it"),
        (_unlist, "story {flood.story}: counts 3 articles, has 2"),
        (_lose_members, "article {flood.article}: names story {flood.story}, which does not list"),
        (_lose_sources, "story {flood.story}: counts 0 own accounts of 0 publishers, has 2 of 3"),
        (_own_account, "story {flood.story}: counts 3 own accounts of 3 publishers, has 2 of 3"),
        (_record(1, 5), "story {flood.story}: counts 5 articles, has 3"),
        (_record(1, 1), "story {flood.story}: counts 1 articles, has 3"),
        (_record(2, 0), "story {flood.story}: counts 0 reprints, has 1"),
        (_lose_family, "story {flood.story}: the original of the texts like {flood.article}"),
        (_other_original, "story {flood.story}: the original of the texts like {flood.article}"),
        (_stranger, "article {bank.article}: a member of story {flood.story}, but names another"),
        (_dangling_member, "story {flood.story}: lists article ffffffffffffffff, which is gone"),
        (_alias("a", "b"), "story en-aaaaaaaaaaaa: became part of en-bbbbbbbbbbbb, but that leads"),
        (_alias("a", "b", "a"), "story en-aaaaaaaaaaaa: became part of en-bbbbbbbbbbbb, but that"),
        (_alias("a", "b", "c", "b"), "story en-aaaaaaaaaaaa: became part of en-bbbbbbbbbbbb, but"),
        (_half_merged, "article {bank.article}: names story {bank.story}, which became part of"),
        (_half_merged, "story {bank.story}: on the list of stories, but part of another one"),
        (_not_shown, "story {bank.story}: not on the list of stories"),
        (_shown_gone, "story en-ffffffffffff: on the list of stories, but gone"),
        (_empty_story, "story en-eeeeeeeeeeee: has no article"),
        (_offer_no_story, "story en-eeeeeeeeeeee: the index offers it, but it is gone"),
        (_offer_no_text, "language en: the index offers article number 1, but it is gone"),
        (_seq_back, "language en: 3 attaches, but the newest is number 4"),
        (_docs_ahead, "language en: 11 articles in the document counts of 4 attached"),
    ],
)
def test_what_is_broken_is_named_and_mended_and_then_let_alone(
    town: Town, break_it: Break, offence: str
) -> None:
    """The audit names the offender, the repair mends it in place, a second one writes nothing."""
    context = town.context
    names = {
        name: _Named(town, getattr(town, name))
        for name in ("flood", "pumps", "bank", "short", "held", "waiting")
    }
    expected = offence.format(**names)
    break_it(town)
    before = _dump(context)
    found = _audit(context)
    assert any(one.startswith(expected) for one in found.offences), found.offences
    assert found.repairs == ()
    assert _dump(context) == before  # looking changes nothing
    mended = _repair(context)
    assert (mended.offences, mended.balanced) == ((), True)
    assert mended.repairs  # not always of this offence: listing an article mends its story's count
    assert _audit(context).offences == ()
    after = _dump(context)
    assert _repair(context).repairs == ()
    assert _dump(context) == after


class _Named:
    """The ids of an entry as they were before it was broken."""

    def __init__(self, town: Town, entry: Entry) -> None:
        self._id = entry.entry_id
        self.article = entry.article_id
        stored = town.context.stories.article(entry.article_id)
        self.story = stored.story_id if stored else ""

    def __format__(self, spec: str) -> str:
        return self._id


# --- what a repair brings back works again ------------------------------------------------------


def test_lost_article_when_its_page_was_archived_then_comes_back_as_it_was(town: Town) -> None:
    """The archive tells what the feed said of it; a worker attaches it to its story again."""
    context, before = town.context, town.context.stories.article(town.flood.article_id)
    assert before is not None
    story = context.stories.story(before.story_id)
    context.client.delete(town.article(town.flood))
    _repair(context)
    row = context.ledger.row(town.flood.entry_id)
    assert row is not None
    assert (row.outcome, row.stage, row.entry) == ("", WORK, town.flood)
    assert context.client.ttl(town.entry(town.flood)) == -1
    context.ingest().work([town.flood.entry_id])
    after = context.stories.article(town.flood.article_id)
    assert after is not None
    assert (after.story_id, after.title, after.url) == (before.story_id, before.title, before.url)
    assert (after.source, after.copy_of) == (before.source, None)
    assert context.stories.story(before.story_id) == story
    assert _audit(context).offences == ()


def test_lost_article_when_nothing_tells_of_it_then_is_held_for_a_person(town: Town) -> None:
    """It is not counted as attached any more, and not quietly dropped either."""
    context = town.context
    context.client.delete(town.article(town.bank))
    mended = _repair(context)
    assert mended.balanced
    assert any("put it into the quarantine" in one for one in mended.repairs)
    row = context.ledger.row(town.bank.entry_id)
    assert row is not None
    assert "no archived page" in row.reason
    assert context.ledger.release(town.bank.entry_id, now=time.time(), drop=True)
    assert _audit(context).offences == ()


def test_lost_article_when_its_page_lies_elsewhere_then_says_where_to_repair(town: Town) -> None:
    """Without the archive nothing is given up that another machine can bring back."""
    context = town.context
    context.client.delete(town.article(town.flood))
    context.client.hset(town.entry(town.flood), "page", "20260101-other.1.ab-0001.warc.gz:17")
    mended = _repair(context)
    assert len(mended.offences) == 1
    assert "repair where paths.archive has it" in mended.offences[0]


def test_lost_article_of_a_replay_when_replayed_again_then_is_there(redis_url: str) -> None:
    """Nobody polls for a replay: its source is replayed into the same namespace once more."""
    context = Context(settings=load_settings(), redis_url=redis_url, namespace="again")
    context.check()
    attach(context, "a", FLOOD)
    context.client.delete(context.keys.article("en", an_article("a").article_id))
    mended = _repair(context)
    assert mended.balanced
    assert any("replay its source" in one for one in mended.repairs)
    assert attach(context, "a", FLOOD) == "attached"
    assert _audit(context).offences == ()


def test_story_when_opened_again_then_takes_reprints_and_stands_in_nobodys_way(town: Town) -> None:
    """What it was compared by is gone; that is said, and nothing fails over it."""
    context, story = town.context, town.story(town.flood)
    context.client.delete(context.keys.story(story))
    _repair(context)
    assert {a.article_id for a in context.stories.members(story)} == {
        e.article_id for e in (town.flood, town.pumps, town.reprint)
    }
    reprint = ingest(context, "9", "https://d.example/9", "Flood", f"{FLOOD} Share this.")
    other = ingest(context, "10", "https://e.example/10", "Pumps", f"Oldtown today. {PUMPS} Bye.")
    assert town.story(reprint) == story
    assert town.story(other)
    assert _audit(context).offences == ()


def test_entry_when_a_feed_listed_it_and_its_record_is_gone_then_the_feed_is_asked_for_all(
    context: Context,
) -> None:
    """Validators must not be newer than the ledger: a 304 would hide the entry for ever."""
    entry, feed = _listed(context)
    context.client.delete(context.keys.entry(entry.entry_id))
    found = _audit(context)
    named = f"entry {entry.entry_id}: feed {feed.feed_id} listed it, but there is no record of it"
    assert named in found.offences
    under_way = context.feeds.due(now=time.time() + 7_200, lease_s=60.0, limit=1)[0]
    assert _repair(context).balanced
    stored = context.feeds.get(feed.feed_id)
    assert stored is not None
    assert (stored.validators.etag, stored.validators.last_modified) == ("", "")
    # A poll that was asked with the old validators does not put them back ...
    late = FeedClaim(
        feed_id=feed.feed_id, token=under_way.token, next_poll_at=0.0, fields={"etag": '"v1"'},
        listed_all=False,
    )  # fmt: skip
    context.ledger.claim((), now=time.time(), feed=late)
    stored = context.feeds.get(feed.feed_id)
    assert stored is not None
    assert stored.validators.etag == ""
    # ... and to the next one the entry is new.
    assert context.ledger.claim([entry], now=time.time()) == (entry.entry_id,)
    assert _audit(context).offences == ()


def test_listed_entry_when_retention_removed_it_then_is_no_offence(context: Context) -> None:
    """Some feeds list an entry for years; its record is long gone, and counted."""
    entry, _ = _listed(context)
    context.ledger.settle(entry.entry_id, Outcome.REJECTED, reason="too_short")
    context.client.delete(context.keys.entry(entry.entry_id))
    assert _audit(context).offences == ()


def test_counts_when_nothing_proves_them_then_are_left_and_named(town: Town) -> None:
    """Once retention has removed entries, a count that is too high cannot be told from a right one."""
    context = town.context
    context.client.delete(
        town.entry(town.short), town.entry(town.again)
    )  # as if retention were over
    assert _audit(context).offences == ()
    context.client.hincrby(context.keys.counts, "claimed", -1)
    left = _repair(context)
    named = "7 entries were claimed, but 1 are pending and 7 have an outcome"
    assert (left.repairs, left.offences) == ((), (named,))


def test_torn_records_are_named_with_the_way_out_and_the_rest_is_looked_at(town: Town) -> None:
    """A record that cannot be read stops neither the audit nor the repair of everything else."""
    context, story = town.context, town.story(town.bank)
    broken = town.article(town.bank), town.article(town.reprint), context.keys.story(story)
    for key in broken:
        context.client.set(key, b"\xc1torn", keepttl=True)
    context.client.zrem(context.keys.pending, town.waiting.entry_id)
    left = _repair(context)
    forgotten = f"entry {town.waiting.entry_id}: neither pending nor settled: forgotten"
    assert left.repairs == (f"{forgotten} → made it pending, due now",)
    for key in broken:
        assert any(f"redis-cli DEL '{key}'" in one for one in left.offences)
        context.client.delete(key)
    assert _repair(context).balanced


# --- what is no offence ---------------------------------------------------------------------------


def test_entry_overdue_by_more_than_a_minute_is_an_offence_and_one_in_hand_is_not(
    town: Town,
) -> None:
    """While a poller lives nothing stays overdue; no repair can stand in for it."""
    context, waiting = town.context, town.waiting.entry_id
    context.client.zadd(context.keys.pending, {waiting: time.time() - 65})
    assert _audit(context).offences == ()
    context.client.zadd(context.keys.pending, {waiting: time.time() - 100})
    left = _repair(context)
    assert left.repairs == ()
    assert left.offences == (f"entry {waiting}: overdue by 100 s; is `samestory poll` running?",)


def test_article_and_entries_when_retention_removes_them_then_no_offence(town: Town) -> None:
    """A story that moved lately outlives its first articles, which leave its list in time."""
    context, story = town.context, town.story(town.flood)
    aged = replace(
        context.census,
        books=type(context.census.books)(
            context.client, context.keys, retention_s=30 * DAY_S,
            clock=lambda: time.time() + 40 * DAY_S,
        ),
    )  # fmt: skip
    context.client.expire(town.entry(town.flood), 5)  # it was attached when it was settled
    context.client.delete(town.article(town.flood))
    members = context.keys.members(story)

    def offences() -> list[str]:
        found = audit(context.ledger, context.stories, aged).offences
        return [one for one in found if not one.startswith("language en: the index")]

    assert offences() == []
    context.client.zrem(members, town.flood.article_id)  # as an attach takes it off the list,
    assert offences() == [f"story {story}: counts 3 articles, has 2"]
    town.change(context.keys.story(story), _10=1)  # and notes it
    assert offences() == []


def test_entry_known_when_retried_late_then_its_article_may_go_before_it(town: Town) -> None:
    """A worker died after its attach and the entry was settled weeks later."""
    context = town.context
    context.client.hset(
        town.entry(town.bank), mapping={"reason": "known", "seen_at": time.time() - 31 * DAY_S}
    )
    context.client.delete(town.article(town.bank))
    assert not any(one.startswith("entry") for one in _audit(context).offences)


def _listed(context: Context) -> tuple[Entry, Feed]:
    """Claim one entry as a poll does, with the feed's validators."""
    feed = follow(context)
    lease = context.feeds.due(now=time.time(), lease_s=60.0, limit=1)[0]
    parsed = ParsedEntry(
        guid="one", url="https://a.example/1", title="One", summary=FLOOD, published_at=None
    )
    entry = replace(an_entry("one", feed=feed.feed_id), entry_id=id_of_entry(feed.feed_id, parsed))
    claim_of_feed = FeedClaim(
        feed_id=feed.feed_id, token=lease.token, next_poll_at=time.time() + 3_600,
        fields={**poll_fields(feed), "etag": '"v1"', "last_modified": "then"}, listed_all=True,
    )  # fmt: skip
    context.ledger.claim([entry], now=time.time(), feed=claim_of_feed)
    return entry, feed
