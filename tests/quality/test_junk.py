"""What is no article is rejected, in many languages; what only looks like it passes."""

import sys
from pathlib import Path

import pytest

from worker.core.junk import gate
from worker.core.text import read
from worker.model import Rejected
from worker.settings import load_settings
from worker.steps.prepare import Draft, Prepared, prepare

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXTS = tomllib.loads(Path(__file__).with_name("junk.toml").read_text(encoding="utf-8"))
REJECT = [(reason, text) for reason, texts in TEXTS["reject"].items() for text in texts]
SETTINGS = load_settings()
POLICY = SETTINGS.match.policy()


def _prepare(title: str, text: str = "", html: str = "") -> Prepared | Rejected:
    url = "https://post.test/page" if html else ""
    draft = Draft(title=title, text=text, html=html.encode(), url=url, lang="")
    return prepare(draft, SETTINGS.index.params(), POLICY)


@pytest.mark.parametrize(("reason", "text"), REJECT)
def test_text_when_it_is_no_article_then_is_rejected_for_what_it_is(reason: str, text: str) -> None:
    """As the text of a record, without its page."""
    rejected = gate(read(""), read(text.strip()), 40, POLICY)
    assert rejected is not None
    assert rejected.reason == reason


@pytest.mark.parametrize("name", sorted(TEXTS["accept"]))
def test_text_when_it_only_looks_like_junk_then_passes(name: str) -> None:
    """Reports about walls and tickers, briefs, verse, interviews and lists within articles."""
    assert isinstance(_prepare("", TEXTS["accept"][name].strip()), Prepared)


def test_page_when_its_text_is_links_then_is_an_index() -> None:
    """Headlines and teasers that lead elsewhere are a list, also where they are sentences."""
    teasers = [
        f"The council of district {n} has decided to build a new school near the river this year."
        for n in range(12)
    ]
    items = "".join(f"<p><a href='/{n}'>{teaser}</a></p>" for n, teaser in enumerate(teasers))
    plain = "".join(f"<p>{teaser}</p>" for teaser in teasers)
    page = "<html><head><title>News</title></head><body><article>{}</article></body></html>"
    listed = _prepare("News", html=page.format(items))
    assert isinstance(listed, Rejected)
    assert listed.reason == "index_page"
    assert isinstance(_prepare("News", html=page.format(plain)), Prepared)


def test_title_alone_when_nothing_else_was_published_then_counts() -> None:
    """A record that never had a text is judged by its title; short texts and empty pages are not."""
    title = "Gas explosion in Cieszyn kills three people"
    alone = _prepare(title)
    assert isinstance(alone, Prepared)
    assert {"cieszyn", "explosion"} <= set(alone.sketch.words)
    assert alone.sketch.signature == b""
    assert _prepare(title, title) == alone
    assert _reason(_prepare(title, "More soon.")) == "too_short"
    assert _reason(_prepare("Sport")) == "too_short"
    assert _reason(_prepare("404 page not found")) == "error_page"
    assert _reason(_prepare(title, html="<html><body><div id='app'></div></body></html>"))


def test_length_alone_when_text_is_long_or_short_then_does_not_decide() -> None:
    """Five thousand words and a summary of one sentence are both articles."""
    sentence = "Reporter {} saw the harbour of town {} at hour {} and spoke with its {} fishermen. "
    long = "".join(sentence.format(n, n * 7, n * 11, n * 13) for n in range(350))
    assert len(long.split()) > 5_000
    assert isinstance(_prepare("", long), Prepared)
    assert isinstance(_prepare("", TEXTS["accept"]["summary"]), Prepared)


def _reason(result: Prepared | Rejected) -> str:
    assert isinstance(result, Rejected)
    return result.reason
