"""The program when Redis is away or unfit: it waits, says for what, and refuses what is unsafe."""

import json
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from conftest import SERVERS, until
from outlet import PAGE, QUAKE, Site
from program import QUICK, ask, environment, furnish, role
from servers import OwnServer, own_server

from worker.core.entries import feed_id
from worker.embedded import EmbeddedRedis

SECRET = "hunter2"  # the password that no message may show
PROGRAMS = [pytest.param(program, id=name) for name, program in sorted(SERVERS.items()) if program]
MEND = "redis-cli CONFIG SET maxmemory-policy noeviction"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working directory with settings that keep every file inside it."""
    return furnish(tmp_path)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="samestory-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def nowhere() -> str:
    """The address, with a password, of a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"redis://:{SECRET}@127.0.0.1:{free.getsockname()[1]}/0"


def _log(home: Path) -> str:
    return (home / "log").read_text()


def test_poll_when_redis_comes_later_then_waits_for_it_and_goes_on(
    home: Path, folder: Path
) -> None:
    """Started first, `poll` says what it waits for, begins when it is there, and ends on SIGTERM."""
    server = EmbeddedRedis(folder)
    url = f"{server.url}&password={SECRET}"
    with role(home, url, "poll") as process, ExitStack() as stack:
        until(lambda: "waiting for" in _log(home))
        assert process.poll() is None
        assert f"waiting for unix://{folder}/redis.sock?db=0&password=***" in _log(home)
        plain = stack.enter_context(server)
        with redis.Redis.from_url(plain) as client:
            client.config_set("requirepass", SECRET)
            stack.callback(_forget_password, url)
        assert (
            ask(home, "feeds", "add", "http://127.0.0.1:9/feed", env=environment(url)).returncode
            == 0
        )
        until(lambda: "feed_failed" in _log(home), timeout_s=30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert SECRET not in _log(home)
    assert "Traceback" not in _log(home)


def test_poll_when_redis_leaves_and_comes_back_then_goes_on(home: Path, folder: Path) -> None:
    """A server that restarts under a running `poll` is named, waited for, and used again."""
    server = EmbeddedRedis(folder)
    with role(home, server.url, "poll") as process:
        with server:
            ask(home, "feeds", "add", "http://127.0.0.1:9/one", env=environment(server.url))
            until(lambda: feed_id("http://127.0.0.1:9/one") in _log(home), timeout_s=30)
        until(lambda: "redis_failed" in _log(home))
        with EmbeddedRedis(folder):
            ask(home, "feeds", "add", "http://127.0.0.1:9/two", env=environment(server.url))
            until(lambda: feed_id("http://127.0.0.1:9/two") in _log(home), timeout_s=30)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
    assert "Traceback" not in _log(home)


@pytest.mark.parametrize(
    "arguments",
    [("poll",), ("work",), ("web",), ("deliver",), ("run", "--feeds", "http://127.0.0.1:9/feed")],
)
def test_role_when_told_to_end_while_it_waits_for_redis_then_ends_cleanly(
    home: Path, nowhere: str, arguments: tuple[str, ...]
) -> None:
    """SIGTERM is obeyed before Redis was ever there, with the status of a clean end."""
    with role(home, nowhere, *arguments) as process:
        until(lambda: "waiting for" in _log(home))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert SECRET not in _log(home)


def test_command_when_redis_is_unreachable_then_exits_with_2_and_names_it(
    home: Path, nowhere: str
) -> None:
    """A question does not wait: it fails at once, in one line, with the address but no password."""
    answer = ask(home, "status", env=environment(nowhere))
    assert answer.returncode == 2
    assert nowhere.replace(SECRET, "***") in answer.stderr
    assert SECRET not in answer.stderr + answer.stdout
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1/", f"redis://:{SECRET}@[::1", "nonsense"])
def test_command_when_the_address_is_none_then_exits_with_2(home: Path, url: str) -> None:
    """A mistyped address is a line about redis.url, not a trace, and shows no password."""
    answer = ask(home, "status", env=environment(url))
    assert answer.returncode == 2
    assert "redis.url" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert SECRET not in answer.stderr


def test_server_that_evicts_is_refused_with_the_command_that_mends_it(
    home: Path, redis_url: str
) -> None:
    """`run` and `status` exit with 2 and say what to type; once typed, `status` works."""
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            refused = [
                ask(home, command, env=environment(redis_url)) for command in ("run", "status")
            ]
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert [answer.returncode for answer in refused] == [2, 2]
    assert all(MEND in answer.stderr for answer in refused)
    assert json.loads(ask(home, "status", "--json", env=environment(redis_url)).stdout)


def _forget_password(url: str) -> None:
    """Open the server again, so that its own end finds it without a password."""
    with redis.Redis.from_url(url) as client:
        client.config_set("requirepass", "")


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OwnServer]:
    """A server of the test's own, whose program the test names."""
    with own_server(request.param, tmp_path / "redis") as made:
        yield made


