"""`samestory replay` as a user calls it: files in, one line a record out, `live` left alone."""

import gzip
import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from conftest import until
from outlet import OPERA, QUAKE
from program import ask, command, environment, furnish
from stream import records

from worker.embedded import EmbeddedRedis

# How often the long replay is killed, at random moments; `KILLS=20` does it more often.
KILLS = int(os.environ.get("KILLS", "3"))
RECORDS = 300

SALMON = (
    "Salmon have come back to the upper Wend for the first time in sixty years, the fishery board "
    "of Ostmark counted. Volunteers led by Greta Lund had opened four weirs and planted alders "
    "along the banks. Anglers may not take any before the stock reaches five thousand, and a mill "
    "owner who refuses a fish ladder at his dam goes to court in May, the board said on Monday."
)
PAGE = f"<html><head><title>Fish return</title></head><body><article><p>{SALMON}</p></article>"
LINES = (
    {"id": "quake", "ts": "2026-03-01T10:00:00Z", "text": QUAKE, "source": "a", "theirs": {"x": 1}},
    '{"id": "cut", "text": "no end',
    {"id": "bodiless", "ts": "2026-03-01T10:00:00Z", "title": "Only a title"},
    {"id": "reprint", "ts": "2026-03-01T12:30:00+02:00", "text": QUAKE, "source": "b"},
    {"id": 42, "ts": 1_772_362_800, "text": OPERA, "lang": "en"},
    {"id": 43, "ts": 1_772_366_400_000, "text": OPERA},
    {"id": "short", "text": "More soon."},
    {"id": "untimely", "ts": "yesterday", "text": OPERA},
    "",
    {"id": "quake", "ts": "2026-03-01T13:00:00Z", "text": SALMON},
    {"id": "page", "ts": "2026-03-02", "html": PAGE, "url": "https://fish.example/p"},
    "[1, 2]",
    {"id": "after", "text": SALMON},
    {"id": "early", "ts": "2026-02-28", "text": QUAKE, "source": "c"},
)
NAMES = ["quake", "reprint", 42, 43, "short", "quake", "page", "after", "early"]
KEYS = ["id", "story", "copy_of", "outcome", "score", "reason"]
ITEM = "<item><guid>{0}</guid><title>{0}</title><pubDate>{1}</pubDate><description>{2}</description></item>"


@dataclass(frozen=True)
class Home:
    """A working directory with settings, and the address of a server of its own."""

    path: Path
    redis_url: str

    def replay(
        self, *arguments: str, command: str = "replay", stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run one command of the program."""
        return ask(self.path, command, *arguments, env=environment(self.redis_url), stdin=stdin)

    def lines(self, name: str) -> list[dict[str, object]]:
        """Return the records of a file that a replay wrote."""
        return [json.loads(line) for line in (self.path / name).read_text().splitlines()]


@dataclass(frozen=True)
class Runs:
    """What three replays of one file left behind."""

    home: Home
    first: subprocess.CompletedProcess[str]
    again: subprocess.CompletedProcess[str]
    parallel: subprocess.CompletedProcess[str]

    def by_name(self, name: object) -> list[dict[str, object]]:
        """Return the lines of one record name, in order."""
        return [line for line in self.home.lines("first.jsonl") if line["id"] == name]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose server lives as long as this module's tests."""
    path = furnish(tmp_path_factory.mktemp("home"))
    with EmbeddedRedis(path / "server") as url:
        yield Home(path, url)


@pytest.fixture(scope="module")
def runs(home: Home) -> Runs:
    """Replay one file into a namespace, into it again, and into a fresh one with four workers."""
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in LINES)
    (home.path / "main.jsonl").write_text(text)
    named = ("main.jsonl", "--namespace", "x", "--workers", "1", "--out")
    return Runs(
        home=home,
        first=home.replay(*named, "first.jsonl"),
        again=home.replay(*named, "again.jsonl"),
        parallel=home.replay("main.jsonl", "--workers", "4", "--out", "parallel.jsonl", "--json"),
    )


def test_out_has_one_line_a_record_in_input_order(runs: Runs) -> None:
    """Every readable record has its line, with these keys and no others."""
    lines = runs.home.lines("first.jsonl")
    assert [line["id"] for line in lines] == NAMES
    assert all(list(line) == KEYS for line in lines)
    assert {type(line["score"]) for line in lines} == {float}


def test_bad_lines_are_named_with_reason_and_the_exit_code_is_one(runs: Runs) -> None:
    """Each line that is no record is told by number; the others are replayed all the same."""
    told = [line for line in runs.first.stderr.splitlines() if line.startswith("bad record")]
    assert [line.split(": ")[0].split("line ")[1] for line in told] == ["2", "3", "8", "12"]
    assert "neither 'text' nor 'html'" in told[1]
    assert "ts 'yesterday' is not an ISO 8601 time" in told[2]
    assert (runs.first.returncode, runs.again.returncode, runs.parallel.returncode) == (1, 1, 1)
    summary = json.loads(runs.parallel.stdout)
    assert (summary["records"], summary["bad_records"], summary["rejected"]) == (9, 4, 1)
    assert "Traceback" not in runs.first.stderr + runs.parallel.stderr


