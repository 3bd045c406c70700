"""The texts under ``seeds/`` stay as hard to tell apart, and as alike, as they were made to be."""

import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from worker.demo import (
    SUMMARY_WORDS,
    Outlet,
    SeedArticle,
    feed_paragraphs,
    load_world,
)
from worker.errors import ConfigError

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "seeds"
ORIGINALS = ROOT.parent / "shared" / "seeds"
WORLD = load_world(SEEDS)
ARTICLES = {article.slug: article for article in WORLD.articles}
REPORTS = sorted(slug for slug, article in ARTICLES.items() if article.kind == "report")


def tokens(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return re.findall(r"\w+", text.lower())


def words_of(article: SeedArticle) -> list[str]:
    """Return the words of an article, its title first."""
    return tokens("\n".join((article.title, *article.paragraphs)))


def runs(words: list[str], size: int) -> set[tuple[str, ...]]:
    """Return the set of all runs of ``size`` words."""
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


def jaccard(a: list[str], b: list[str], size: int) -> float:
    """Return the share of common runs of ``size`` words among all."""
    left, right = runs(a, size), runs(b, size)
    return len(left & right) / len(left | right)


def of_kind(kind: str) -> list[SeedArticle]:
    """Return the articles of one kind."""
    return [article for article in ARTICLES.values() if article.kind == kind]


def copy_of_seeds(folder: Path) -> Path:
    """Write a world of one article to a folder that a test may spoil; return the folder."""
    (folder / "articles").mkdir()
    (folder / "templates").mkdir()
    (folder / "templates" / "page.html").write_text("", encoding="utf-8")
    (folder / "outlets.toml").write_text(
        '[[outlets]]\nhost = "a.localhost"\ntitle = "A"\nmotto = ""\nfeed = "rss"\n'
        'feed_text = "none"\npage = "page.html"\narticles = ["one"]\n',
        encoding="utf-8",
    )
    (folder / "articles" / "one.md").write_text(
        "title: One\noutlet: a.localhost\npublished: 2018-12-29T10:00:00Z\nkind: report\n"
        "story: s\n\nText.\n",
        encoding="utf-8",
    )
    return folder


def test_world_when_counted_then_has_every_kind() -> None:
    """There are four accounts, two reprints, a wall, a teaser and at least twelve other stories."""
    kinds = Counter(article.kind for article in ARTICLES.values())
    assert (kinds["report"], kinds["reprint"], kinds["wall"], kinds["teaser"]) == (4, 2, 1, 1)
    assert kinds["distractor"] >= 14
    assert len({article.story for article in of_kind("distractor")}) >= 12


def test_stories_when_counted_then_some_distractors_share_one() -> None:
    """At least one other story has two accounts, by two outlets."""
    told = Counter(article.story for article in of_kind("distractor"))
    shared = [story for story, count in told.items() if count >= 2]
    assert shared
    for story in shared:
        outlets = [article.outlet for article in of_kind("distractor") if article.story == story]
        assert len(set(outlets)) == len(outlets)


def test_reports_when_labelled_then_one_story_by_four_outlets() -> None:
    """The four accounts carry one label, share it with no distractor, and have four outlets."""
    assert {ARTICLES[slug].story for slug in REPORTS} == {"moscow-talks"}
    assert len({ARTICLES[slug].outlet for slug in REPORTS}) == 4
    assert "moscow-talks" not in {article.story for article in of_kind("distractor")}


def test_outlets_when_listed_then_few_articles_and_all_feed_kinds() -> None:
    """Seven to nine outlets have at most four articles each, and every feed kind occurs."""
    assert 7 <= len(WORLD.outlets) <= 9
    assert all(len(outlet.articles) <= 4 for outlet in WORLD.outlets)
    assert {outlet.feed for outlet in WORLD.outlets} == {"rss", "atom", "rdf"}
    assert ("atom", "full") in {(outlet.feed, outlet.feed_text) for outlet in WORLD.outlets}


def test_slugs_when_compared_with_files_then_each_is_listed_once() -> None:
    """Every file belongs to exactly one outlet, and every slug is fit for a URL."""
    listed = [article.slug for outlet in WORLD.outlets for article in outlet.articles]
    assert sorted(listed) == sorted(file.stem for file in (SEEDS / "articles").glob("*.md"))
    assert len(set(listed)) == len(listed)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug) for slug in listed)


@pytest.mark.parametrize("slug", sorted(ARTICLES))
def test_article_when_measured_then_has_the_length_of_its_kind(slug: str) -> None:
    """Accounts and distractors have the length of news, a wall and a teaser that of a notice."""
    article = ARTICLES[slug]
    low, high = {
        "report": (330, 500),
        "distractor": (150, 400),
        "reprint": (330, 500),
        "wall": (120, 200),
        "teaser": (40, 120),
    }[article.kind]
    count = len(" ".join(article.paragraphs).split())
    assert low <= count <= high, f"{slug}: {count} words"
    assert "2018-12-27" <= article.published.date().isoformat() <= "2018-12-31"