def _publish(site: Site, path: str, *names: str) -> str:
    """Serve a feed of a few articles and return its address."""
    site.answers[path] = (200, {}, site.feed(*names))
    for name in names:
        text = QUAKE.replace("Norvale", f"{name}vale").replace("Brill", f"{name}burg")
        site.answers[f"/{name}"] = (200, {}, PAGE.format(f"Quake in {name}", text).encode())
    return site.url(path)


def _all_settled(home: Path, server: OwnServer, count: int) -> None:
    """Wait until so many entries were claimed and every one has its outcome; the sums must agree."""
    with server.client() as client:
        until(lambda: int(client.hget("{live}:counts", "claimed") or 0) == count, timeout_s=90)
        until(lambda: client.zcard("{live}:pending") == 0, timeout_s=90)
    audit = json.loads(ask(home, "audit", "--json", env=environment(server.url)).stdout)
    assert audit["offences"] == []
    assert (audit["sums"]["claimed"], audit["sums"]["quarantined"]) == (count, 0)


@pytest.mark.parametrize("server", PROGRAMS, indirect=True)
def test_server_when_nearly_full_then_polling_pauses_and_what_is_claimed_goes_on(
    home: Path, site: Site, server: OwnServer
) -> None:
    """Fault F21: at four fifths nothing is polled, and everybody says so; with room it goes on."""
    with server.client() as client, role(home, server.url, "poll"):
        for n in range(100):  # what connections take is little beside it
            client.set(f"ballast{n}", bytes(100_000))
        limit = int(client.info("memory")["used_memory"] * 1.15)
        client.config_set("maxmemory", limit)
        until(lambda: "polling_paused" in _log(home))
        feed = _publish(site, "/feed", "North", "South")
        assert ask(home, "feeds", "add", feed, env=environment(server.url)).returncode == 0
        status = ask(home, "status", env=environment(server.url)).stdout
        assert "raise maxmemory" in " ".join(status.split())
        assert site.asked == []
        client.config_set("maxmemory", 10 * limit)
        until(lambda: "polling_resumed" in _log(home))
        until(lambda: len(site.asked) == 3)
        client.config_set("maxmemory-policy", "allkeys-lru")
        until(lambda: _log(home).count("polling_paused") == 2)
        assert MEND in _log(home)
    assert _log(home).count("polling_resumed") == 1


@pytest.mark.slow
@pytest.mark.parametrize("server", PROGRAMS, indirect=True)
def test_server_when_full_then_nobody_writes_until_there_is_room_and_nothing_is_lost(
    home: Path, site: Site, server: OwnServer
) -> None:
    """Fault F21: writes are refused in the middle of the work; the poller waits and goes on."""
    feeds = [_publish(site, f"/feed{n}", *(f"P{n}{m}" for m in "abcd")) for n in range(4)]
    with server.client() as client, role(home, server.url, "run", "--feeds", " ".join(feeds)):
        until(lambda: int(client.hget("{live}:counts", "claimed") or 0) > 0, timeout_s=60)
        client.config_set("maxmemory", 1)
        until(lambda: "polling_paused" in _log(home))
        until(lambda: _log(home).count("redis_failed") >= 3)
        client.config_set("maxmemory", 0)
        _all_settled(home, server, 16)
    assert '"child": "poll"' not in _log(home)


@pytest.mark.slow
@pytest.mark.parametrize("server", PROGRAMS, indirect=True)
def test_poll_when_redis_hangs_then_waits_and_goes_on_and_can_be_ended(
    home: Path, site: Site, server: OwnServer
) -> None:
    """Faults F14 and F50: a server that answers nothing is given up in time, without a restart."""
    more = {**QUICK, "SAMESTORY_REDIS_TIMEOUT_S": "1"}
    with server.client() as client, role(home, server.url, "poll", more=more) as process:
        first, second = _publish(site, "/one", "North"), _publish(site, "/two", "South")
        ask(home, "feeds", "add", first, env=environment(server.url))
        until(lambda: site.paths() == ["/one", "/North"])
        server.hang()
        until(lambda: "redis_failed" in _log(home))
        server.go_on()
        ask(home, "feeds", "add", second, env=environment(server.url))
        until(lambda: "/South" in site.paths(), timeout_s=60)
        assert client.zcard("{live}:pending") == 2
        server.hang()
        failures = _log(home).count("redis_failed")
        until(lambda: _log(home).count("redis_failed") > failures)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        server.go_on()
    assert "Traceback" not in _log(home)
