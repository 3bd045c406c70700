"""A secret in every address that there is: after one run it stands in nothing that others read."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import until
from outlet import OPERA, QUAKE, Site, follow, page
from program import QUICK, ask, environment, furnish, role
from prometheus_client import CollectorRegistry, generate_latest
from receiver import tell
from structlog.testing import capture_logs

from worker.archive.warc import Archive
from worker.model import EntryId, Page
from worker.store.ledger import WORK, LedgerRow
from worker.web.app import NumbersCollector
from worker.wiring import Context

KEY = "kEyCaNaRy7"  # in a parameter that is called a key
TOKEN = "pAtHcAnArY7"  # anywhere else behind the host
PASSWORD = "rEdIsCaNaRy7"
SECRETS = (KEY, TOKEN, PASSWORD)
# A process costs seconds, and what it prints does not depend on the make of the server.
pytestmark = pytest.mark.parametrize("redis_server", ["embedded"], indirect=True)


@pytest.fixture
def guarded_url(context: Context, redis_url: str) -> Iterator[str]:
    """The server's address with a user and a password."""
    context.client.acl_setuser(
        "reader", enabled=True, passwords=[f"+{PASSWORD}"], categories=["+@all"], keys=["*"], channels=["*"],
    )  # fmt: skip
    yield f"{redis_url}&username=reader&password={PASSWORD}"
    context.client.acl_deluser("reader")


class Clumsy(Archive):
    """An archive whose errors quote the address of the page, as those of libraries do."""

    def read(self, location: str) -> Page:
        """Fail for a reason that nobody foresaw."""
        raise LookupError(f"no page of {super().read(location).url} at all")


def _furnish(site: Site) -> list[str]:
    """Let the site serve feeds and pages of all fates; return the paths of the feeds."""

    def moved(target: str) -> tuple[int, dict[str, str], bytes]:
        return 302, {"Location": target}, b""

    def items(*names: str) -> bytes:
        links = [site.url(f"/{TOKEN}/{name}{end}") for name in names]
        entries = (
            f"<item><guid>{link}</guid><link>{link}</link><description>{OPERA}</description></item>"
            for link in links
        )
        return f'<rss version="2.0"><channel>{"".join(entries)}</channel></rss>'.encode()

    end = f"?token={KEY}"
    site.answers = {
        f"/{TOKEN}/feed{end}": (200, {}, items("good", "gone", "inside", "busy", "clumsy")),
        f"/{TOKEN}/404{end}": (404, {}, b""),
        f"/{TOKEN}/html{end}": (200, {}, b"<html></html>"),
        f"/{TOKEN}/inside{end}": moved(f"http://10.0.0.1/{TOKEN}{end}"),
        f"/{TOKEN}/user{end}": moved(f"http://{TOKEN}:{KEY}@example.com/"),
        f"/{TOKEN}/file{end}": moved(f"file:///{TOKEN}{end}"),
        f"/{TOKEN}/port{end}": moved(f"http://example.com:6379/{TOKEN}{end}"),
        f"/{TOKEN}/loop{end}": moved(f"/{TOKEN}/loop{end}"),
        f"/{TOKEN}/good{end}": (200, {"Content-Type": "text/html"}, page("Quake", QUAKE)),
        f"/{TOKEN}/clumsy{end}": (200, {"Content-Type": "text/html"}, page("Opera", OPERA)),
        f"/{TOKEN}/gone{end}": moved(f"/{TOKEN}/nowhere{end}"),
        f"/{TOKEN}/busy{end}": (500, {}, b""),
    }
    feeds = ("feed", "404", "html", "user", "file", "port", "loop", "inside")
    return [f"/{TOKEN}/{name}{end}" for name in feeds]


def _poll(home: Path, url: str, context: Context, more: dict[str, str]) -> None:
    """Run the roles, whose words go to a file, until every feed was polled and all pages tried."""
    with role(home, url, "poll", more=more), role(home, url, "deliver", more=more):
        until(lambda: all(feed.polled_at for feed in context.feeds.all()), 60)
        # Four pages are there or never will be, one waits; the webhook does not answer.
        until(lambda: sum(row.stage == WORK for row in _rows(context)) == 4, 60)
        until(lambda: context.webhooks.all()[0].error, 60)


def _rows(context: Context) -> list[LedgerRow]:
    names = [EntryId(raw.decode()) for raw in context.client.zrange(context.keys.pending, 0, -1)]
    return [row for name in names if (row := context.ledger.row(name))]


def _metrics(context: Context) -> str:
    registry = CollectorRegistry()
    registry.register(NumbersCollector(context))
    return generate_latest(registry).decode()


def _give_up(context: Context) -> str:
    """Work off what there is; one entry fails in a way that quotes its address, until it is held."""
    clumsy = Clumsy(Path(context.settings.paths.archive), max_bytes=2**20)
    with capture_logs() as log:
        for row in _rows(context):
            if row.stage == WORK and "clumsy" in row.entry.url:
                for _ in range(context.settings.ledger.attempts + 1):
                    replace(context.ingest(), archive=clumsy).work([row.entry.entry_id])
            elif row.stage == WORK:
                context.ingest().work([row.entry.entry_id])
    return repr(log)


@pytest.mark.slow
def test_secrets_of_addresses_when_everything_ran_then_stand_in_nothing_that_others_read(
    context: Context, site: Site, guarded_url: str, tmp_path: Path
) -> None:
    """Polls, failures, redirects, quarantine, webhooks and commands: the canaries are in none."""
    home = furnish(tmp_path)
    archive = {"SAMESTORY_PATHS_ARCHIVE": context.settings.paths.archive}
    env = environment(guarded_url, SAMESTORY_FETCH_ALLOW_PRIVATE="127.0.0.1", **archive)

    def said(*arguments: str) -> str:
        done = ask(home, *arguments, env=env)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout + done.stderr

    told = said("webhooks", "add", f"http://127.0.0.1:1/{TOKEN}?token={KEY}")
    tell(context, "en", 1)
    feeds = _furnish(site)
    for log_format, paths in (("json", feeds[:4]), ("console", feeds[4:])):
        for path in paths:
            follow(context, site.url(path))
        more = {**QUICK, **archive, "SAMESTORY_LOG_FORMAT": log_format}
        _poll(home, guarded_url, context, more)
    told += (home / "log").read_text()
    events = ("feed_polled", "feed_failed", "page_deferred", "page_missing", "delivery_failed")
    assert [event for event in events if event not in told] == []
    told += _give_up(context)
    told += said("quarantine", "list") + said("quarantine", "list", "--json")
    (held,) = context.ledger.quarantined()
    told += said("quarantine", "show", held) + said("quarantine", "show", held, "--json")
    assert "LookupError: no page of" in told
    told += said("webhooks", "list", "--json") + said("events", "--json") + said("events")
    told += said("config") + said("doctor") + said("stories") + said("audit")
    told += _metrics(context)
    told += json.dumps([feed.error for feed in context.feeds.all()])
    assert [line for line in told.splitlines() if any(secret in line for secret in SECRETS)] == []
    shown = (
        said("feeds", "list") + said("feeds", "list", "--json") + said("status") + said("why", held)
    )
    assert [secret for secret in (KEY, PASSWORD) if secret in shown] == []
    assert KEY in said("feeds", "export")
