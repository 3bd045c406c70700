"""No address, however spelled and by whatever way it comes in, leads into our own network."""

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from spellings import NAMES, OUTSIDE, addresses, hosts
from yarl import URL

from worker.decode.sandbox import Sandbox
from worker.errors import FetchError
from worker.fetch.client import Fetcher, FetchPolicy, Terms
from worker.fetch.post import Poster
from worker.fetch.robots import Robots
from worker.steps.pages import ACCEPT_PAGE
from worker.steps.poll import ACCEPT_FEED

# The one private host that is allowed: it stands for the stranger who sends redirects.
STRANGER = "stranger.localhost"


@dataclass
class Connections:
    """Every connection that this process asks its system for, until the end of the test."""

    seen: list[tuple[str, int]] = field(default_factory=list)

    def note(self, address: Any) -> None:
        """Note a connection, and let none leave this machine."""
        if isinstance(address, tuple):  # the others are paths of Unix sockets
            self.seen.append(address[:2])
            if not address[0].startswith("127.") and address[0] != "::1":
                raise ConnectionRefusedError(f"a test wanted to connect to {address}")


_counting: list[Connections] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _counting:
        _counting[-1].note(arguments[1])


@pytest.fixture(scope="module")
def _audited() -> None:
    """An audit hook stays until the process ends; without a test that counts it does nothing."""
    sys.addaudithook(_audit)


@pytest.fixture
def connections(_audited: None) -> Iterator[Connections]:
    """What this test connects to."""
    made = Connections()
    _counting.append(made)
    yield made
    _counting.remove(made)


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names and what they lead to; numbers are read by the system, other names are not known."""
    real, known = socket.getaddrinfo, {name: [ip] for name, ip in NAMES.items()}

    def look_up(host: str, port: int, *_: object, **__: object) -> list[tuple[Any, ...]]:
        ips = known.get(host.lower().rstrip("."), [host])
        flags = socket.AI_NUMERICHOST
        return [one for ip in ips for one in real(ip, port, 0, socket.SOCK_STREAM, 0, flags)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@dataclass
class World:
    """Our clients, the stranger's server, and a service of ours that nobody may reach."""

    fetcher: Fetcher
    poster: Poster
    stranger: int  # port
    inside: int  # port
    location: str = ""  # what the stranger redirects to
    reached: int = 0  # connections that the service of ours saw


@contextlib.asynccontextmanager
async def world(*allow: str) -> AsyncIterator[World]:
    """Run everything; the clients may reach ``allow``, and elsewhere the very port of our service."""
    made: World

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = (
            f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {made.location}\r\nContent-Length: 0\r\n"
        )
        writer.write(head.encode() + b"Connection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async def reach(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.reached += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")
        writer.close()
        await writer.wait_closed()

    async with contextlib.AsyncExitStack() as stack:

        async def serve(*, answer: Any, host: str, port: int = 0) -> int:
            server = await asyncio.start_server(answer, host, port)
            stack.callback(server.close)
            return int(server.sockets[0].getsockname()[1])

        stranger = await serve(answer=redirect, host="127.0.0.1")
        inside = await serve(answer=reach, host="127.0.0.1")
        with contextlib.suppress(OSError):  # a machine without IPv6
            await serve(answer=reach, host="::1", port=inside)
        policy = FetchPolicy(
            user_agent="samestory/0",
            connect_timeout_s=2.0,
            total_timeout_s=5.0,
            max_bytes=10_000,
            ports=(80, 443, inside),
            allow_private=allow,
            host_gap_s=0.0,
        )
        fetcher = await stack.enter_async_context(Fetcher(policy))
        poster = await stack.enter_async_context(Poster(policy))
        made = World(fetcher, poster, stranger=stranger, inside=inside)
        yield made


# A way in: takes an address that a stranger chose, returns why nothing came of it or ''.
Way = Callable[[World, str], Awaitable[str]]


async def _get(world: World, url: str, accept: str) -> str:
    try:
        await world.fetcher.get(url, Terms(accept=accept, max_bytes=10_000, timeout_s=5.0))
    except FetchError as e:
        return str(e)
    return ""


async def _feed(world: World, url: str) -> str:
    return await _get(world, url, ACCEPT_FEED)


async def _page(world: World, url: str) -> str:
    return await _get(world, url, ACCEPT_PAGE)


async def _redirect(world: World, url: str) -> str:
    world.location = url.replace("\r\n", "\t")  # no header holds a line end
    return await _get(world, f"http://{STRANGER}:{world.stranger}/", ACCEPT_PAGE)


