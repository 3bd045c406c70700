"""Attaching on a real Redis: one story for one event, however many workers race."""

from dataclasses import replace
from itertools import permutations

import msgpack
import pytest

from worker.core.evidence import unpack
from worker.errors import FingerprintMismatchError
from worker.model import ArticleId, EntryId, Outcome, Probe, StoryCandidate, StoryId
from worker.settings import DAY_S, load_settings
from worker.steps.attach import Attachment
from worker.steps.audit import audit
from worker.store.index import AGES, ANY_VERSION, Index, Known, Member, Membership, Refusal
from worker.testing import a_sketch, an_article
from worker.wiring import Context

NOW = 1_800_000_000.0
PARAMS = load_settings().index.params()
QUAKE = """A magnitude 6.1 earthquake struck the Kerevan valley shortly before dawn on Tuesday, the
national seismology office in Tarsk said. Rescue crews searched the ruins of a school in Olvany,
where the quake brought down two floors. Governor Mirela Dusan said eleven people were hurt and the
road to Tarsk was blocked by a landslide. Power was out in nine villages along the river Sova."""
QUAKE_TOLD_AGAIN = """Eleven people were injured when a 6.1 earthquake shook the Kerevan valley early
on Tuesday. In Olvany, two storeys of a school collapsed; teams with dogs were looking for anyone
trapped, governor Mirela Dusan told reporters. A landslide cut the highway to Tarsk and nine
villages beside the Sova had no electricity, the seismology office in Tarsk reported."""
QUAKE_THIRD = """Searchers with dogs combed a collapsed school in Olvany on Tuesday after a quake of
magnitude 6.1 hit the Kerevan valley. Mirela Dusan, the governor, put the number of injured at eleven.
Nine villages on the Sova were without power and the road to Tarsk was cut by a landslide."""
QUAKE_FOURTH = """Dogs searched the collapsed school in Olvany; Mirela Dusan spoke of eleven injured after
the quake of magnitude 6.1, of a landslide on the road to Tarsk, and of villages without power."""
CUP = """Northgate Rovers lifted the league cup for the first time in forty years after beating
Harbour Athletic on penalties at the Lindqvist stadium. Goalkeeper Anton Brehm saved three spot
kicks in front of 31,000 supporters. Coach Petra Valdes praised a young side that finished the
season unbeaten at home, and said the celebrations would last until the weekend at least."""


CUP_TOLD_AGAIN = """Forty years of waiting ended for Northgate Rovers, who won the league cup in a penalty
shoot-out with Harbour Athletic. Anton Brehm, the goalkeeper, stopped three of the spot kicks at the
Lindqvist stadium. Petra Valdes, who coaches the young team, has not lost a home match all season."""


def _attach(context: Context, name: str, text: str, *, at: float = NOW) -> Attachment:
    return context.attacher.attach(
        an_article(name, source=f"{name}.example", at=at),
        a_sketch(text, PARAMS),
        entry_id=EntryId(f"entry-{name}"),
        now=at,
    )


def _is_sound(context: Context) -> bool:
    for lang in ("en",):
        context.client.sadd(context.keys.langs, lang)  # settle's part
    report = audit(context.ledger, context.stories, context.census)
    return not [offence for offence in report.offences if offence.startswith(("story", "article "))]


def test_two_accounts_of_one_event_become_one_story(context: Context) -> None:
    """Another outlet's own words join the story; another event opens its own."""
    first = _attach(context, "a", QUAKE)
    second = _attach(context, "b", QUAKE_TOLD_AGAIN)
    third = _attach(context, "c", CUP)
    assert (first.reason, second.reason, third.reason) == ("new_story", "same_story", "new_story")
    assert first.story_id == second.story_id != third.story_id
    story = context.stories.story(first.story_id)
    assert story is not None
    assert (story.articles, story.reprints, story.sources, story.own_accounts) == (2, 0, 2, 2)
    assert _is_sound(context)


def test_reprint_counts_as_article_and_not_as_own_account(context: Context) -> None:
    """Who counts independent sources does not count a reprint."""
    original = _attach(context, "wire", QUAKE)
    reprint = _attach(context, "local", f"{QUAKE} Subscribe to our newsletter for more.")
    assert (reprint.story_id, reprint.reason) == (original.story_id, "copy")
    story = context.stories.story(original.story_id)
    assert story is not None
    assert (story.articles, story.reprints, story.sources, story.own_accounts) == (2, 1, 2, 1)
    assert _is_sound(context)


