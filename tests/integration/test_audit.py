"""The audit on a real Redis: names every way to break the books, mends it, and never cries wolf."""

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import msgpack
import pytest
from seeding import BANK, FLOOD, PUMPS, claim, follow, ingest, quarantine
from structlog.testing import capture_logs

from worker.core.entries import entry_id as id_of_entry
from worker.model import (
    ArticleId,
    Entry,
    EntryId,
    Feed,
    FeedId,
    Outcome,
    Page,
    ParsedEntry,
    StoryId,
)
from worker.settings import DAY_S, load_settings
from worker.steps.audit import AuditReport, audit
from worker.steps.repair import repair
from worker.store.feeds import poll_fields
from worker.store.index import ANY_VERSION, Membership
from worker.store.ledger import FETCH, WORK, FeedClaim
from worker.testing import a_sketch, an_article, an_entry
from worker.wiring import Context

PARAMS = load_settings().index.params()


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
        for one, other in zip(ids, ids[1:], strict=False):
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