@pytest.mark.parametrize(("left", "right"), list(combinations(REPORTS, 2)))
def test_report_pair_when_compared_then_shares_words_but_no_phrases(left: str, right: str) -> None:
    """Two accounts of the event are as far apart as independent newsrooms' texts are."""
    a, b = words_of(ARTICLES[left]), words_of(ARTICLES[right])
    words, shingles = jaccard(a, b, 1), jaccard(a, b, 3)
    shown = f"{left} / {right}: words {words:.3f}, shingles {shingles:.4f}"
    assert 0.18 <= words <= 0.28, shown
    assert 0.005 <= shingles <= 0.03, shown


@pytest.mark.parametrize("slug", sorted(article.slug for article in of_kind("reprint")))
def test_reprint_when_compared_with_its_original_then_is_nearly_the_same(slug: str) -> None:
    """A reprint keeps the body of its original under another headline, at another outlet."""
    reprint = ARTICLES[slug]
    original = ARTICLES[reprint.reprint_of]
    shingles = jaccard(words_of(reprint), words_of(original), 3)
    assert 0.7 <= shingles <= 0.95, f"{slug}: shingles {shingles:.4f}"
    assert original.kind == "report"
    assert reprint.title != original.title
    assert reprint.outlet != original.outlet
    assert reprint.story == original.story
    assert reprint.published > original.published


def test_distractors_when_compared_with_reports_then_are_confusable() -> None:
    """Some distractor shares more words with an account than two of the accounts share."""
    report_words = [words_of(ARTICLES[slug]) for slug in REPORTS]
    apart = min(jaccard(a, b, 1) for a, b in combinations(report_words, 2))
    near = max(
        jaccard(words_of(article), report, 1)
        for article in of_kind("distractor")
        for report in report_words
    )
    assert near > apart, f"nearest distractor {near:.3f}, most distant accounts {apart:.3f}"


@pytest.mark.parametrize("slug", sorted(ARTICLES))
def test_text_when_compared_with_the_originals_then_shares_no_run_of_six(slug: str) -> None:
    """No six words in a row come from the articles that served as the measure."""
    files = sorted(ORIGINALS.glob("*.txt"))
    if not files:
        pytest.skip(f"the original articles are not at {ORIGINALS}")
    own = runs(words_of(ARTICLES[slug]), 6)
    for file in files:
        shared = own & runs(tokens(file.read_text(encoding="utf-8")), 6)
        assert not shared, f"{slug} and {file.name}: {sorted(shared)}"


@pytest.mark.parametrize("outlet", WORLD.outlets, ids=lambda outlet: outlet.host)
def test_feed_text_when_asked_then_follows_the_outlet(outlet: Outlet) -> None:
    """A feed carries nothing, a cut lead or all, but never the text of a wall or a teaser."""
    for article in outlet.articles:
        text = " ".join(feed_paragraphs(outlet, article)).split()
        if article.kind == "wall" or outlet.feed_text == "none":
            assert not text
        elif article.kind == "teaser":
            assert len(text) < 20
        elif outlet.feed_text == "summary":
            assert 10 < len(text) <= SUMMARY_WORDS + 1
        else:
            assert feed_paragraphs(outlet, article) == article.paragraphs


def test_copy_when_unspoiled_then_loads(tmp_path: Path) -> None:
    """The little world that the next tests spoil is itself in order."""
    (article,) = load_world(copy_of_seeds(tmp_path)).articles
    assert (article.slug, article.paragraphs) == ("one", ("Text.",))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("outlets.toml", "[[outlets]]", "[[outlets"),
        ("outlets.toml", "[[outlets]]", "[[papers]]"),
        ("outlets.toml", 'motto = ""\n', ""),
        ("outlets.toml", 'motto = ""', 'motto = ""\ncolour = "red"'),
        ("outlets.toml", '"rss"', '"json"'),
        ("outlets.toml", '"none"', '"half"'),
        ("outlets.toml", "page.html", "other.html"),
        ("outlets.toml", '["one"]', "[]"),
        ("articles/one.md", "title: One", "One"),
        ("articles/one.md", "story: s\n", ""),
        ("articles/one.md", "story: s\n", "story: s\nmood: grim\n"),
        ("articles/one.md", "10:00:00Z", "10 o'clock"),
        ("articles/one.md", "report", "poem"),
        ("articles/one.md", "a.localhost", "b.localhost"),
        ("articles/one.md", "Text.", ""),
        ("articles/one.md", "report", "reprint"),
        ("articles/one.md", "story: s", "story: s\nreprint_of: one"),
    ],
)
def test_seeds_when_malformed_then_error_names_the_file(
    tmp_path: Path, file: str, old: str, new: str
) -> None:
    """A seeds file that is wrong in any one place is named in a ConfigError."""
    spoiled = copy_of_seeds(tmp_path) / file
    text = spoiled.read_text(encoding="utf-8")
    assert old in text
    spoiled.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_world(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_seeds_when_an_article_is_missing_then_error_names_it(tmp_path: Path) -> None:
    """A listed slug without a file is named in a ConfigError."""
    (copy_of_seeds(tmp_path) / "articles" / "one.md").unlink()
    with pytest.raises(ConfigError, match=r"one\.md"):
        load_world(tmp_path)


def test_seeds_when_an_article_is_listed_nowhere_then_error_names_it(tmp_path: Path) -> None:
    """A file that no outlet lists is named in a ConfigError."""
    stray = copy_of_seeds(tmp_path) / "articles" / "two.md"
    stray.write_text("title: Two\n\nText.\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"two\.md"):
        load_world(tmp_path)