def test_original_when_it_arrives_after_its_reprint_then_is_still_the_original(
    context: Context,
) -> None:
    """The text that was published first is the original, in whatever order they arrive."""
    texts = {"wire": QUAKE, "early": f"{QUAKE} More soon.", "late": f"{QUAKE} Share this."}
    published = {"wire": NOW - 300, "early": NOW - 200, "late": NOW - 100}
    for order in permutations(texts):
        context.client.flushall()
        context.check()
        for name in order:
            attached = _attach(context, name, texts[name], at=published[name])
        members = context.stories.members(attached.story_id)
        original = {m.ref: m.copy_of for m in members}
        wire = next(m.article_id for m in members if m.ref == "wire")
        assert original == {"wire": None, "early": wire, "late": wire}, order
        assert context.stories.sources(attached.story_id) == {
            "wire.example": 1,
            "early.example": 0,
            "late.example": 0,
        }
        assert _is_sound(context)


def test_attach_when_repeated_then_changes_nothing(context: Context) -> None:
    """A second hint, or a resent command, finds the article attached."""
    first = _attach(context, "a", QUAKE)
    before = context.stories.story(first.story_id)
    again = _attach(context, "a", QUAKE)
    assert (again.outcome, again.reason) == (Outcome.ATTACHED, "known")
    assert context.stories.story(first.story_id) == before


def test_same_article_from_another_entry_is_a_duplicate(context: Context) -> None:
    """One page listed by two feeds is one article."""
    first = _attach(context, "a", QUAKE)
    again = context.attacher.attach(
        an_article("a"), a_sketch(QUAKE, PARAMS), entry_id=EntryId("another"), now=NOW
    )
    assert (again.outcome, again.story_id) == (Outcome.DUPLICATE, first.story_id)


def test_attach_when_a_rival_came_since_the_probe_then_refuses(context: Context) -> None:
    """The index is asked again when a candidate may have appeared in between."""
    sketch = a_sketch(QUAKE, PARAMS)
    stale = context.index.probe("en", sketch, now=NOW)
    _attach(context, "rival", QUAKE_TOLD_AGAIN)
    answer = context.index.attach(
        an_article("mine"), sketch, _opening("en-0123456789ab"), seq=stale.seq, now=NOW,
        entry_id=EntryId("e"),
    )  # fmt: skip
    assert answer is Refusal.CONFLICT
    assert context.stories.totals("en") == {"articles": 1, "stories": 1}