def test_records_run_in_event_order_and_name_what_they_copy(runs: Runs) -> None:
    """The earliest one opens the story although it stands last; the others copy it."""
    ((early,), (reprint,)) = runs.by_name("early"), runs.by_name("reprint")
    quake, quake_again = runs.by_name("quake")
    assert (early["reason"], early["copy_of"], early["outcome"]) == ("new_story", None, "attached")
    assert (quake["reason"], quake["copy_of"], reprint["copy_of"]) == ("copy", "early", "early")
    assert early["story"] == quake["story"] == reprint["story"]
    assert (quake_again["outcome"], quake_again["story"]) == ("duplicate", early["story"])
    (short,) = runs.by_name("short")
    assert (short["outcome"], short["story"], short["reason"]) == ("rejected", None, "too_short")


def test_html_record_is_extracted_and_undated_one_takes_the_time_before(runs: Runs) -> None:
    """A page's own text decides, so the text alone, a line later without a time, is its copy."""
    ((page,), (after,)) = runs.by_name("page"), runs.by_name("after")
    assert (page["reason"], after["reason"]) == ("new_story", "copy")
    assert (after["copy_of"], after["story"]) == ("page", page["story"])


def test_copy_of_an_integer_id_is_that_id(runs: Runs) -> None:
    """`copy_of` can be looked up among the ids, so it is of their type."""
    ((original,), (copy,)) = runs.by_name(42), runs.by_name(43)
    assert (original["outcome"], copy["story"]) == ("attached", original["story"])
    assert copy["copy_of"] == 42


def test_answer_does_not_depend_on_the_number_of_workers(runs: Runs) -> None:
    """One process and four write the same bytes."""
    first, parallel = (runs.home.path / f"{n}.jsonl" for n in ("first", "parallel"))
    assert first.read_bytes() == parallel.read_bytes()


def test_replay_when_repeated_into_one_namespace_then_changes_nothing(runs: Runs) -> None:
    """The second run finds every record in its story, and the books agree."""
    first, again = (runs.home.path / f"{n}.jsonl" for n in ("first", "again"))
    assert first.read_bytes() == again.read_bytes()
    report = json.loads(runs.home.replay("--namespace", "x", "--json", command="audit").stdout)
    assert (report["balanced"], report["sums"]["claimed"]) == (True, 8)


def test_replay_leaves_live_untouched(runs: Runs) -> None:
    """No key of the live namespace is written, and none of RQ's."""
    with redis.Redis.from_url(runs.home.redis_url) as client:
        names = [key.decode() for key in client.scan_iter()]
    assert names
    assert [name for name in names if "live" in name or name.startswith("rq:")] == []


def test_sources_of_every_kind_run_together_within_a_range(home: Home) -> None:
    """Standard input, gzip, text and a feed file are one stream; --from and --to cut it."""
    with gzip.open(home.path / "packed.jsonl.gz", "wt") as packed:
        packed.write(json.dumps({"id": "zipped", "ts": "2026-03-01T09:00:00Z", "text": OPERA}))
    (home.path / "note.txt").write_text(f"Opera house closes\n{OPERA}")
    items = ITEM.format("listed", "Sun, 01 Mar 2026 10:00:00 GMT", SALMON)
    items += ITEM.format("late", "Tue, 03 Mar 2026 10:00:00 GMT", SALMON)
    feed = f'<rss version="2.0"><channel><title>Own</title>{items}</channel></rss>'
    (home.path / "feed.xml").write_text(feed)
    piped = json.dumps({"id": "old", "ts": "2026-02-01", "text": QUAKE})
    piped += "\n" + json.dumps({"id": "piped", "ts": "2026-03-01", "text": QUAKE})
    answer = home.replay(
        "-", "packed.jsonl.gz", "note.txt", "feed.xml", "--from", "2026-03-01", "--to",
        "2026-03-03T10:00:00Z", "--workers", "2", "--out", "kinds.jsonl", stdin=piped,
    )  # fmt: skip
    assert (answer.returncode, answer.stderr) == (0, "")
    lines = home.lines("kinds.jsonl")
    assert [line["id"] for line in lines] == ["piped", "zipped", "note", "listed"]
    assert [line["copy_of"] for line in lines] == [None, None, "zipped", None]
    assert {line["outcome"] for line in lines} == {"attached"}


