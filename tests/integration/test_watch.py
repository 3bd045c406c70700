"""Watching the real attach step."""

from dataclasses import replace

from outlet import OPERA, QUAKE

from worker.core.entries import article_id_of_record
from worker.evaluate.watch import WIDTH, Watch, watched
from worker.model import EntryId
from worker.settings import load_settings
from worker.store.index import STORY_CANDIDATES
from worker.testing import a_sketch, an_article
from worker.wiring import Context


def test_watch_when_articles_are_attached_then_notes_what_each_probe_offered(
    context: Context,
) -> None:
    """The first sees nothing, a copy its original's story, and a known article is not seen again."""
    params = context.settings.index.params()
    watch = Watch()
    attacher = watched(context.attacher, watch)
    stories = {}
    for name, text in (("one", QUAKE), ("two", QUAKE), ("three", OPERA), ("one", QUAKE)):
        article = an_article(name)
        done = attacher.attach(
            article, a_sketch(text, params), entry_id=EntryId(name), now=article.at
        )
        stories[name] = done.story_id
    seen = {name: watch.seen[article_id_of_record(name)] for name in ("one", "two", "three")}
    assert len(watch.seen) == 3
    assert (seen["one"].candidates, seen["one"].is_copy) == ((), False)
    assert (seen["two"].candidates, seen["two"].is_copy) == ((stories["one"],), True)
    assert (seen["two"].best, seen["three"].is_copy, seen["three"].lang) == (None, False, "en")
    assert set(watch.seconds) == set(watch.seen)
    assert all(0.0 < seconds < 60.0 for seconds in watch.seconds.values())


def test_watch_when_more_candidates_are_probed_then_the_decision_sees_no_more(
    redis_url: str,
) -> None:
    """Ranks are told up to 32; what is decided comes from the first 16, as without a watch."""
    roomy = load_settings(overrides=["index.bucket_cap=64"])  # else alike texts displace each other
    context = Context(settings=roomy, redis_url=redis_url)
    params, policy = context.settings.index.params(), context.settings.match.policy()
    aloof = replace(policy, story_threshold=1.1, copy_jaccard=1.1, copy_containment=1.1)
    watch = Watch()
    attacher = watched(replace(context.attacher, policy=aloof), watch)
    for i in range(WIDTH + 2):  # as many stories as articles, all of them alike
        article = an_article(f"a{i}", at=1_800_000_000.0 + i)
        attacher.attach(article, a_sketch(QUAKE, params), entry_id=EntryId(f"a{i}"), now=article.at)
    seen = watch.seen[article_id_of_record(f"a{WIDTH + 1}")]
    assert len(set(seen.candidates)) == len(seen.candidates) == WIDTH
    assert all(
        one.best in one.candidates[:STORY_CANDIDATES] for one in watch.seen.values() if one.best
    )
