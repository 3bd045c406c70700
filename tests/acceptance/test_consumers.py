"""Events as other programs get them: the commands, real processes, signals and HTTP."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import until
from program import ask, environment, furnish, role
from receiver import Received, Receiver, add_webhook, event_ids, running_receiver, tell

from worker.cli.main import main
from worker.core.webhooks import webhook_id
from worker.model import WebhookId
from worker.wiring import Context

SECRET = "hunter2"
HERE = {"SAMESTORY_FETCH_ALLOW_PRIVATE": "127.0.0.1", "SAMESTORY_WEBHOOKS_TIMEOUT_S": "1"}


class Answer(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working directory with settings that keep every file inside it."""
    return furnish(tmp_path)


@pytest.fixture
def in_process(
    home: Path,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run commands in this process: those that only read and write Redis need none of their own."""
    monkeypatch.chdir(home)
    for variable, value in (HERE | {"SAMESTORY_REDIS_URL": context.redis_url}).items():
        monkeypatch.setenv(variable, value)

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["samestory", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return Answer(int(end.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A running receiver of webhooks."""
    with running_receiver() as made:
        yield made


def _log(home: Path) -> str:
    return (home / "log").read_text()


def _delivered(context: Context, name: WebhookId) -> int:
    return next(h.delivered for h in context.webhooks.all() if h.webhook_id == name)


def _distinct(keys: list[str]) -> list[str]:
    return list(dict.fromkeys(keys))


def test_events_when_followed_and_resumed_then_nothing_is_missed_or_printed_twice(
    home: Path, context: Context, in_process: Command
) -> None:
    """Half is read, then the rest with a new language, until Ctrl-C, then what came meanwhile."""
    tell(context, "en", 1, 20)
    first = in_process("events", "--json", "--limit", "12")
    assert first.returncode == 0
    lines = [json.loads(line) for line in first.stdout.splitlines()]
    follow = ("events", "--json", "--follow", "--after", str(lines[-1]["cursor"]))
    with role(
        home, context.redis_url, *follow, more=HERE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        lines += [json.loads(process.stdout.readline()) for _ in range(8)]
        tell(context, "de", 1, 2)
        tell(context, "en", 21)
        lines += [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert process.stdout.read() == ""
    tell(context, "de", 3)
    again = in_process("events", "--json", "--after", str(lines[-1]["cursor"]))
    lines += [json.loads(line) for line in again.stdout.splitlines()]
    for lang, count in (("en", 21), ("de", 3)):
        assert [e["id"] for e in lines if e["lang"] == lang] == event_ids(context, lang)
        assert [e["number"] for e in lines if e["lang"] == lang] == list(range(1, count + 1))
    assert _log(home) == ""


def test_events_for_people_tell_gaps_and_where_to_go_on(
    in_process: Command, context: Context
) -> None:
    """Each event is a line of ids; what is not kept any more is told; `now` shows only news."""
    tell(context, "en", 1, 9)
    shown = in_process("events", "--limit", "2")
    [cursor] = re.findall(r"--after (\S+)", shown.stderr)
    assert [line.split()[2] for line in shown.stdout.splitlines()] == ["article_attached"] * 2
    context.client.xtrim(context.keys.events("en"), maxlen=1, approximate=False)
    rest = in_process("events", "--after", cursor).stdout.splitlines()
    assert rest[0].split() == [
        "gap:",
        "6",
        "events",
        "of",
        "en",
        "are",
        "not",
        "kept",
        "any",
        "more",
    ]
    assert "story en-000000000009  article 0000000000000009" in rest[1]
    assert in_process("events", "--after", "now").stdout == ""
    wrong = in_process("events", "--after", "yesterday")
    assert (wrong.returncode, "not a cursor" in wrong.stderr) == (2, True)


def test_webhooks_are_added_listed_and_removed_without_showing_their_secrets(
    in_process: Command, context: Context, receiver: Receiver
) -> None:
    """An address is a key to somebody's chat: only its host is ever printed."""
    url = receiver.url(f"/services/{SECRET}?token={SECRET}")

    def call(*arguments: str) -> Answer:
        done = in_process("webhooks", *arguments)
        assert SECRET not in done.stdout + done.stderr
        return done

    assert "no webhooks" in call("list").stdout
    assert call("add", url, "--types", "story_split").stdout.startswith("added ")
    changed = call("add", url, "--types", "stories_merged")
    assert changed.stdout == f"changed {webhook_id(url)} {receiver.url('/…')}\n"
    tell(context, "en", 1, 3)
    [listed] = json.loads(call("list", "--json").stdout)
    assert (listed["types"], listed["waiting"], listed["parked"]) == (["stories_merged"], 3, 0)
    assert (listed["id"], listed["url"]) == (webhook_id(url), receiver.url("/…"))
    assert "stories_merged" in call("list").stdout
    refused = call("add", f"http://10.0.0.1/{SECRET}")
    assert refused.returncode == 2
    assert "'10.0.0.1' has no public address" in refused.stderr
    assert "fetch.allow_private" in refused.stderr
    unknown = call("add", url, "--types", "all")
    assert (unknown.returncode, "story_opened" in unknown.stderr) == (2, True)
    assert call("retry", listed["id"]).stdout == "sending 0 parked events again\n"
    assert call("remove", f"https://hooks.example/{SECRET}").returncode == 1
    assert call("remove", url).returncode == 0
    assert not context.webhooks.any()


def test_deliverer_killed_between_sending_and_noting_then_another_one_goes_on(
    home: Path, context: Context, receiver: Receiver
) -> None:
    """Fault F48: down, then answering 500, then SIGKILL: all arrive, by key once, in order."""
    tell(context, "en", 1, 3)
    name = add_webhook(context, receiver.url(f"/{SECRET}"))
    hung = add_webhook(context, receiver.url("/hung"))
    tell(context, "en", 4, 33)  # nobody delivers yet
    tell(context, "de", 1, 10)
    path, victims, over = f"/{SECRET}", list[int](), threading.Event()

    def misbehave(got: Received) -> None:
        if got.path == "/hung":
            over.wait(60)
            return
        keys = receiver.keys(path)
        receiver.statuses[path] = 500 if len(keys) == 1 else 200
        if victims and len(_distinct(keys)) == 17:
            os.kill(victims.pop(), signal.SIGKILL)

    receiver.before_answer = misbehave
    with role(home, context.redis_url, "deliver", more=HERE) as first:
        victims.append(first.pid)
        assert first.wait(timeout=60) == -signal.SIGKILL
    with role(home, context.redis_url, "deliver", more=HERE) as second:
        until(lambda: _delivered(context, name) == 40, timeout_s=60)
        assert _delivered(context, hung) == 0
        over.set()
        second.send_signal(signal.SIGTERM)
        assert second.wait(timeout=20) == 0
    keys = receiver.keys(path)
    assert (len(_distinct(keys)), len(keys)) == (40, 42)  # refused once, and killed once
    for lang, count in (("en", 30), ("de", 10)):
        got = [key for key in _distinct(keys) if key.startswith(lang)]
        assert got == event_ids(context, lang)[-count:]
    assert receiver.keys("/hung")
    assert SECRET not in _log(home)
    assert "Traceback" not in _log(home)


def test_run_when_a_webhook_is_added_then_delivers_to_it(
    home: Path, context: Context, receiver: Receiver
) -> None:
    """The role is started when there is somebody to serve, and ends with the rest."""
    with role(home, context.redis_url, "run", more=HERE) as process:
        until(lambda: "web_listening" in _log(home), timeout_s=60)
        add = ask(
            home, "webhooks", "add", receiver.url(), env=environment(context.redis_url, **HERE)
        )
        assert add.returncode == 0
        tell(context, "en", 1, 3)
        until(lambda: len(receiver.received) == 3, timeout_s=60)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    assert receiver.keys() == event_ids(context, "en")