async def _robots(world: World, url: str) -> str:
    robots = Robots(
        fetcher=world.fetcher,
        sandbox=Sandbox(workers=1, cpu_s=1.0, memory_mb=256),  # no file gets there
        token="samestory",
        timeout_s=5.0,
        clock=time.monotonic,
    )
    try:
        await robots.permit(URL(url))
    except (FetchError, ValueError) as e:
        return str(e)
    return ""


async def _redirected_robots(world: World, url: str) -> str:
    world.location = url.replace("\r\n", "\t")
    return await _robots(world, f"http://{STRANGER}:{world.stranger}/")


async def _webhook(world: World, url: str) -> str:
    answer = await world.poster.post(url, "{}", key="k")
    return "" if answer.taken else answer.why


async def _hub(world: World, url: str) -> str:
    answer = await world.poster.submit(url, {"hub.mode": "subscribe"})
    return "" if answer.taken else answer.why


async def _redirected_hub(world: World, url: str) -> str:
    world.location = url.replace("\r\n", "\t")
    return await _hub(world, f"http://{STRANGER}:{world.stranger}/")


WAYS: dict[str, Way] = {
    "feed": _feed,
    "page": _page,
    "redirect": _redirect,
    "robots": _robots,
    "redirected robots": _redirected_robots,
    "webhook": _webhook,
    "hub": _hub,
    "redirected hub": _redirected_hub,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_address_when_it_leads_inside_then_nothing_is_connected_to(
    connections: Connections, way: Way
) -> None:
    """Every spelling by every way in: no connection to a private address, and no answer."""

    async def run() -> None:
        async with world(STRANGER) as there:
            spelled = addresses(there.inside)
            assert len(spelled) >= 300
            let_in = [url for url in spelled if not await way(there, url)]
            assert let_in == []
            expected = {("127.0.0.1", there.stranger), (OUTSIDE, there.inside), (OUTSIDE, 80)}
            assert (set(connections.seen) - expected, there.reached) == (set(), 0)

    asyncio.run(run())


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "0X7F000001", "LocalHost", "[::1]"])
def test_address_when_its_host_is_allowed_then_is_reached_and_counted(
    connections: Connections, host: str
) -> None:
    """These spellings do lead inside, and what counts connections does see them."""

    async def run() -> None:
        async with world(host.strip("[]").lower()) as there:
            if host == "[::1]" and not socket.has_ipv6:
                pytest.skip("no IPv6 here")
            assert await _page(there, f"http://{host}:{there.inside}/") == ""
            assert (len(connections.seen), there.reached) == (1, 1)
            assert await _webhook(there, f"http://{host}:{there.inside}/") == ""
            assert (len(connections.seen), there.reached) == (2, 2)

    asyncio.run(run())


def test_hosts_when_the_system_reads_them_then_many_are_numbers_to_it() -> None:
    """The table is no list of nonsense: more than a hundred spellings are addresses to the system."""
    understood = 0
    for host in hosts():
        with contextlib.suppress(OSError, UnicodeError):
            understood += bool(socket.getaddrinfo(host.strip("[]").replace("%25", "%"), 80))
    assert understood > 100


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_name_when_its_answer_changes_then_only_what_was_vetted_is_connected_to(
    connections: Connections, names: dict[str, list[str]], way: Way
) -> None:
    """What was public at the first look and private at the next is looked up once a connection."""

    async def run() -> None:
        async with world(STRANGER) as there:
            url = f"http://turncoat.example:{there.inside}/"
            for ips in ([OUTSIDE], ["127.0.0.1"], ["169.254.169.254", OUTSIDE], ["::1"]):
                names["turncoat.example"] = ips
                assert await way(there, url)
            elsewhere = set(connections.seen) - {("127.0.0.1", there.stranger)}
            assert (elsewhere, there.reached) == ({(OUTSIDE, there.inside)}, 0)

    asyncio.run(run())


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_environment_when_it_names_a_proxy_then_is_not_heeded(
    connections: Connections,
    names: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    way: Way,
) -> None:
    """A proxy would connect for us to whatever it is told, past the guard."""

    async def run() -> None:
        names["news.example"] = [OUTSIDE]
        async with world(STRANGER) as there:
            for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{there.inside}")
            assert await way(there, f"http://news.example:{there.inside}/")
            assert (OUTSIDE, there.inside) in connections.seen
            assert there.reached == 0

    asyncio.run(run())
