"""Two namespaces compared, each filled by a replay: counts against a recount, examples, evidence."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from conftest import ROOT
from recount import recount

from worker.cli.changes import as_document, as_page, said
from worker.cli.diff import difference
from worker.core.changes import Kind
from worker.core.entries import article_id_of_record
from worker.demo import SeedArticle, load_world
from worker.errors import ConfigError
from worker.model import Outcome
from worker.settings import load_settings
from worker.steps.prepare import Draft
from worker.steps.records import Record, in_event_order, read_source
from worker.steps.replay import Replayed
from worker.wiring import Context, replay_steps

ARTICLES = [a for a in load_world(ROOT / "seeds").articles if a.kind not in {"wall", "teaser"}]
STREAM = 1_000  # records of the labelled stream: 25 s of processor time for both replays

# What is compared does not depend on the server's make.
pytestmark = pytest.mark.parametrize("redis_server", ["embedded"], indirect=True)


def _record(seed: SeedArticle) -> Record:
    article = article_id_of_record(seed.slug)
    return Record(
        name=seed.slug,
        entry_id=article,  # type: ignore[arg-type]
        article_id=article,
        at=seed.published.timestamp(),
        draft=Draft(
            title=seed.title, text="\n\n".join(seed.paragraphs), html=b"", url="", lang="en"
        ),
        source=seed.outlet,
    )


def _replay(
    context: Context, namespace: str, records: Iterable[Record], *overrides: str
) -> tuple[Context, Sequence[Replayed]]:
    """Replay into a namespace with settings of its own."""
    made = replace(context, settings=load_settings(overrides=overrides), namespace=namespace)
    made.__dict__["client"] = context.client  # one connection pool for all namespaces
    made.check()
    with replay_steps(made, workers=1) as steps:
        return made, steps.in_the_end(list(steps.run(in_event_order(records))))


def _stories(done: Sequence[Replayed]) -> dict[str, str]:
    return {r.record.article_id: r.story_id for r in done if r.story_id}


def _check(context: Context, base: Sequence[Replayed], new: Sequence[Replayed]) -> None:
    """Compare what is said of namespace `base` and of the context's own with a recount."""
    found = difference(context, "base")
    changes, counted = found.comparison.changes, recount(_stories(base), _stories(new))
    moved = {a: (c.base, c.new) for c in changes.changes for a in c.articles}
    assert counted.moved
    assert (moved, changes.share) == (counted.moved, counted.share)
    assert {c.base for c in changes.of(Kind.MERGED)} == counted.merged
    assert {c.new for c in changes.of(Kind.SPLIT)} == counted.split
    assert (changes.continued, changes.same) == (len(counted.continued), counted.same)
    assert found.agreement.precision == pytest.approx(counted.precision)
    assert found.agreement.recall == pytest.approx(counted.recall)


def test_diff_of_a_threshold_change_when_recounted_then_equal(context: Context) -> None:
    """The seeds, with the shipped threshold and with one that hardly anything reaches."""
    records = [_record(seed) for seed in ARTICLES]
    _, base = _replay(context, "base", records)
    strict, new = _replay(context, "new", records, "match.story_threshold=0.99")
    _check(strict, base, new)


@pytest.mark.slow
def test_diff_of_a_threshold_change_on_a_large_stream_when_recounted_then_equal(
    context: Context, shared: Path
) -> None:
    """Real articles, many stories, and both kinds of change."""
    path = str(shared / "data" / "stories" / "stream_dev.jsonl.gz")
    read = (r for r in read_source(path, now=1.8e9) if isinstance(r, Record))
    records = list(islice(read, STREAM))
    _, base = _replay(context, "base", records)
    strict, new = _replay(context, "new", records, "match.story_threshold=0.75")
    _check(strict, base, new)


def test_change_when_shown_then_has_the_decisions_that_made_it(context: Context) -> None:
    """An account that joined its story opens one of its own: both scores and the terms are there."""
    records = [_record(seed) for seed in ARTICLES]
    _replay(context, "base", records)
    strict, _ = _replay(context, "new", records, "match.story_threshold=0.99")
    found = difference(strict, "base", limit=1)
    (example,) = found.comparison.examples
    was, now = example.base_evidence, example.new_evidence
    assert (was["decision"], now["decision"]) == ("SameStory", "NewStory")
    assert was["score"] >= 0.55
    assert now["score"] < 0.99
    assert not example.decided_alike
    assert example.titles[0] in {seed.title for seed in ARTICLES}
    assert said(was).startswith(f"joined, score {was['score']:.2f}: ")
    document = as_document(found)
    assert len(document["changes"]) == 1 < document["changes_in_all"]
    assert document["threshold"] == 0.99


def test_reprint_when_it_is_none_any_more_then_is_told(context: Context) -> None:
    """Copies are judged by thresholds of their own; who copies what may change alone."""
    records = [_record(seed) for seed in ARTICLES]
    _, base = _replay(context, "base", records)
    overrides = ("match.copy_jaccard=1", "match.copy_containment=1")
    strict, new = _replay(context, "new", records, *overrides)
    before, after = ({r.record.article_id: r.copy_of for r in done} for done in (base, new))
    changed = {article for article in before if before[article] != after[article]}
    shown = difference(strict, "base")
    found = shown.comparison
    assert changed
    assert {one.article for one in found.reprint_examples} == changed
    assert found.reprints == len(changed)
    assert {one.new_original for one in found.reprint_examples} == {None}
    assert {r.outcome for r in new} == {Outcome.ATTACHED}
    page = as_page(shown)
    assert [article for article in changed if article not in page] == []


def test_articles_when_others_are_left_out_then_only_those_are_compared(context: Context) -> None:
    """A replay of a day is compared with that day; without a choice, all of the base counts."""
    records = [_record(seed) for seed in ARTICLES]
    _replay(context, "base", records)
    few, _ = _replay(context, "new", records[:5])
    among = {record.article_id for record in records[:5]}
    some, every = (difference(few, "base", among=a).comparison.changes for a in (among, None))
    assert (some.base.apart, some.new.apart, some.both) == (0, 0, 5)
    assert (every.base.apart, every.both) == (len(records) - 5, 5)


def test_base_when_it_holds_nothing_then_is_refused_with_the_way_out(context: Context) -> None:
    """A mistyped name is no empty namespace with which everything differs, and writes no key."""
    before = context.client.dbsize()
    with pytest.raises(ConfigError, match="namespace 'nobody' holds no stories"):
        difference(context, "nobody")
    assert context.client.dbsize() == before


def test_page_when_a_headline_is_markup_then_it_is_escaped(context: Context) -> None:
    """Headlines come from the network; the page loads and runs nothing."""
    bad = "<script>alert(1)</script><img src=x onerror=alert(2)> \u202eleft"
    records = [
        replace(record, draft=replace(record.draft, title=bad)) for record in map(_record, ARTICLES)
    ]
    _replay(context, "base", records)
    strict, _ = _replay(context, "new", records, "match.story_threshold=0.99")
    page = as_page(difference(strict, "base"))
    assert "&lt;script&gt;alert(1)" in page
    for raw in ("<script", "<img", "\u202e"):
        assert raw not in page
    assert "default-src 'none'" in page
