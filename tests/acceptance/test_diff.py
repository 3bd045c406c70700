"""`samestory diff` and `replay --diff` as a user calls them: table, JSON, page and exit code."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT
from program import ask, environment, furnish

from worker.demo import load_world
from worker.embedded import EmbeddedRedis

STRICT = ("--set", "match.story_threshold=0.99", "--workers", "1")


@dataclass(frozen=True)
class Home:
    """A working directory, its server, and what two replays said: one as shipped, one strict."""

    path: Path
    redis_url: str

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the program."""
        return ask(self.path, *arguments, env=environment(self.redis_url))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with the seeds as records, replayed into `base` and, strictly, into `new`."""
    path = furnish(tmp_path_factory.mktemp("home"))
    records = [
        {
            "id": a.slug, "ts": a.published.isoformat(), "title": a.title,
            "text": "\n\n".join(a.paragraphs), "source": a.outlet,
        }
        for a in load_world(ROOT / "seeds").articles
    ]  # fmt: skip
    (path / "seeds.jsonl").write_text("\n".join(map(json.dumps, records)))
    with EmbeddedRedis(path / "server") as url:
        made = Home(path, url)
        assert made.ask("replay", "seeds.jsonl", "-n", "base", "--workers", "1").returncode == 0
        assert made.ask("replay", "seeds.jsonl", "-n", "new", *STRICT).returncode == 0
        yield made


def test_replay_with_diff_when_too_much_changes_then_shows_it_and_exits_with_1(home: Home) -> None:
    """One document with the summary and the changes, the page, and a line about the bound."""
    answer = home.ask(
        "replay", "seeds.jsonl", *STRICT, "--diff", "base", "--fail-over", "2%",
        "--html", "page.html", "--json",
    )  # fmt: skip
    assert answer.returncode == 1
    assert "of the articles changed: more than --fail-over 2.00%" in answer.stderr
    document = json.loads(answer.stdout)
    changed = document["diff"]
    assert changed["base"] == "base"
    assert changed["new"] == document["namespace"]
    assert changed["articles"]["both"] == document["attached"]
    assert changed["stories"]["new"] == document["stories"]
    assert changed["stories"]["split"] == len(changed["changes"]) > 0
    assert "What changes from base to" in (home.path / "page.html").read_text(encoding="utf-8")


def test_diff_when_asked_of_two_namespaces_then_prints_counts_and_changes(home: Home) -> None:
    """The same without a replay; the other way round the splits are merges."""
    there, back = home.ask("diff", "base", "new"), home.ask("diff", "new", "base")
    assert (there.returncode, back.returncode, there.stderr + back.stderr) == (0, 0, "")
    assert "\nsplit  " in there.stdout
    assert "\nmerged  " in back.stdout
    assert "B-cubed F1 0." in there.stdout
    few = home.ask("diff", "base", "new", "--limit", "1").stdout
    assert "changes more: samestory diff base new --limit " in few


def test_diff_when_nothing_changed_then_exits_with_0_whatever_the_bound(home: Home) -> None:
    """A namespace is what it is."""
    answer = home.ask("diff", "base", "base", "--fail-over", "0%")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "0.00% of all" in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("diff", "base", "nobody"), "namespace 'nobody' holds no stories"),
        (("diff", "nobody", "new"), "namespace 'nobody' holds no stories"),
        (("diff", "no such", "new"), "namespace 'no such' is not allowed"),
        (("diff", "base", "new", "--fail-over", "2"), "--fail-over '2' is not a percentage"),
        (("diff", "base", "new", "--fail-over", "nan%"), "--fail-over 'nan%' is not"),
        (("diff", "base", "new", "--html", "no/such/page.html"), "no/such/page.html"),
        (("replay", "seeds.jsonl", "--fail-over", "2%"), "name one"),
        (("replay", "seeds.jsonl", "--diff", "nobody"), "namespace 'nobody' holds no stories"),
    ],
)
def test_diff_when_called_wrongly_then_says_so_and_exits_with_2(
    home: Home, arguments: tuple[str, ...], said: str
) -> None:
    """A bound, a page or a namespace that is wrong is told in a line, before any replay."""
    answer = home.ask(*arguments)
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.returncode == 2
