"""The command line as its users meet it: a process, its output and its exit status."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from conftest import until
from program import ask, command, environment
from seeding import BANK, FLOOD, PUMPS, claim, follow, ingest, quarantine

from worker.core.entries import feed_id
from worker.core.websub import Topic
from worker.model import Dates, Feed, FeedWishes, Rhythm, Why
from worker.store.feeds import poll_fields
from worker.wiring import Context

Run = Callable[..., "subprocess.CompletedProcess[str]"]
HOSTILE = "Flood \x1b[2J[red]hits[/red] Oldtown"
PLAIN = {"COLUMNS": "100", "TERM": "dumb"}
NOBODY = "redis://127.0.0.1:1/0"
# A process costs seconds, and what it prints does not depend on the make of the server.
pytestmark = pytest.mark.parametrize("redis_server", ["embedded"], indirect=True)


@pytest.fixture
def run(redis_url: str, tmp_path: Path) -> Run:
    """Run one command to its end in an empty folder; never does it print a control character."""

    def call(*arguments: str, url: str = redis_url) -> "subprocess.CompletedProcess[str]":
        done = ask(tmp_path, *arguments, env=environment(url, **PLAIN))
        assert "Traceback" not in done.stderr
        assert all(c.isprintable() or c == "\n" for c in done.stdout + done.stderr)
        return done

    return call


def test_stories_and_their_articles_are_shown(run: Run, context: Context) -> None:
    """A reprint stands under its original, and every publisher is counted once."""
    ingest(context, "guid-1", "https://a.example/1", HOSTILE, FLOOD)
    ingest(context, "guid-2", "https://b.example/2", "Pumps for flooded Oldtown", PUMPS)
    ingest(context, "guid-3", "https://c.example/3", "Flood in Oldtown", FLOOD + " More follows.")
    story_id = context.stories.newest(limit=1)[0].story_id

    listed = run("stories")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "[red]hits[/red]" in listed.stdout
    assert "3 (2 own)" in listed.stdout
    [as_json] = json.loads(run("stories", "--json", "--lang", "en").stdout)
    assert (as_json["story_id"], as_json["articles"], as_json["reprints"]) == (story_id, 3, 1)
    assert json.loads(run("stories", "--json", "--lang", "de").stdout) == []

    shown = run("story", story_id).stdout
    assert shown.index("reprint: Flood in Oldtown") < shown.index("Pumps for flooded Oldtown")
    assert "c.example (reprints only)" in shown
    members = json.loads(run("story", story_id, "--json").stdout)["members"]
    assert [member["source"] for member in members if member["copy_of"]] == ["c.example"]


def test_why_tells_what_spoke_for_a_story(run: Run, context: Context) -> None:
    """The candidate, the shared terms, and every feature with its weight are there."""
    ingest(context, "guid-1", "https://a.example/1", HOSTILE, FLOOD)
    ingest(context, "guid-2", "https://b.example/2", "Pumps for flooded Oldtown", PUMPS)
    shown = run("why", "https://b.example/2?utm_source=mail")
    assert shown.returncode == 0
    assert "the same story: best score" in shown.stdout
    assert "millbrook" in shown.stdout
    assert "bias" in shown.stdout
    why = json.loads(run("why", "guid-2", "--json").stdout)
    [candidate] = why["evidence"]["candidates"]
    assert set(why["weights"]) - {"bias"} <= set(candidate["features"])
    assert why["entry"]["outcome"] == "attached"


def test_why_tells_what_became_of_an_entry_without_a_story(run: Run, context: Context) -> None:
    """A rejected text has a reason, and one that was given up says where to look."""
    ingest(context, "guid-1", "https://a.example/1", "Short", "Too short.")
    quarantine(context, "guid-2", "https://a.example/2", "Broken")
    assert "rejected: not taken for an article" in run("why", "https://a.example/1").stdout
    broken = run("why", "guid-2").stdout
    assert "quarantined" in broken
    assert "DecodeError: broken" in broken


def test_what_does_not_exist_exits_with_1_and_names_the_nearest(run: Run, context: Context) -> None:
    """A mistyped id is one glance away from the right one; a headline is shown without harm."""
    entry = ingest(context, "guid-1", "https://a.example/1", HOSTILE, FLOOD)
    story_id = context.stories.newest(limit=1)[0].story_id
    for arguments, near in (
        (("story", story_id[:-2]), story_id),
        (("why", "oldtown"), entry.article_id),
        (("feeds", "remove", "https://river-post.example/fed"), "https://river-post.example/feed"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert near in done.stderr
    assert run("quarantine", "show", "nothing").returncode == 1


def test_status_says_what_is_there_and_what_fails(run: Run, context: Context) -> None:
    """Counts, languages, memory and failing feeds, as text and as JSON."""
    ingest(context, "guid-1", "https://a.example/1", "Flood", FLOOD)
    feed = follow(context, "https://bad.example/feed?token=hunter2")
    context.client.hset(context.keys.feed(feed.feed_id), mapping={"error": "HTTP 500 [b]"})
    shown = run("status").stdout
    assert "HTTP 500 [b]" in shown
    assert "hunter2" not in shown
    status = json.loads(run("status", "--json").stdout)
    assert status["counts"]["attached"] == 1
    assert status["languages"] == {"en": {"articles": 1, "stories": 1}}
    assert status["failing"][0]["url"] == "https://bad.example/feed?token=***"
    assert status["redis_memory_bytes"] > 0


def test_feeds_go_in_and_come_out(run: Run, tmp_path: Path, context: Context) -> None:
    """Addresses, text files and OPML are read; the export can be imported again."""
    (tmp_path / "list.txt").write_text("# mine\nhttps://x.example/rss\nhttps://y.example/?key=k\n")
    assert "added 3 feeds" in run("feeds", "add", "HTTPS://Z.example", "list.txt").stdout
    assert "added 0 feeds" in run("feeds", "add", "https://z.example/").stdout
    listed = run("feeds", "list").stdout
    assert "https://z.example/" in listed
    assert "key=***" in listed
    assert run("feeds", "export", "all.opml").returncode == 0
    assert (
        "removed 2 feeds"
        in run("feeds", "remove", "https://z.example", "https://y.example/?key=k").stdout
    )
    assert "added 2 feeds" in run("feeds", "import", "all.opml").stdout
    urls = {feed["url"] for feed in json.loads(run("feeds", "list", "--json").stdout)}
    assert urls == {"https://x.example/rss", "https://y.example/?key=***", "https://z.example/"}
    assert run("feeds", "export").stdout == (tmp_path / "all.opml").read_text()


def _polled(context: Context, url: str, **state: object) -> Feed:
    """Follow a feed that was polled and is as given."""
    feed = replace(
        Feed(feed_id=feed_id(url), url=url, next_poll_at=context.clock() + 7_300), **state
    )
    context.feeds.add(feed)
    context.client.hset(context.keys.feed(feed.feed_id), mapping=poll_fields(feed))
    return feed


def test_feeds_why_says_when_one_is_polled_next_and_what_decided_that(
    run: Run, context: Context
) -> None:
    """Each reason has its words, by address and by id; a feed that nobody follows is named."""
    until = context.clock()
    by_day = tuple(10.0 if 8 <= hour < 16 else 0.0 for hour in range(24))
    rhythm = Rhythm(since=until - 60 * 86_400, until=until, changes=by_day)
    words = {
        Why.NEW: "little is known of it yet: once in 1 h",
        Why.RHYTHM: "most of it from 08:00 to 15:00 UTC",
        Why.ASKED: "Retry-After",
        Why.FRESH: "max-age",
        Why.FEED: "it asks for 2 h between polls",
        Why.SKIPPED: "skipHours",
        Why.FAILURES: "back-off after 3 failures in a row",
        Why.UNCONDITIONAL: "neither ETag nor Last-Modified",
        Why.PUSHED: "its hub says that there is something new",
        Why.MOVED: "the address of feed 0123456789ab, which is polled instead",
        Why.GONE: "never",
    }
    assert set(words) == set(Why)
    wishes = FeedWishes(every_s=7_200.0)
    for why, word in words.items():
        feed = _polled(
            context, f"https://{why.value}.example/feed?token=hunter2", why=why, wishes=wishes,
            rhythm=rhythm, failures=3, gone=why is Why.GONE,
            same_as="0123456789ab" if why is Why.MOVED else "",
        )  # fmt: skip
        shown = run("feeds", "why", feed.feed_id).stdout
        assert word in " ".join(shown.split())
        assert ("in 2 h" in shown) is (why not in {Why.GONE, Why.MOVED})
        assert "hunter2" not in shown
    follow(context, "https://new.example/feed")
    assert "not polled yet" in run("feeds", "why", "https://new.example/feed").stdout
    told = json.loads(run("feeds", "why", feed_id("https://new.example/feed"), "--json").stdout)
    assert (told["why"], told["because"]) == (None, "it was not polled yet")
    unknown = run("feeds", "why", "https://new.example/fed")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "https://new.example/feed" in unknown.stderr


def test_feeds_why_says_what_has_come_of_asking_a_hub(run: Run, context: Context) -> None:
    """For people and for programs; of the hub only its origin."""
    feed = _polled(context, "https://news.example/feed")
    topic = Topic(hub="https://hub.example/hunter2", url=feed.url)
    context.subscriptions.offered(feed.feed_id, topic, now=context.clock())
    for options in ((), ("--json",)):
        shown = run("feeds", "why", feed.feed_id, *options).stdout
        assert "hunter2" not in shown
        assert "hub.example/" in shown
        assert "is asked for them soon" in shown


def test_feeds_list_sick_shows_what_fails_fell_silent_or_turned_undated(
    run: Run, context: Context
) -> None:
    """The sick ones alone, each with what is wrong; with none there is a line that says so."""
    now = context.clock()
    _polled(context, "https://well.example/feed", failures=1, error="HTTP status 500")
    assert "1 feed, none of them sick" in run("feeds", "list", "--sick").stdout
    hourly = Rhythm(since=now - 60 * 86_400, until=now, changes=(10.0,) * 24)
    _polled(context, "https://failing.example/feed", failures=9, error=HOSTILE)
    _polled(context, "https://silent.example/feed", rhythm=hourly, changed_at=now - 9 * 86_400)
    _polled(context, "https://undated.example/feed", dates=Dates.LOST)
    shown = run("feeds", "list", "--sick").stdout
    for word in ("failing: Flood", "silent since", "undated: its entries had dates"):
        assert word in shown
    assert "well.example" not in shown
    listed = json.loads(run("feeds", "list", "--sick", "--json").stdout)
    assert sorted(feed["sick"] for feed in listed) == [["failing"], ["silent"], ["undated"]]
    assert [f["sick"] for f in json.loads(run("feeds", "list", "--json").stdout)].count([]) == 1


@pytest.mark.parametrize(
    "source", ["ftp://x.example/feed", "https://me:hunter2@x.example/feed?token=hunter2", "no.opml"]
)
def test_what_is_no_feed_is_refused_by_name(run: Run, source: str, context: Context) -> None:
    """Nothing is added when one of several sources is wrong, and no secret is repeated."""
    done = run("feeds", "add", "https://good.example/feed", source)
    assert done.returncode == 2
    assert source.partition("://")[0] in done.stderr
    assert "hunter2" not in done.stderr
    assert context.feeds.all() == ()


def test_the_quarantine_is_shown_retried_and_dropped(run: Run, context: Context) -> None:
    """Each entry is either taken up again or rejected, and the sums stay right."""
    first = quarantine(context, "guid-1", "https://a.example/1", "First").entry_id
    second = quarantine(context, "guid-2", "https://a.example/2", "Second").entry_id
    held = json.loads(run("quarantine", "list", "--json").stdout)
    assert [row["entry"] for row in held] == [first, second]
    assert "DecodeError: broken" in run("quarantine", "show", first).stdout
    assert run("quarantine", "retry").returncode == 2
    assert run("quarantine", "drop", first, "unknown").returncode == 1
    assert "dropped 1 entry" in run("quarantine", "drop", first).stdout
    assert "retrying 1 entry" in run("quarantine", "retry", "--all").stdout
    counts = context.ledger.counts()
    assert (counts["held"], counts["pending"], counts["rejected"]) == (0, 1, 1)
    assert run("audit").returncode == 0


def test_audit_exits_with_1_when_a_sum_is_off(run: Run, context: Context) -> None:
    """An entry that was claimed and vanished is an offence."""
    ingest(context, "guid-1", "https://a.example/1", "Flood", FLOOD)
    ingest(context, "guid-2", "https://a.example/2", "Bank", BANK)
    assert json.loads(run("audit", "--json").stdout)["balanced"] is True
    context.client.hincrby(context.keys.counts, "claimed", 1)
    done = run("audit")
    assert done.returncode == 1
    assert "not balanced" in done.stdout


def test_audit_repairs_what_can_be_mended_and_exits_with_1_for_the_rest(
    run: Run, context: Context
) -> None:
    """Each mend is a line; what is left is one too, with the way out."""
    entry = ingest(context, "guid-1", "https://a.example/1", "Flood", FLOOD)
    waiting = claim(context, "guid-2", "https://a.example/2", "Bank", BANK)
    context.client.hincrby(context.keys.counts, "claimed", 1)
    done = run("audit", "--repair")
    assert done.returncode == 0
    assert "→ counted those that are nowhere as rejected (lost)" in " ".join(done.stdout.split())
    context.client.zrem(context.keys.pending, waiting.entry_id)
    context.client.set(context.keys.article("en", entry.article_id), b"torn")
    left = run("audit", "--repair", "--json")
    found = json.loads(left.stdout)
    assert (left.returncode, found["balanced"]) == (1, False)
    assert [waiting.entry_id in one for one in found["repairs"]] == [True]
    assert any("redis-cli DEL" in one for one in found["offences"])


def test_doctor_examines_the_server_in_use_and_an_absent_one(run: Run, context: Context) -> None:
    """A healthy one exits with 0; one that does not answer with 1, and says what to do."""
    assert run("doctor").returncode == 0
    away = run("doctor", url=NOBODY)
    assert away.returncode == 1
    assert "start Redis" in away.stdout
    grades = {c["check"]: c["grade"] for c in json.loads(run("doctor", "--json").stdout)}
    assert grades["redis"] == "OK"


def test_wrong_settings_and_an_absent_server_exit_with_2(run: Run) -> None:
    """The message names what to change, and never a password."""
    wrong = run("--set", "match.story_treshold=1", "stories")
    assert wrong.returncode == 2
    assert "match.story_threshold" in wrong.stderr
    away = run("stories", url="redis://:hunter2@127.0.0.1:1/0")
    assert away.returncode == 2
    assert "127.0.0.1:1" in away.stderr
    assert "hunter2" not in away.stdout + away.stderr
    shown = run("--set", "poll.interval_s=1800", "config", url="redis://:hunter2@h/0?password=x9x9")
    assert "interval_s = 1800.0" in shown.stdout
    assert "hunter2" not in shown.stdout
    assert "x9x9" not in shown.stdout


@pytest.fixture
def web(redis_url: str, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """The web role on a port of the system's choice."""
    options = ("--set", "web.port=0", "--set", "log.format=json", "web")
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command(*options),
            cwd=tmp_path,
            env=environment(redis_url, **PLAIN),
            stderr=log,
            text=True,
        )
        yield process
        process.kill()
        process.wait()


def test_web_answers_and_ends_in_order_on_sigterm(
    web: "subprocess.Popen[str]", run: Run, tmp_path: Path
) -> None:
    """It says where it listens, a second one on its port is refused, and it exits with 0."""
    log = tmp_path / "log"
    until(lambda: "web_listening" in log.read_text())
    [line] = [one for one in log.read_text().splitlines() if "web_listening" in one]
    port = json.loads(line)["port"]
    with urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=10) as response:
        assert response.status == 200
    second = run("--set", f"web.port={port}", "web")
    assert second.returncode == 2
    assert "web.port" in second.stderr
    web.send_signal(signal.SIGTERM)
    assert web.wait(10) == 0
