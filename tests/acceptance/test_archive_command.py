"""The command `archive` as its users meet it."""

import json
import os
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from program import ask, command, environment, furnish

from worker.archive.warc import Archive
from worker.model import Page
from worker.testing import an_entry

NOW = 1_800_000_000.0
PAGE = Page(
    url="https://news.example.com/a",
    final_url="https://news.example.com/a",
    status=200,
    headers={"content-type": "text/html", "x-note": "\x9b31m"},
    body="<p>\u00dcber\x1b[2Jall</p>\n<p>\xa0 two</p>".encode(),
    fetched_at=NOW,
)
Run = Callable[..., "subprocess.CompletedProcess[str]"]
NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working directory whose archive holds a page, the page again, and a feed, of long ago."""
    furnish(tmp_path)
    with closing(Archive(_folder(tmp_path), max_bytes=10**6, clock=lambda: NOW)) as archive:
        archive.append(PAGE, an_entry("one"))
        feed = replace(PAGE, url="https://news.example.com/feed", body=b"<rss/>")
        archive.append(replace(feed, final_url=feed.url))
    return tmp_path


@pytest.fixture
def run(home: Path) -> Run:
    """Run one command to its end; there is no Redis unless one is named."""

    def call(*arguments: str, url: str = NOBODY) -> "subprocess.CompletedProcess[str]":
        env = environment(url, COLUMNS="200", TERM="dumb")
        done = ask(home, "archive", *arguments, env=env)
        assert "Traceback" not in done.stderr
        return done

    return call


def _folder(home: Path) -> Path:
    return home / "var" / "archive"


def _file(home: Path) -> Path:
    (path,) = _folder(home).iterdir()
    return path


def test_list_when_there_are_files_then_shows_what_is_in_each(run: Run, home: Path) -> None:
    """Times, size and counts, for people and for programs."""
    shown = run("list")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert _file(home).name in shown.stdout
    row = shown.stdout.splitlines()[-1].split()
    assert row == [_file(home).name, "08:00", "08:00", "0.0", "4", "1", "1", "1"]
    (file,) = json.loads(run("list", "--json").stdout)
    assert (file["file"], file["bytes"]) == (_file(home).name, _file(home).stat().st_size)
    counts = {name: file[name] for name in ("records", "pages", "feeds", "entries")}
    assert counts == {"records": 4, "pages": 1, "feeds": 1, "entries": 1}
    assert (file["being_written"], file["lost"]) == (False, [])
    assert (file["from"], file["to"]) == ("2027-01-15T08:00:00Z",) * 2


def test_list_when_the_archive_is_empty_then_says_so(run: Run, home: Path) -> None:
    """No folder is an empty archive."""
    _file(home).unlink()
    _folder(home).rmdir()
    assert run("list").stdout == "the archive is empty\n"
    assert json.loads(run("list", "--json").stdout) == []


def test_verify_when_whole_then_exits_0_and_when_torn_names_the_loss_and_exits_1(
    run: Run, home: Path
) -> None:
    """The line says which file, which byte, what it was and how much."""
    whole = run("verify")
    assert (whole.returncode, whole.stdout) == (0, "1 file, 4 records whole\n")
    path = _file(home)
    path.write_bytes(path.read_bytes()[:-1])
    torn = run("verify", str(path))
    assert torn.returncode == 1
    assert f"lost {path.name}, byte " in torn.stdout
    assert "a response record of https://news.example.com/… is cut off (" in torn.stdout
    assert torn.stdout.endswith("1 file, 3 records whole\n")
    (file,) = json.loads(run("verify", "--json").stdout)
    (lost,) = file["lost"]
    assert lost["offset"] + lost["size"] == path.stat().st_size
    missing = run("verify", "none.warc.gz")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "there is no file none.warc.gz" in missing.stderr


def test_cat_when_in_a_pipe_then_gives_the_bytes_and_on_a_terminal_no_control_characters(
    home: Path,
) -> None:
    """A program gets the page as it was fetched; a page must not drive a terminal."""
    env, address = environment(NOBODY), command("archive", "cat", PAGE.url)
    piped = subprocess.run(address, cwd=home, env=env, stdout=subprocess.PIPE, check=True)
    assert piped.stdout == PAGE.body
    reader, terminal = os.openpty()
    subprocess.run([*address, "--headers"], cwd=home, env=env, stdout=terminal, check=True)
    shown = os.read(reader, 10_000).decode().replace("\r\n", "\n")
    os.close(reader)
    os.close(terminal)
    head, _, body = shown.partition("\n\n")
    assert head.startswith("HTTP/1.1 200\n")
    assert "content-type: text/html" in head
    assert body == "<p>\u00dcber [2Jall</p>\n<p>  two</p>\n"
    assert all(c.isprintable() or c == "\n" for c in shown)


def test_cat_when_there_is_no_such_page_then_exits_1(run: Run, home: Path) -> None:
    """A place or an address that the archive does not have is named."""
    for what, told in (
        (f"{_file(home).name}:7", "no whole page at"),
        ("https://news.example.com/none", "no archived page"),
    ):
        done = run("cat", what)
        assert (done.returncode, done.stdout) == (1, "")
        assert told in done.stderr


@pytest.mark.parametrize("redis_server", ["embedded"], indirect=True)
def test_prune_when_files_are_old_then_says_what_goes_and_removes_it(
    run: Run, home: Path, redis_url: str
) -> None:
    """Nothing goes without a limit, nor by a dry run."""
    unlimited = run("prune", url=redis_url)
    assert unlimited.returncode == 2
    with closing(Archive(_folder(home), max_bytes=10**6, clock=lambda: 1e9)) as archive:
        archive.append(PAGE)
    old = next(path for path in _folder(home).iterdir() if path.name.startswith("2001"))
    dry = run("prune", "--keep-days", "30", "--dry-run", url=redis_url)
    assert (dry.returncode, old.is_file()) == (0, True)
    assert dry.stdout.splitlines()[0] == old.name
    assert dry.stdout.endswith("MB would be removed\n")
    (gone,) = json.loads(run("prune", "--keep-days", "30", "--json", url=redis_url).stdout)
    assert gone["file"] == old.name
    assert not old.exists()
    assert run("prune", "--keep-days", "30", url=redis_url).stdout == "0 files of 0.0 MB removed\n"
