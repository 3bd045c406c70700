"""An edited entry, in every state that it may be in: its article changes, and nothing is counted anew."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from outlet import (
    LATER_S,
    OPERA,
    QUAKE,
    Site,
    feed_of,
    fetch_all,
    page,
    row_of,
    with_steps,
)
from outlet import follow as follow_url
from seeding import BANK, FLOOD, PUMPS, claim, ingest, quarantine

from worker.bundles import Bundles
from worker.core.edits import TELL_EACH_S
from worker.core.entries import article_id
from worker.core.events import Cursor, Event
from worker.model import Article, ArticleId, Entry, EntryId, StoryId
from worker.networking import PollSteps
from worker.settings import Settings
from worker.steps.attach import Attachment
from worker.steps.audit import audit
from worker.store.claims import Claim
from worker.store.ledger import WORK, FeedClaim, Started
from worker.store.scripts import Scripts
from worker.store.stories import StoredArticle
from worker.testing import Clock, a_sketch
from worker.wiring import Context

pytestmark = pytest.mark.usefixtures("books")

URL = "https://river-post.example/flood"
TITLE, NEW_TITLE = "Flood in Oldtown", "Flood in Oldtown: eighty rescued"
NEW_URL = "https://www.river-post.example/oldtown-flood"


def _edit(context: Context, entry: Entry, *, after_s: float = 60.0, **said: object) -> int:
    """Let the feed of an entry be seen, some time after it was claimed, to say something else of it."""
    edited = replace(entry, **({"title": NEW_TITLE} | said))  # type: ignore[arg-type]
    return context.edits.edit([edited], now=entry.seen_at + after_s)


def _article(context: Context, entry: Entry) -> StoredArticle:
    article = context.stories.article(entry.article_id)
    assert article is not None
    return article


def _told(context: Context) -> list[Event]:
    """Return all events in order."""
    items = context.events.read(Cursor(), limit=1_000)
    return [item for item in items if isinstance(item, Event)]


def _types(context: Context) -> list[str]:
    return [event.type for event in _told(context)]


def _start(context: Context, entry: Entry) -> Started:
    """Let a worker take an entry in hand."""
    started = context.ledger.start(entry.entry_id, WORK, now=entry.seen_at)
    assert isinstance(started, Started)
    return started


def _attach(context: Context, entry: Entry) -> Attachment:
    """Attach an article as a worker does that has this entry in hand; settle nothing."""
    article = Article(
        article_id=entry.article_id, ref=entry.ref, url=entry.url, source=entry.source,
        title=entry.title, lang="en", published_at=entry.seen_at, at=entry.seen_at,
        seen_at=entry.seen_at, edited_at=entry.edited_at,
    )  # fmt: skip
    sketch = a_sketch(entry.summary, context.settings.index.params(), title=TITLE)
    return context.attacher.attach(article, sketch, entry_id=entry.entry_id, now=entry.seen_at)


# --- attached -------------------------------------------------------------------------------


def test_article_when_edited_then_its_record_says_so_and_nothing_is_counted_anew(
    context: Context,
) -> None:
    """Title, address and headline are the new ones; story, sources, dates and retention as they were."""
    entry = ingest(context, "1", URL, TITLE, FLOOD)
    before, counts = _article(context, entry), context.ledger.counts()
    keys = [context.keys.article("en", entry.article_id), context.keys.story(before.story_id)]
    for key in keys:
        context.client.expire(key, 1_000)
    said_at = entry.seen_at + 60.0
    assert _edit(context, entry, url=NEW_URL, published_at=said_at) == 1
    after = _article(context, entry)
    assert after == replace(before, title=NEW_TITLE, url=NEW_URL, edited_at=said_at)
    [story] = context.stories.newest(limit=5)
    assert (story.title, story.articles, story.own_accounts) == (NEW_TITLE, 1, 1)
    assert context.ledger.counts() == counts
    assert all(0 < context.client.ttl(key) <= 1_000 for key in keys)


def test_article_when_edited_then_one_event_tells_of_it(context: Context) -> None:
    """It names the article and its story, and has an id of its own, however often the edit is made."""
    entry = ingest(context, "1", URL, TITLE, FLOOD)
    assert _edit(context, entry) == 1
    assert _edit(context, entry) == 0
    assert _edit(context, entry, after_s=61.0) == 0
    opened, edited = (event.document() for event in _told(context))
    assert (edited["type"], edited["number"]) == ("article_edited", 2)
    assert (edited["story"], edited["article"]) == (opened["story"], entry.article_id)
    assert edited["id"] != opened["id"]


@pytest.mark.parametrize(
    "said",
    [
        {"title": TITLE},
        {"title": TITLE, "summary": "Other words."},
        {"title": TITLE, "published_at": 1_700_000_000.0},
        {"title": "", "url": ""},
        {"title": TITLE, "url": "https://elsewhere.example/flood", "source": "elsewhere.example"},
        {"title": TITLE, "updated_at": 1_700_000_000.0},
    ],
    ids=["same", "summary", "published", "silence", "other publisher", "changed long before"],
)
def test_article_when_its_feed_says_nothing_new_then_stays_as_it_is(
    context: Context, said: dict[str, object]
) -> None:
    """What was counted stays, and an address is not lent to another publisher's page."""
    entry = ingest(context, "1", URL, TITLE, FLOOD)
    before = _article(context, entry)
    assert _edit(context, entry, **said) == 0
    assert _article(context, entry) == before
    assert _types(context) == ["story_opened"]