def test_attach_when_the_rival_came_just_before_a_new_part_of_the_window_then_refuses(
    context: Context,
) -> None:
    """Where one unit of the index's time ends and the next begins, rivals still see each other."""
    length = PARAMS.window_s / AGES
    edge = (NOW // length + 1) * length
    sketch = a_sketch(QUAKE, PARAMS)
    stale = context.index.probe("en", sketch, now=edge - 1)
    _attach(context, "rival", QUAKE_TOLD_AGAIN, at=edge - 1)
    answer = context.index.attach(
        an_article("mine"), sketch, _opening("en-0123456789ab"), seq=stale.seq, now=edge,
        entry_id=EntryId("e"),
    )  # fmt: skip
    assert answer is Refusal.CONFLICT


def test_attach_when_only_strangers_came_since_the_probe_then_goes_on(context: Context) -> None:
    """Unrelated articles do not make workers repeat their probes."""
    sketch = a_sketch(QUAKE, PARAMS)
    stale = context.index.probe("en", sketch, now=NOW)
    _attach(context, "stranger", CUP)
    answer = context.index.attach(
        an_article("mine"), sketch, _opening("en-0123456789ab"), seq=stale.seq, now=NOW,
        entry_id=EntryId("e"),
    )  # fmt: skip
    assert isinstance(answer, Member)


def test_new_story_when_its_id_is_taken_then_refuses(context: Context) -> None:
    """Two stories never share an id, even where their hashes do."""
    for name, text, expected in [("a", QUAKE, Member), ("b", CUP, Refusal), ("a", QUAKE, Known)]:
        sketch = a_sketch(text, PARAMS)
        probe = context.index.probe("en", sketch, now=NOW)
        answer = context.index.attach(
            an_article(name), sketch, _opening("en-0123456789ab"), seq=probe.seq, now=NOW,
            entry_id=EntryId("e"),
        )  # fmt: skip
        assert isinstance(answer, expected)


def test_article_is_not_matched_after_the_window_and_every_key_has_an_end(
    context: Context,
) -> None:
    """An event told again after two weeks is a new story, and every index key has an end."""
    first = _attach(context, "a", QUAKE)
    inside = _attach(context, "b", QUAKE_TOLD_AGAIN, at=NOW + 6 * DAY_S)
    outside = _attach(context, "c", QUAKE_TOLD_AGAIN, at=NOW + 20 * DAY_S)
    assert first.story_id == inside.story_id != outside.story_id
    lives_on = {b"{live:en}:seq", b"{live:en}:told"}
    lives_on |= {b"{live}:fingerprint", b"{live}:langs", b"{live}:counts"}
    without_end = [k for k in context.client.scan_iter() if context.client.ttl(k) == -1]
    assert set(without_end) <= lives_on


def test_story_that_outlives_its_articles_lists_those_that_are_left_and_counts_all(
    context: Context,
) -> None:
    """Articles expire one by one; a story that never ends forgets them and keeps their number."""
    told = [
        _attach(context, f"n{at}", (QUAKE, QUAKE_TOLD_AGAIN)[at % 2], at=NOW + 3 * at * DAY_S)
        for at in range(11)
    ]
    (story_id,) = {one.story_id for one in told}
    assert story_id is not None
    for at in range(3):  # as Redis does when their retention is over
        context.client.delete(context.keys.article("en", _id(f"n{at}")))
    assert _is_sound(context)
    _attach(context, "n11", QUAKE_TOLD_AGAIN, at=NOW + 33 * DAY_S)
    _attach(context, "n12", QUAKE, at=NOW + 36 * DAY_S)
    listed = [article.ref for article in context.stories.members(story_id)]
    story = context.stories.story(story_id)
    assert story is not None
    assert (story.articles, listed) == (13, [f"n{at}" for at in range(3, 13)])
    assert context.client.zcard(context.keys.members(story_id)) == 10
    assert _is_sound(context)


def test_document_frequencies_when_the_first_article_has_no_terms_then_have_an_end_all_the_same(
    context: Context,
) -> None:
    """They begin with the first article that has terms."""
    bare = replace(a_sketch(QUAKE, PARAMS), slots=b"", vector=b"", words=())
    context.attacher.attach(an_article("bare", at=NOW), bare, entry_id=EntryId("e"), now=NOW)
    _attach(context, "b", CUP)
    frequencies = [k for k in context.client.scan_iter() if b":df:" in k]
    assert len(frequencies) == 1
    assert context.client.ttl(frequencies[0]) > 0


def test_evidence_names_the_candidates_and_shared_terms(context: Context) -> None:
    """Why an article joined is stored with it, readable."""
    first = _attach(context, "a", QUAKE)
    second = _attach(context, "b", QUAKE_TOLD_AGAIN)
    members = {m.ref: m for m in context.stories.members(first.story_id)}
    evidence = unpack(members["b"].evidence)
    assert evidence["decision"] == "SameStory"
    assert evidence["candidates"][0]["story"] == first.story_id
    assert evidence["candidates"][0]["features"]
    assert any("kerevan" in word for word in evidence["candidates"][0]["shared"])
    assert members["b"].score == pytest.approx(second.score, abs=1e-4)


def _two_stories(context: Context) -> tuple[Probe, list[str]]:
    """Two stories of the quake, opened side by side: three articles and a reprint in one, one in the other."""
    _attach(context, "a", QUAKE)
    first = _attach(context, "b", QUAKE_TOLD_AGAIN)
    _attach(context, "c", f"{QUAKE} More soon.")
    sketch = a_sketch(QUAKE_THIRD, PARAMS)
    opening = replace(
        _opening("en-0123456789ab"), exemplars=(sketch.vector,), exemplar_ids=(_id("d"),)
    )
    context.index.attach(
        an_article("d", source="d.example"), sketch, opening, seq=3, now=NOW,
        entry_id=EntryId("entry-d"),
    )  # fmt: skip
    probe = context.index.probe("en", sketch, now=NOW)
    return probe, [first.story_id, "en-0123456789ab"]


def test_merge_when_two_stories_are_one_then_one_story_with_both_names(context: Context) -> None:
    """Articles, publishers, reprints and times add up; the old id stands for the story."""
    probe, ids = _two_stories(context)
    stories = {s.story_id: s for s in probe.stories}
    into, other = (stories[StoryId(i)] for i in ids)
    events = f"{context.keys.lang_prefix('en')}events"
    assert context.index.merge(into, other, _profile(into), bridge=ArticleId("0" * 16), now=NOW)
    story = context.stories.story(StoryId(ids[1]))
    assert story is not None
    assert story.story_id == ids[0]
    assert (story.articles, story.reprints, story.sources, story.own_accounts) == (4, 1, 4, 3)
    assert [s.story_id for s in context.stories.newest(limit=5, lang="en")] == [ids[0]]
    assert {m.story_id for m in context.stories.members(StoryId(ids[1]))} == {ids[0]}
    assert sorted(context.stories.sources(StoryId(ids[1]))) == [f"{n}.example" for n in "abcd"]
    [(_, told)] = context.client.xrevrange(events, count=1)
    assert (told[b"type"], told[b"merged"]) == (b"stories_merged", ids[1].encode())
    assert _is_sound(context)


def test_attach_when_an_article_speaks_for_two_stories_then_makes_them_one(
    context: Context,
) -> None:
    """Two stories of one event were opened side by side; the next account brings them together."""
    _, ids = _two_stories(context)
    bridge = _attach(context, "e", QUAKE_FOURTH)
    assert bridge.story_id == ids[0]
    story = context.stories.story(StoryId(ids[1]))
    assert story is not None
    assert (story.story_id, story.articles, story.reprints) == (ids[0], 5, 1)
    assert _is_sound(context)


def test_probe_when_a_story_was_merged_then_finds_the_story_it_is_now(context: Context) -> None:
    """The index still has the old id in its buckets; an article joins the story of today."""
    probe, ids = _two_stories(context)
    stories = {s.story_id: s for s in probe.stories}
    into, other = (stories[StoryId(i)] for i in ids)
    assert context.index.merge(into, other, _profile(into), bridge=ArticleId("0" * 16), now=NOW)
    again = context.index.probe("en", a_sketch(QUAKE_THIRD, PARAMS), now=NOW)
    assert [s.story_id for s in again.stories] == [ids[0]]
    reprint = _attach(context, "e", f"{QUAKE_THIRD} Share this.")
    assert (reprint.story_id, reprint.reason) == (ids[0], "copy")
    assert _is_sound(context)


def test_names_in_a_circle_hold_nobody_up(context: Context) -> None:
    """Two stories that each stand for the other are torn books: no probe waits for an end of them."""
    _, (one, other) = _two_stories(context)
    for name, leads_to in ((one, other), (other, one)):
        context.client.set(context.keys.story(StoryId(name)), msgpack.packb([leads_to]))
    assert context.index.probe("en", a_sketch(QUAKE_THIRD, PARAMS), now=NOW).stories == ()
    assert context.stories.current(StoryId(one)) in (one, other)


def test_merge_when_a_story_changed_since_then_writes_nothing(context: Context) -> None:
    """A merge is decided on two stories as they were; a rival's attach makes it void."""
    probe, ids = _two_stories(context)
    _attach(context, "e", QUAKE_TOLD_AGAIN + " Aid is on its way.")
    stories = {s.story_id: s for s in probe.stories}
    into, other = (stories[StoryId(i)] for i in ids)
    assert not context.index.merge(into, other, _profile(into), bridge=ArticleId("0" * 16), now=NOW)
    assert context.stories.totals("en")["stories"] == 2
    assert _is_sound(context)


def test_split_when_halves_part_then_two_stories_with_their_own_sums(context: Context) -> None:
    """The articles that go take their reprints along; both stories are found from then on."""
    first = _attach(context, "a", QUAKE)
    for name, text in [("cup", CUP), ("cup2", f"{CUP} More soon.")]:  # forced into the wrong story
        sketch = a_sketch(text, PARAMS)
        probe = context.index.probe("en", sketch, now=NOW)
        wrong = Membership(
            story_id=first.story_id, version=ANY_VERSION, copy_of=_id("cup") if name == "cup2" else None,
            exemplars=(a_sketch(QUAKE, PARAMS).vector, a_sketch(CUP, PARAMS).vector),
            exemplar_ids=(_id("a"), _id("cup")), score=0.6, evidence=b"",
        )  # fmt: skip
        context.index.attach(
            an_article(name, source=f"{name}.example"), sketch, wrong, seq=probe.seq, now=NOW,
            entry_id=EntryId(f"entry-{name}"),
        )  # fmt: skip
    _attach(context, "b", QUAKE_TOLD_AGAIN)
    [story] = context.index.probe("en", a_sketch(QUAKE_TOLD_AGAIN, PARAMS), now=NOW).stories
    opens = StoryId("en-0123456789ab")
    assert context.index.split(story, [_id("cup")], opens=opens, now=NOW)
    stays, new = context.stories.story(first.story_id), context.stories.story(opens)
    assert stays is not None
    assert new is not None
    assert (stays.articles, stays.reprints, stays.sources, stays.own_accounts) == (2, 0, 2, 2)
    assert (new.articles, new.reprints, new.sources, new.own_accounts) == (2, 1, 2, 1)
    assert {m.ref for m in context.stories.members(opens)} == {"cup", "cup2"}
    assert new.title == an_article("cup").title
    assert _attach(context, "c", f"{CUP} Fans sang all night.").story_id == opens
    assert _attach(context, "d", QUAKE_THIRD).story_id == first.story_id
    assert not context.index.split(story, [_id("cup")], opens=opens, now=NOW)  # it changed since
    assert _is_sound(context)


def test_reprint_when_its_original_went_to_another_story_since_then_refuses(
    context: Context,
) -> None:
    """Texts that copy each other stay in one story, also when it parts between probe and attach."""
    story = _attach(context, "a", QUAKE).story_id
    sketch = a_sketch(CUP, PARAMS)
    wrong = Membership(
        story_id=story, version=ANY_VERSION, copy_of=None, score=0.6, evidence=b"",
        exemplars=(a_sketch(QUAKE, PARAMS).vector, sketch.vector),
        exemplar_ids=(_id("a"), _id("cup")),
    )  # fmt: skip
    context.index.attach(
        an_article("cup"), sketch, wrong, seq=1, now=NOW, entry_id=EntryId("entry-cup")
    )
    [candidate] = context.index.probe("en", sketch, now=NOW).stories
    opens = StoryId("en-0123456789ab")
    assert context.index.split(candidate, [_id("cup")], opens=opens, now=NOW)
    late = replace(wrong, copy_of=_id("cup"), exemplars=(), exemplar_ids=())
    seq = context.index.probe("en", sketch, now=NOW).seq
    answer = context.index.attach(
        an_article("cup2"), sketch, late, seq=seq, now=NOW, entry_id=EntryId("entry-cup2")
    )
    assert answer is Refusal.CONFLICT
    assert _attach(context, "cup2", CUP).story_id == opens
    assert _is_sound(context)


def test_attach_when_a_story_has_become_two_then_parts_it(context: Context) -> None:
    """The half that is about something else becomes a story of its own, by itself."""
    story = _attach(context, "a", QUAKE).story_id
    texts = {"a": QUAKE, "b": QUAKE_TOLD_AGAIN, "cup": CUP, "cup2": CUP_TOLD_AGAIN}
    for number, name in enumerate(list(texts)[1:], start=2):
        sketch = a_sketch(texts[name], PARAMS)
        members = list(texts)[:number]
        wrong = Membership(
            story_id=story, version=ANY_VERSION, copy_of=None, score=0.6, evidence=b"",
            exemplars=tuple(a_sketch(texts[m], PARAMS).vector for m in members),
            exemplar_ids=tuple(_id(m) for m in members),
        )  # fmt: skip
        seq = context.index.probe("en", sketch, now=NOW).seq
        context.index.attach(
            an_article(name, source=f"{name}.example"), sketch, wrong, seq=seq, now=NOW,
            entry_id=EntryId(f"entry-{name}"),
        )  # fmt: skip
    _attach(context, "copy", f"{QUAKE} More soon.")
    assert _attach(context, "c", QUAKE_THIRD).story_id == story  # the sixth: a checkpoint
    stories = context.stories.newest(limit=5, lang="en")
    assert sorted((s.articles, s.reprints) for s in stories) == [(2, 0), (4, 1)]
    assert {m.ref for m in context.stories.members(story)} == {"a", "b", "c", "copy"}
    assert _is_sound(context)


def _id(name: str) -> ArticleId:
    return an_article(name).article_id


def test_index_of_another_make_is_refused(context: Context) -> None:
    """An index read with other parameters would answer nothing, without a word."""
    other = load_settings(overrides=["index.copy_rows=2"]).index.params()
    with pytest.raises(FingerprintMismatchError, match="copy_rows is 3 there and 2 here"):
        Index(context.client, context.keys, other, retention_s=DAY_S).ensure_fingerprint()


def _opening(story_id: str) -> Membership:
    return Membership(
        story_id=StoryId(story_id), version=0, exemplars=(b"x" * 7,),
        exemplar_ids=(ArticleId("0" * 16),), copy_of=None, score=0.0, evidence=b"",
    )  # fmt: skip


def _profile(story: StoryCandidate) -> tuple[tuple[bytes, ...], tuple[ArticleId, ...]]:
    return story.exemplars, story.exemplar_ids
