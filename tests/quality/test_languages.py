"""Two accounts of one event meet in every script, and what only resembles them stays apart."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from worker.model import EntryId, StoryId
from worker.settings import load_settings
from worker.steps.ingest import article_of
from worker.steps.prepare import Draft, Prepared, prepare
from worker.testing import Clock, an_entry
from worker.wiring import Context

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ACCOUNTS = tomllib.loads(Path(__file__).with_name("languages.toml").read_text(encoding="utf-8"))
SETTINGS = load_settings()


def _prepared(title: str, text: str, lang: str = "") -> Prepared:
    draft = Draft(title=title, text=text, html=b"", url="", lang=lang)
    prepared = prepare(draft, SETTINGS.index.params(), SETTINGS.match.policy())
    assert isinstance(prepared, Prepared), prepared
    return prepared


@dataclass
class Newsroom:
    """Attaches one text after another, ten minutes apart, each of an outlet of its own."""

    context: Context
    clock: Clock

    def publish(self, name: str, prepared: Prepared) -> StoryId:
        """Return the story that the text went to."""
        self.clock.move(600)
        entry = an_entry(name, at=self.clock())
        return self.context.attacher.attach(
            article_of(entry, prepared, SETTINGS.index.params().window_s),
            prepared.sketch,
            entry_id=EntryId(name),
            now=self.clock(),
        ).story_id


@pytest.fixture
def newsroom(context: Context) -> Newsroom:
    """An empty index."""
    return Newsroom(context, Clock())


@pytest.mark.parametrize("redis_server", ["embedded"], indirect=True)  # once is enough
@pytest.mark.parametrize("lang", sorted(ACCOUNTS))
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_two_accounts_are_one_story_and_the_near_miss_another(
    newsroom: Newsroom, lang: str, order: tuple[int, ...]
) -> None:
    """Whatever of the three comes first, among unrelated news of the same language."""
    a = ACCOUNTS[lang]
    told = [
        (a["title"], a["first"]),
        (a["second_title"], a["second"]),
        (a["near_title"], a["near"]),
    ]
    others = [
        newsroom.publish(f"other{i}", _prepared("", text)) for i, text in enumerate(a["others"])
    ]
    stories = {i: newsroom.publish(f"told{i}", _prepared(*told[i])) for i in order}
    assert len(set(others)) == len(others)
    assert stories[0] == stories[1]
    assert stories[2] != stories[0]
    assert not set(others) & set(stories.values())


@pytest.mark.parametrize("lang", sorted(ACCOUNTS))
def test_language_is_told_alike_in_every_text_of_it(lang: str) -> None:
    """With a wrong hint and without: an article in the wrong language never meets its story."""
    a = ACCOUNTS[lang]
    texts = [a["first"], a["second"], a["near"], *a["others"]]
    assert {_prepared("", text, hint).lang for text in texts for hint in ("", "nl")} == {lang}


@pytest.mark.parametrize("redis_server", ["embedded"], indirect=True)  # once is enough
def test_story_when_told_in_all_languages_then_has_one_story_in_each(newsroom: Newsroom) -> None:
    """Names and numbers that languages share make no story cross from one to another."""
    facts = " ZX-9000 Apollon Moskvin 4711 Kyrenia Bellweather 2027 Ostrander."
    stories = {
        lang: newsroom.publish(lang, _prepared("", ACCOUNTS[lang]["first"] + facts))
        for lang in sorted(ACCOUNTS)
    }
    assert len(set(stories.values())) == len(ACCOUNTS)
    assert all(story.startswith(f"{lang}-") for lang, story in stories.items())
