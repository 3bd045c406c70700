"""Stories and articles are found by whatever name a person has at hand."""

from dataclasses import replace

import pytest
from seeding import BANK, FLOOD, PUMPS, claim, claim_record, ingest, quarantine

from worker.cli.common import iso
from worker.cli.evidence import why_as_json
from worker.errors import NotFoundError
from worker.model import Outcome
from worker.steps.lookup import find_article, find_story, nearest_of
from worker.steps.records import article_id_of_record
from worker.wiring import Context

URL = "https://river-post.example/flood"


def test_an_article_is_found_by_every_name_it_has(context: Context) -> None:
    """Its id, its address with or without tracking, its guid and its entry's id mean one article."""
    entry = ingest(context, "guid-1", URL, "Flood in Oldtown", FLOOD)
    names = (entry.article_id, URL, URL + "?utm_source=x", "guid-1", entry.entry_id)
    for name in names:
        found = find_article(context, f" {name} ")
        assert found.article is not None
        assert found.article.article_id == entry.article_id
        assert found.row is not None
        assert found.row.outcome == Outcome.ATTACHED.value
        assert (found.row.entry.title, found.row.entry.url) == ("Flood in Oldtown", URL)


def test_article_when_its_address_was_edited_then_is_found_by_both(context: Context) -> None:
    """And `why` says when its feed was seen to say something else."""
    entry = ingest(context, "guid-1", URL, "Flood in Oldtown", FLOOD)
    new_url, said_at = "https://river-post.example/oldtown-flood", entry.seen_at + 60.0
    edited = replace(entry, url=new_url, title="Flood in Oldtown: eighty rescued")
    context.edits.edit([edited], now=said_at)
    for name in (URL, new_url, "guid-1"):
        found = find_article(context, name)
        assert found.article is not None
        assert found.article.article_id == entry.article_id
        told = why_as_json(found, context.scorer)["article"]
        assert isinstance(told, dict)
        assert (told["title"], told["url"]) == (edited.title, new_url)
        assert told["edited_at"] == iso(said_at)


def test_a_replayed_record_is_found_by_its_own_id(context: Context) -> None:
    """A record without an address is known by what its source calls it."""
    article = article_id_of_record("rec 7")
    entry = claim_record(context, "rec 7", article, "Flood in Oldtown", FLOOD)
    context.ingest().work([entry.entry_id])
    found = find_article(context, "rec 7")
    assert found.article is not None
    assert found.article.article_id == article


def test_an_entry_that_was_rejected_is_found_with_its_reason(context: Context) -> None:
    """The address of a text that is no article leads to the ledger's word on it."""
    ingest(context, "guid-2", "https://river-post.example/short", "Short", "Too short.")
    found = find_article(context, "https://river-post.example/short")
    assert found.article is None
    assert found.row is not None
    assert found.row.outcome == Outcome.REJECTED.value
    assert found.row.reason


def test_an_entry_that_is_pending_or_given_up_is_found_by_its_address(context: Context) -> None:
    """What has no article yet is found all the same."""
    claim(context, "guid-3", "https://river-post.example/late", "Late", FLOOD)
    quarantine(context, "guid-4", "https://river-post.example/broken", "Broken")
    late = find_article(context, "https://river-post.example/late").row
    broken = find_article(context, "https://river-post.example/broken").row
    assert late is not None
    assert broken is not None
    assert (late.outcome, broken.outcome) == ("", Outcome.QUARANTINED.value)


def test_a_duplicate_leads_to_the_article_that_came_first(context: Context) -> None:
    """The second entry of one address is told apart from the first, with the article they share."""
    first = ingest(context, "guid-5", URL, "Flood in Oldtown", FLOOD)
    ingest(context, "guid-6", URL, "Flood in Oldtown", FLOOD)
    found = find_article(context, "guid-6")
    assert found.row is not None
    assert found.row.outcome == Outcome.DUPLICATE.value
    assert found.article is not None
    assert found.article.entry_id == first.entry_id


def test_an_unknown_article_comes_with_the_nearest(context: Context) -> None:
    """A part of a headline is no name, but says what was meant."""
    entry = ingest(context, "guid-7", URL, "Flood in Oldtown", FLOOD)
    with pytest.raises(NotFoundError) as caught:
        find_article(context, "oldtown")
    assert caught.value.kind == "article"
    assert caught.value.nearest == (f"{entry.article_id} (Flood in Oldtown)",)


def test_a_story_is_found_by_its_id_and_an_unknown_one_comes_with_the_nearest(
    context: Context,
) -> None:
    """Two accounts and another event make two stories; a mistyped id names the right one."""
    ingest(context, "guid-8", URL, "Flood in Oldtown", FLOOD)
    ingest(context, "guid-9", "https://b.example/1", "Pumps for flooded Oldtown", PUMPS)
    ingest(context, "guid-10", "https://c.example/2", "Bank raises rate", BANK)
    newest = context.stories.newest(limit=10)
    assert sorted(story.articles for story in newest) == [1, 2]
    story_id = newest[0].story_id
    assert find_story(context, story_id.upper()).story_id == story_id
    with pytest.raises(NotFoundError) as caught:
        find_story(context, story_id[:-1])
    assert caught.value.nearest[0].startswith(story_id)


def test_nearest_of_prefers_a_part_of_a_name_and_always_has_an_answer() -> None:
    """A prefix beats resemblance, and the nearest is offered however far it is."""
    assert nearest_of("abc", ["xbc", "abcdef"])[0] == "abcdef"
    assert nearest_of("qqq", ["abc"]) == ("abc",)
