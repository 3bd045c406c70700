"""A replica takes the place of its primary before it has seen everything: what is missing comes again."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import SERVERS, until
from outlet import (
    Site,
    feed_of,
    follow,
    page,
    poll_all,
    row_of,
    with_steps,
)
from program import furnish, role
from proxy import Proxy, proxied
from servers import OwnServer, own_server
from structlog.testing import capture_logs

from worker.errors import StoreError
from worker.model import EntryId
from worker.networking import PollSteps
from worker.settings import Settings
from worker.steps.audit import audit
from worker.testing import Clock, an_entry
from worker.wiring import Context

PROGRAMS = [program for program in SERVERS.values() if program]
TEXT = (
    "The lighthouse of {0} was lit again on Monday after forty dark years. The keeper of {0}, Ada "
    "Brandt, climbed two hundred steps with the mayor; a choir of pupils sang in the rain, and the "
    "ferry from Sund sounded its horn. The lens, as tall as a man, was ground anew in a workshop "
    "at Holm, and the county of {0} paid nine million crowns for it."
)

pytestmark = pytest.mark.parametrize("program", PROGRAMS, ids=list(SERVERS))


@dataclass(frozen=True)
class Pair:
    """A primary and its replica, what their replication goes through, and where clients connect."""

    primary: OwnServer
    replica: OwnServer
    link: Proxy
    front: Proxy

    def in_step(self) -> bool:
        """Say whether the replica has everything."""
        with self.primary.client() as one, self.replica.client() as other:
            sent = one.info("replication")["master_repl_offset"]
            told = other.info("replication")
        return told["master_link_status"] == "up" and told["slave_repl_offset"] == sent

    def promote(self) -> None:
        """Make the replica the primary, for clients too; connections to the old one stay open."""
        with self.replica.client() as client:
            client.replicaof("NO", "ONE")
        self.front.upstream = self.replica.url


@pytest.fixture
def pair(program: str, tmp_path: Path) -> Iterator[Pair]:
    """A primary and a replica that is in step with it."""
    with (
        own_server(program, tmp_path / "primary", "--repl-diskless-sync-delay", "0") as primary,
        own_server(program, tmp_path / "replica") as replica,
        proxied(primary.url) as link,
        proxied(primary.url) as front,
    ):
        made = Pair(primary, replica, link, front)
        with replica.client() as client:
            client.replicaof("127.0.0.1", link.port)
        until(made.in_step, timeout_s=40)
        yield made


@pytest.fixture
def live(pair: Pair, settings: Settings) -> Iterator[Context]:
    """The live namespace, as clients reach it."""
    made = Context(settings=settings, redis_url=pair.front.url)
    made.check()
    yield made
    made.archive.close()
    made.client.close()


def _publish(site: Site, etag: str, *names: str) -> None:
    site.answers["/feed"] = (200, {"ETag": etag}, site.feed(*names))
    for name in names:
        site.answers[f"/{name}"] = (200, {}, page(f"Light in {name}", TEXT.format(name)))


def _round(context: Context) -> tuple[EntryId, ...]:
    """Poll every feed, fetch what is new, and work it off."""
    found: list[EntryId] = []

    async def act(steps: PollSteps) -> None:
        found.extend(await poll_all(context, steps))
        for entry_id in found:
            await steps.pages.fetch(entry_id)

    with capture_logs():
        with_steps(context, act)
        context.ingest().work(found)
    return tuple(found)


def test_failover_when_the_replica_lags_then_the_next_poll_brings_what_it_missed(
    pair: Pair, live: Context, site: Site
) -> None:
    """Fault F19: entries and validators were lost together, so no 304 hides an entry: lost 0."""
    _publish(site, '"v1"', "one", "two")
    name = follow(live, site.url("/feed"))
    assert len(_round(live)) == 2
    until(pair.in_step)
    pair.link.swallows = True
    _publish(site, '"v2"', "one", "two", "three", "four")
    lost = _round(live)
    assert (len(lost), live.ledger.counts()["attached"]) == (2, 4)
    pair.primary.kill()
    pair.promote()
    assert live.ledger.counts()["attached"] == 2
    assert feed_of(live, name).validators.etag == '"v1"'
    assert _round(live) == lost
    asked = next(headers for path, headers in reversed(site.asked) if path == "/feed")
    assert asked["If-None-Match"] == '"v1"'  # which no server answers with 304
    assert [row_of(live, entry_id).outcome for entry_id in lost] == ["attached", "attached"]
    assert live.stories.totals("en")["articles"] == 4
    assert audit(live.ledger, live.stories, live.census).offences == ()


def test_poll_when_its_primary_is_demoted_then_finds_the_new_one(
    pair: Pair, live: Context, site: Site, tmp_path: Path
) -> None:
    """Fault F19: connections to the old primary stay open; READONLY makes the poller leave them."""
    home = tmp_path / "home"
    home.mkdir()
    with role(furnish(home), pair.front.url, "poll"):
        _publish(site, '"v1"', "one")
        follow(live, site.url("/feed"))
        until(lambda: "/one" in site.paths(), timeout_s=60)
        until(pair.in_step)
        pair.promote()
        with pair.primary.client() as client:
            client.replicaof("127.0.0.1", pair.replica.port)
        with pair.replica.client() as client:
            site.answers["/other"] = (200, {}, site.feed("two"))
            url = site.url("/other")
            live.client.connection_pool.disconnect()  # the test's own
            follow(live, url)
            until(lambda: "/two" in site.paths(), timeout_s=60)
            until(lambda: client.hget("{live}:counts", "claimed") == b"2")


def test_primary_when_its_replica_is_gone_then_refuses_writes_and_they_wait(
    pair: Pair, live: Context
) -> None:
    """Fault F20: with min-replicas-to-write nothing is acknowledged that no replica would have."""
    clock, (one, other) = Clock(), (an_entry("one"), an_entry("other"))
    with pair.primary.client() as client:
        client.config_set("min-replicas-to-write", 1)
        live.ledger.claim([one], now=clock())
        until(pair.in_step)
        pair.replica.kill()
        until(lambda: not client.info("replication")["connected_slaves"])
        with pytest.raises(StoreError, match=r"NOREPLICAS|Not enough good replicas"):
            live.ledger.claim([other], now=clock())
        assert live.ledger.counts()["claimed"] == 1
        pair.replica.start()
        with pair.replica.client() as replica:
            replica.replicaof("127.0.0.1", pair.link.port)
            until(lambda: client.info("replication")["min_slaves_good_slaves"], timeout_s=40)
            live.ledger.claim([one, other], now=clock())
            assert live.ledger.counts()["claimed"] == 2
            until(lambda: replica.hget("{live}:counts", "claimed") == b"2")