def test_dry_run_when_sources_hold_bad_lines_then_counts_them_and_writes_nothing(
    home: Home,
) -> None:
    """What would be replayed is told by source and kind, with its range in time."""
    lines = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in LINES)
    (home.path / "counted.jsonl").write_text(lines)
    (home.path / "counted.txt").write_text(f"Opera house closes\n{OPERA}")
    with redis.Redis.from_url(home.redis_url) as client:
        before = client.dbsize()
        answer = home.replay(
            "counted.jsonl", "counted.txt", "--dry-run", "--to", "2026-03-02", "--json",
            "--out", "counted.out", "-n", "counted",
        )  # fmt: skip
        assert client.dbsize() == before
    assert answer.returncode == 1
    assert len([line for line in answer.stderr.splitlines() if line.startswith("bad")]) == 4
    assert json.loads(answer.stdout) == {
        "records": 8,
        "first": "2026-02-28T00:00:00Z",
        "last": "2026-03-01T13:00:00Z",
        "bad_records": 4,
        "sources": [
            {"source": "counted.jsonl", "kind": "JSONL", "records": 9, "bad": 4},
            {"source": "counted.txt", "kind": "text", "records": 1, "bad": 0},
        ],
    }
    assert not (home.path / "counted.out").exists()
    told = home.replay("counted.txt", "--dry-run", "--quiet").stdout
    assert "counted.txt  text  1 records, 0 bad" in told


def test_limit_when_fewer_than_the_records_then_takes_the_earliest(home: Home) -> None:
    """They are the first in event order, wherever they stand in the file."""
    records = [{"id": n, "ts": ts, "text": OPERA} for n, ts in enumerate((300, 100, 200))]
    (home.path / "three.jsonl").write_text("\n".join(map(json.dumps, records)))
    answer = home.replay("three.jsonl", "--limit", "2", "--workers", "1", "--out", "two.jsonl")
    assert answer.returncode == 0
    assert [line["id"] for line in home.lines("two.jsonl")] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "match.story_threshold=2"), "match.story_threshold"),
        (("--namespace", "live"), "never writes to 'live'"),
        (("--out", "no/such/folder/out.jsonl"), "no/such/folder"),
        (("there-is-none.jsonl",), "there is no file there-is-none.jsonl"),
    ],
)
def test_replay_when_called_wrongly_then_says_so_and_exits_with_2(
    home: Home, arguments: tuple[str, ...], said: str
) -> None:
    """A wrong setting, namespace, output or source is told in a line, before any work."""
    (home.path / "one.jsonl").write_text(json.dumps({"id": 1, "text": OPERA}))
    answer = home.replay("one.jsonl", "--workers", "1", *arguments)
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.returncode == 2


def test_replay_when_killed_and_run_again_then_ends_as_if_it_had_not_been(home: Home) -> None:
    """SIGKILL at random moments leaves what was done; the last run writes the file of one never killed."""
    (home.path / "long.jsonl").write_text("\n".join(map(json.dumps, records(RECORDS))))
    draw = random.Random(KILLS)
    resumed = ("long.jsonl", "--workers", "2", "--out", "resumed.jsonl", "-n", "killed")
    with redis.Redis.from_url(home.redis_url) as client:
        for kill in range(KILLS):
            goal = draw.randrange(RECORDS * kill // KILLS, RECORDS * (kill + 1) // KILLS)
            process = subprocess.Popen(
                command("replay", *resumed), cwd=home.path, env=environment(home.redis_url),
                start_new_session=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            until(lambda goal=goal: _settled(client) >= goal, timeout_s=60)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert not (home.path / "resumed.jsonl").exists()
    assert home.replay(*resumed).returncode == 0
    whole = ("long.jsonl", "--workers", "1", "--out", "whole.jsonl", "-n", "whole")
    assert home.replay(*whole).returncode == 0
    ends = [(home.path / name).read_bytes() for name in ("resumed.jsonl", "whole.jsonl")]
    assert ends[0] == ends[1]
    assert not list(home.path.glob("*.part"))
    audits = [home.replay("--json", "-n", name, command="audit") for name in ("killed", "whole")]
    assert [json.loads(audit.stdout)["balanced"] for audit in audits] == [True, True]


def test_replay_when_the_namespace_holds_another_one_then_is_refused(home: Home) -> None:
    """Other records or settings would mix with what is there: told with the way out, and left alone."""
    (home.path / "mine.jsonl").write_text(json.dumps({"id": 1, "text": OPERA}))
    (home.path / "other.jsonl").write_text(json.dumps({"id": 2, "text": OPERA}))
    named = ("--namespace", "taken", "--workers", "1")
    assert home.replay("mine.jsonl", *named).returncode == 0
    for arguments in (("other.jsonl",), ("mine.jsonl", "--set", "match.story_threshold=0.7")):
        answer = home.replay(*arguments, *named)
        assert answer.returncode == 2
        assert "name another namespace, or none for a fresh one" in answer.stderr
    assert home.replay("mine.jsonl", *named).returncode == 0


def _settled(client: redis.Redis) -> int:
    counts = client.hmget("{killed}:counts", "attached", "rejected")
    return sum(int(count or 0) for count in counts)