def test_article_when_its_publisher_says_that_it_changed_then_that_is_an_edit(
    context: Context,
) -> None:
    """Text may change under a title that stays."""
    entry = ingest(context, "1", URL, TITLE, FLOOD)
    said = {"title": TITLE, "updated_at": entry.seen_at + 50.0}
    assert _edit(context, entry, **said) == 1
    assert _edit(context, entry, **said, after_s=2 * TELL_EACH_S) == 0
    article = _article(context, entry)
    assert (article.title, article.edited_at) == (TITLE, entry.seen_at + 60.0)


def test_article_when_edited_again_and_again_then_one_event_an_hour_tells_of_it(
    context: Context,
) -> None:
    """A feed that gives other titles whenever it is asked floods nobody; the record has the newest."""
    entry = ingest(context, "1", URL, TITLE, FLOOD)
    minutes = range(1, 125)
    for minute in minutes:
        assert _edit(context, entry, title=f"{TITLE} {minute}", after_s=60.0 * minute) == 1
    hours = {(entry.seen_at + 60.0 * minute) // TELL_EACH_S for minute in minutes}
    assert _types(context) == ["story_opened", *["article_edited"] * len(hours)]
    assert _article(context, entry).title == f"{TITLE} 124"


def test_article_when_an_older_word_comes_late_then_keeps_the_newer_one(context: Context) -> None:
    """A poller that was stopped for long brings what its feed said before."""
    entry = ingest(context, "1", URL, TITLE, FLOOD)
    assert _edit(context, entry, after_s=2 * TELL_EACH_S) == 1
    assert _edit(context, entry, title="Flood", after_s=60.0) == 0
    assert _article(context, entry).title == NEW_TITLE


def test_original_and_reprint_when_edited_then_stay_original_and_reprint(context: Context) -> None:
    """The date first given decides, so an edit moves no own account; headlines are the founder's."""
    first = ingest(context, "1", URL, TITLE, FLOOD)
    copy = ingest(context, "2", "https://b.example/2", "Flood", f"{FLOOD} More soon.")
    account = ingest(context, "3", "https://c.example/3", "Pumps", PUMPS)
    story_id = _article(context, first).story_id
    before, sources = context.stories.story(story_id), context.stories.sources(story_id)
    members = context.stories.members(story_id)
    for entry in (first, copy, account):
        said_at = entry.seen_at + 60.0
        said = {"title": f"Edited: {entry.title}", "published_at": said_at, "updated_at": said_at}
        assert _edit(context, entry, **said) == 1
    assert _article(context, copy).copy_of == first.article_id
    assert context.stories.sources(story_id) == sources
    after = context.stories.story(story_id)
    assert before is not None
    assert after == replace(before, title=f"Edited: {TITLE}")
    edited = context.stories.members(story_id)
    assert [m.article_id for m in edited] == [m.article_id for m in members]
    assert all(m.title.startswith("Edited: ") for m in edited)


def test_article_when_its_story_became_part_of_another_then_is_edited_there(
    context: Context,
) -> None:
    """The ledger names the story that it joined, its record the one that it is in by now."""
    first = ingest(context, "1", URL, TITLE, FLOOD)
    other = ingest(context, "2", "https://b.example/2", "Bank", BANK)
    ids = [_article(context, entry).story_id for entry in (first, other)]
    _merge(context, *ids)
    assert _edit(context, other) == 1
    article = _article(context, other)
    assert (article.title, article.story_id) == (NEW_TITLE, ids[0])
    assert _told(context)[-1].facts["story"] == ids[0]
    story = context.stories.story(ids[1])
    assert story is not None
    assert (story.title, story.articles) == (TITLE, 2)


def _merge(context: Context, into: StoryId, other: StoryId) -> None:
    prefix = context.keys.lang_prefix("en")
    arguments = {
        "prefix": prefix, "into": into, "from": other, "versions": [1, 1], "exemplars": "",
        "bridge": ArticleId("0" * 16), "now": time.time(), "ttl": 1_000,
    }  # fmt: skip
    assert Scripts(context.client).run("merge", [prefix + "seq"], arguments) == 1


def _ends_as(context: Context, guid: str, url: str) -> str:
    """Return the outcome of an entry that lists an address."""
    return row_of(context, ingest(context, guid, url, "Bank", BANK).entry_id).outcome


def test_article_when_its_address_was_edited_then_who_lists_either_brings_a_duplicate(
    context: Context,
) -> None:
    """By the first one it has its id, and the one of now leads to it; what was between is free again."""
    entry = ingest(context, "1", URL, TITLE, FLOOD)
    between, now = f"{URL}-2", f"{URL}-3"
    _edit(context, entry, url=between)
    assert _ends_as(context, "2", between) == "duplicate"
    context.client.expire(context.keys.article("en", entry.article_id), 1_000)
    _edit(context, entry, url=now, after_s=2 * TELL_EACH_S)
    assert [_ends_as(context, f"{url}#", url) for url in (URL, now)] == ["duplicate"] * 2
    assert _ends_as(context, "3", between) == "attached"
    found = context.stories.article(article_id(now, EntryId("")))
    assert found == _article(context, entry)
    alias = context.keys.article("en", article_id(now, EntryId("")))
    assert 0 < context.client.ttl(alias) <= 1_000
    _edit(context, entry, url=URL, after_s=4 * TELL_EACH_S)
    assert context.client.exists(alias) == 0


def test_article_when_edited_to_the_address_of_another_then_both_stay(context: Context) -> None:
    """Neither takes the other's place, or its members'."""
    first = ingest(context, "1", URL, TITLE, FLOOD)
    other = ingest(context, "2", NEW_URL, "Bank", BANK)
    assert _edit(context, first, url=NEW_URL) == 1
    assert (_article(context, first).url, _article(context, other).title) == (NEW_URL, "Bank")
    assert _edit(context, first, url=URL, after_s=2 * TELL_EACH_S) == 1
    assert _article(context, other).title == "Bank"


def test_article_when_it_is_gone_and_its_alias_is_not_then_the_address_is_free(
    context: Context,
) -> None:
    """An alias that leads nowhere stands in nobody's way."""
    entry = ingest(context, "1", URL, TITLE, FLOOD)
    _edit(context, entry, url=NEW_URL)
    article = context.keys.article("en", entry.article_id)
    kept = context.client.dump(article)
    context.client.delete(article)
    assert context.stories.article(article_id(NEW_URL, EntryId(""))) is None
    assert _ends_as(context, "2", NEW_URL) == "attached"
    context.client.restore(article, 1_000_000, kept)


# --- not attached, or not by this entry --------------------------------------------------------


def test_duplicate_when_edited_then_the_article_of_the_other_entry_stays(context: Context) -> None:
    """Only the entry that brought an article speaks for it, whatever other feeds say of its page."""
    first = ingest(context, "1", URL, TITLE, FLOOD)
    again = ingest(context, "2", URL, TITLE, FLOOD)
    before = _article(context, first)
    assert _edit(context, again) == 0
    # Nor would an entry that took itself for the one.
    attached = {"outcome": "attached", "story": before.story_id}
    context.client.hset(context.keys.entry(again.entry_id), mapping=attached)
    assert _edit(context, again) == 0
    context.client.hset(context.keys.entry(again.entry_id), "outcome", "duplicate")
    assert _article(context, first) == before


def test_rejected_entry_when_edited_then_stays_rejected(context: Context) -> None:
    """An entry has one outcome; its page is not fetched a second time to find another."""
    entry = ingest(context, "1", URL, "Short", "Too short.")
    before = row_of(context, entry.entry_id)
    assert _edit(context, entry, summary=FLOOD) == 0
    assert row_of(context, entry.entry_id) == before


def test_entry_when_pending_and_edited_then_its_article_is_made_of_the_new_words(
    context: Context,
) -> None:
    """Nobody was told of it yet, so there is one event: the article, as it is by now."""
    entry = claim(context, "1", URL, TITLE, "Too short.")
    assert _edit(context, entry, url=NEW_URL, summary=FLOOD) == 1
    context.ingest().work([entry.entry_id])
    article = _article(context, entry)
    assert (article.title, article.url) == (NEW_TITLE, NEW_URL)
    assert article.edited_at == entry.seen_at + 60.0
    assert _types(context) == ["story_opened"]
    assert context.ledger.counts()["claimed"] == 1


def test_entry_when_its_page_is_not_fetched_yet_then_its_article_is_that_of_the_new_address(
    context: Context, site: Site
) -> None:
    """A link that is put right at once counts for nothing: as if it had been claimed so."""

    async def act(steps: PollSteps) -> None:
        room = Newsroom(context, site, steps)
        room.serve()
        room.say("one", TITLES, folder="wrong/")
        new = await room.poll()
        room.say("two", TITLES)
        assert await room.poll() == ()
        await fetch_all(steps, new)
        context.ingest().work(new)
        assert [path for path in site.paths() if path != "/feed"] == ["/quake", "/opera"]
        ids = {article_id(site.url(f"/{name}"), EntryId("")) for name in TITLES}
        assert {row_of(context, entry_id).entry.article_id for entry_id in new} == ids

    with_steps(context, act)
    assert _types(context) == ["story_opened"] * 2


def test_entry_when_edited_while_a_worker_has_it_then_is_due_again_at_once(
    context: Context,
) -> None:
    """What the worker began with is what it attaches; as its result is late, another one brings the edit."""
    entry = claim(context, "1", URL, TITLE, FLOOD)
    started = _start(context, entry)
    assert _edit(context, entry, after_s=1.0) == 1
    context.ingest()._settle(started, entry.seen_at)  # the worker goes on
    assert row_of(context, entry.entry_id).outcome == ""
    [due] = context.ledger.overdue(now=entry.seen_at + 1.0, limit=1)
    context.ingest().work([due.entry_id])
    assert _article(context, entry).title == NEW_TITLE
    assert _types(context) == ["story_opened", "article_edited"]
    assert context.ledger.counts()["attached"] == 1


def test_entry_when_its_worker_died_before_settling_then_the_edit_reaches_its_article(
    context: Context,
) -> None:
    """The article is attached and its entry is not settled: the next attempt brings the edit."""
    entry = claim(context, "1", URL, TITLE, FLOOD)
    _start(context, entry)
    _attach(context, entry)
    context.ledger.overdue(now=entry.seen_at + 100.0, limit=1)
    assert _edit(context, entry, after_s=101.0) == 1
    assert context.client.exists(context.keys.article("en", entry.article_id))
    context.ingest().work([entry.entry_id])
    article = _article(context, entry)
    assert (article.title, article.edited_at) == (NEW_TITLE, entry.seen_at + 101.0)
    assert _types(context) == ["story_opened", "article_edited"]


@pytest.mark.parametrize("is_first", [True, False])
def test_entry_when_its_worker_was_stopped_for_long_then_takes_no_edit_back(
    context: Context, *, is_first: bool
) -> None:
    """It has in hand what was said before the edit: its result is late, and its words are older."""
    entry = claim(context, "1", URL, TITLE, FLOOD)
    stopped = _start(context, entry)
    context.ledger.overdue(now=entry.seen_at + 100.0, limit=1)
    assert _edit(context, entry, after_s=101.0) == 1
    step = context.ingest()
    if is_first:
        step._settle(stopped, entry.seen_at)  # it goes on where it was stopped
        assert row_of(context, entry.entry_id).outcome == ""
    step.work([entry.entry_id])
    step._settle(stopped, entry.seen_at)
    assert _article(context, entry).title == NEW_TITLE
    assert context.ledger.counts()["attached"] == 1


def test_entry_when_an_older_word_comes_late_then_keeps_the_newer_one(context: Context) -> None:
    """As its article would, were it one yet."""
    entry = claim(context, "1", URL, TITLE, FLOOD)
    assert _edit(context, entry, after_s=120.0) == 1
    assert _edit(context, entry, title="Flood", after_s=60.0) == 0
    assert row_of(context, entry.entry_id).entry.title == NEW_TITLE


def _worker(context: Context, entry: Entry, clock: Clock) -> Iterator[None]:
    """Do what a worker does with an entry, a step at a time; it may be stopped between any two."""
    started = context.ledger.start(entry.entry_id, WORK, now=clock())
    yield
    if isinstance(started, Started):
        attachment = _attach(context, started.entry)
        if attachment.reason == "known":
            context.edits.edit_article("en", started.entry)
        yield
        context.ledger.settle(
            entry.entry_id, attachment.outcome, story_id=attachment.story_id,
            token=started.token,
        )  # fmt: skip


def test_entry_when_two_workers_and_an_edit_meet_then_the_edit_is_there_in_every_order(
    redis_url: str, settings: Settings
) -> None:
    """In whatever order their scripts run, one article is attached, once, and has the new title."""
    orders = sorted(set(permutations("111222e")))
    for number, order in enumerate(orders):
        context = Context(settings=settings, redis_url=redis_url, namespace=f"order-{number}")
        entry = claim(context, "1", URL, TITLE, FLOOD)
        clock = Clock(entry.seen_at)
        workers = {name: _worker(context, entry, clock) for name in "12"}
        for step in order:
            clock.move(100.0)  # longer than a lease
            if step == "e":
                context.edits.edit([replace(entry, title=NEW_TITLE)], now=clock())
            else:
                next(workers[step], None)
        while not row_of(context, entry.entry_id).outcome:  # as reconcile does
            clock.move(100.0)
            assert list(_worker(context, entry, clock))
        assert _article(context, entry).title == NEW_TITLE, order
        assert context.stories.totals("en")["articles"] == 1, order
        assert _types(context) in (["story_opened"], ["story_opened", "article_edited"]), order
        assert audit(context.ledger, context.stories, context.census).offences == (), order
        context.client.close()
    assert len(orders) == 140


def test_entry_when_given_up_and_edited_then_another_try_begins_with_the_new_words(
    context: Context,
) -> None:
    """Quarantine may last for weeks; whoever lets the entry out gets it as it is by then."""
    entry = quarantine(context, "1", URL, TITLE)
    assert _edit(context, entry) == 1
    assert context.ledger.counts()["held"] == 1
    context.ledger.release(entry.entry_id, now=time.time())
    context.ingest().work([entry.entry_id])
    assert _article(context, entry).title == NEW_TITLE


def test_entry_when_unknown_or_past_retention_then_an_edit_does_nothing(context: Context) -> None:
    """A feed may list for years what is long forgotten here."""
    entry = ingest(context, "1", URL, TITLE, FLOOD)
    keys = (context.keys.article("en", entry.article_id), context.keys.entry(entry.entry_id))
    for key in keys:
        kept = context.client.dump(key)
        context.client.delete(key)
        assert _edit(context, entry) == 0
        assert context.client.exists(key) == 0
        context.client.restore(key, 1_000_000, kept)
    assert _types(context) == ["story_opened"]


def test_edit_when_a_document_has_many_then_all_are_made(context: Context) -> None:
    """More than one script call takes; what is new is passed over."""
    entries = [claim(context, f"{n}", f"{URL}/{n}", f"Part {n}", FLOOD) for n in range(120)]
    attached = ingest(context, "a", URL, TITLE, FLOOD)
    new = replace(attached, entry_id=EntryId("0" * 16))
    known = [*entries[:60], attached, *entries[60:]]
    edited = [replace(entry, title=f"Edited: {entry.title}") for entry in [*known, new]]
    done = context.edits.edit(edited, now=attached.seen_at + 60.0)
    assert done == len(known)


# --- from poll to article ---------------------------------------------------------------------

TITLES = {"quake": "Quake shakes Norvale", "opera": "Opera closes"}
EDITED = {**TITLES, "quake": "Quake shakes Norvale: two bridges damaged"}


class Newsroom:
    """A site that publishes two articles, and a poller by the test's own clock."""

    def __init__(self, context: Context, site: Site, steps: PollSteps) -> None:
        self.context, self.site, self.steps = context, site, steps
        self.clock = Clock(time.time())
        self.poller = replace(steps.poller, clock=self.clock)
        self.name = follow_url(context, site.url("/feed"))

    def say(self, tag: str, titles: dict[str, str], *, folder: str = "") -> None:
        """Let the feed list these from now on."""
        items = "".join(
            f"<item><guid>{name}</guid><link>{self.site.url(f'/{folder}{name}')}</link>"
            f"<title>{title}</title></item>"
            for name, title in titles.items()
        )
        document = f'<rss version="2.0"><channel><title>Own</title>{items}</channel></rss>'
        self.site.answers["/feed"] = (200, {"ETag": f'"{tag}"'}, document.encode())

    async def poll(self, *, later_s: float = 60.0) -> tuple[EntryId, ...]:
        """Poll the feed some time later; return what is new."""
        self.clock.move(later_s)
        (lease,) = self.context.feeds.due(now=time.time() + LATER_S, lease_s=0.0, limit=1)
        return await self.poller.poll(lease)

    def serve(self) -> None:
        """Have the pages of the two."""
        for name, text in (("quake", QUAKE), ("opera", OPERA)):
            html = {"Content-Type": "text/html"}
            self.site.answers[f"/{name}"] = (200, html, page(TITLES[name], text))

    async def publish(self) -> None:
        """List the two, and attach them."""
        self.serve()
        self.say("one", TITLES)
        new = await self.poll()
        await fetch_all(self.steps, new)
        self.context.ingest().work(new)
        assert self.titles() == TITLES

    def titles(self) -> dict[str, str]:
        """Return the titles of all articles by guid."""
        stories = self.context.stories.newest(limit=10)
        members = [m for s in stories for m in self.context.stories.members(s.story_id)]
        return {m.ref: m.title for m in members}

    def tag(self) -> str:
        """Return the tag that the feed is asked with."""
        return feed_of(self.context, self.name).validators.etag


def test_feed_when_it_edits_an_entry_then_the_poll_brings_it_to_the_article(
    context: Context, site: Site
) -> None:
    """No entry is claimed anew, though its address is another one by now, and no page fetched."""

    async def act(steps: PollSteps) -> None:
        room = Newsroom(context, site, steps)
        await room.publish()
        asked, rhythm = len(site.asked), feed_of(context, room.name).changed_at
        room.say("two", EDITED, folder="news/")
        assert await room.poll() == ()
        assert (room.titles(), room.tag()) == (EDITED, '"two"')
        assert await room.poll() == ()
        assert len(site.asked) == asked + 2
        assert feed_of(context, room.name).changed_at == rhythm

    with_steps(context, act)
    assert _types(context) == ["story_opened"] * 2 + ["article_edited"] * 2
    assert (context.ledger.counts()["claimed"], context.ledger.counts()["attached"]) == (2, 2)


def test_poller_when_it_dies_between_edit_and_claim_then_the_edit_is_told_of_once(
    context: Context, site: Site
) -> None:
    """The next one reads the same document again, by the old validators."""

    def die(_: Sequence[Claim]) -> Sequence[tuple[EntryId, ...]]:
        """End as a process does where it would claim."""
        raise RuntimeError("killed")

    async def act(steps: PollSteps) -> None:
        room = Newsroom(context, site, steps)
        await room.publish()
        room.say("two", EDITED)
        living = room.poller
        room.poller = replace(living, claims=Bundles(die))
        with pytest.raises(RuntimeError, match="killed"):
            await room.poll()
        assert (room.titles(), room.tag()) == (EDITED, '"one"')
        room.poller = living
        await room.poll()
        assert room.tag() == '"two"'

    with_steps(context, act)
    assert _types(context) == ["story_opened"] * 2 + ["article_edited"]


def test_entry_when_it_left_the_feed_and_comes_back_edited_then_its_article_is_edited(
    context: Context, site: Site
) -> None:
    """Feeds in the order of changes list an edited article again; so does one followed again."""

    async def act(steps: PollSteps) -> None:
        room = Newsroom(context, site, steps)
        await room.publish()
        room.say("two", {"opera": TITLES["opera"]})
        await room.poll()
        room.say("three", EDITED)
        assert await room.poll() == ()
        assert room.titles() == EDITED
        context.feeds.remove(room.name)
        follow_url(context, site.url("/feed"))
        room.say("four", {**EDITED, "opera": "Opera closes for three years"})
        assert await room.poll() == ()
        assert room.titles()["opera"] == "Opera closes for three years"

    with_steps(context, act)
    assert _types(context).count("article_edited") == 2


def _as_before(context: Context, room: Newsroom) -> None:
    """List a feed's entries as versions did that looked for no edits: a set of ids."""
    key = context.keys.listed(room.name)
    ids = context.client.hkeys(key)
    context.client.delete(key)
    context.client.sadd(key, *ids)


def test_feed_when_listed_by_an_older_version_then_nothing_is_new_and_edits_are_seen(
    context: Context, site: Site
) -> None:
    """What it listed is known, what it said of it is not: it is compared with the articles."""

    async def act(steps: PollSteps) -> None:
        room = Newsroom(context, site, steps)
        await room.publish()
        _as_before(context, room)
        assert audit(context.ledger, context.stories, context.census).offences == ()
        _as_before(context, room)
        room.say("two", EDITED)
        assert await room.poll() == ()
        assert room.titles() == EDITED
        listed = context.feeds.listed(room.name)
        _as_before(context, room)
        (lease,) = context.feeds.due(now=time.time() + LATER_S, lease_s=60.0, limit=1)
        late = FeedClaim(
            feed_id=room.name, token=lease.token, next_poll_at=0.0, fields={"etag": '"late"'},
            listed_all=True,
        )  # fmt: skip
        entries = [row_of(context, entry_id).entry for entry_id in listed]
        context.client.delete(context.keys.entry(entries[0].entry_id))  # as if retention were over
        assert context.ledger.claim(entries, now=time.time(), feed=late) == ()
        assert context.feeds.listed(room.name).keys() == listed.keys()

    with_steps(context, act)
    assert _types(context) == ["story_opened"] * 2 + ["article_edited"]
