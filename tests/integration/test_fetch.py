import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import FEED, Answer, Server, response

from worker.errors import FetchError
from worker.fetch import client
from worker.fetch.budget import HostBudget
from worker.fetch.client import Fetcher, FetchPolicy, Terms
from worker.fetch.guard import PrivateAddressError
from worker.fetch.pace import Pace
from worker.model import Page, Validators

T = TypeVar("T")


@contextlib.asynccontextmanager
async def running(
    answers: dict[str, bytes | Answer], *, allow: tuple[str, ...] = ("127.0.0.1", ".localhost")
) -> AsyncIterator[tuple[Server, Fetcher]]:
    """Run a server with these answers and a client that may reach it."""
    server = Server()
    server.answers = answers
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    policy = FetchPolicy(
        user_agent="samestory/0 (+https://example.com/bot)",
        connect_timeout_s=2.0,
        total_timeout_s=20.0,
        max_bytes=1_000_000,
        allow_private=allow,
        host_gap_s=0.0,
    )
    try:
        async with Fetcher(policy) as fetcher:
            yield server, fetcher
    finally:
        listening.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)


async def get(
    fetcher: Fetcher,
    url: str,
    *,
    validators: Validators | None = None,
    max_bytes: int = 1_000_000,
    timeout_s: float = 10.0,
) -> Page:
    """Fetch with this module's usual bounds."""
    terms = Terms(accept="application/rss+xml", max_bytes=max_bytes, timeout_s=timeout_s)
    return await fetcher.get(url, terms, validators=validators)


def fetch(answer: bytes | Answer, **bounds: float) -> Page:
    """Return what one answer of a server becomes."""

    async def run() -> Page:
        async with running({"/": answer}) as (server, fetcher):
            return await get(fetcher, server.url(), **bounds)  # type: ignore[arg-type]

    return asyncio.run(run())


def failure(answer: bytes | Answer, **bounds: float) -> FetchError:
    """Return the error that one answer of a server becomes."""
    with pytest.raises(FetchError) as caught:
        fetch(answer, **bounds)
    return caught.value


def test_connection_when_nothing_more_is_asked_then_is_closed_before_many_are_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that would keep it for ever does not decide how many files we have open."""
    monkeypatch.setattr(client, "_IDLE_S", 0.05)

    async def run() -> None:
        closed = asyncio.Event()

        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
            assert await reader.read() == b""
            closed.set()
            writer.close()

        listening = await asyncio.start_server(keep, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        async with listening, running({}) as (_, fetcher):
            await get(fetcher, f"http://127.0.0.1:{port}/")
            await asyncio.wait_for(closed.wait(), 10.0)

    asyncio.run(run())


def test_get_when_answered_then_returns_the_page_and_sends_only_what_it_must() -> None:
    """A plain request names us, its formats and its encodings, and carries nothing else."""

    async def run() -> None:
        body = response(FEED, 'ETag: W/"a"', "X-Many: 1", "x-many: 2", "Set-Cookie: a=b")
        async with running({"/f": body}) as (server, fetcher):
            page = await get(fetcher, server.url("/f?x=1"))
            await get(fetcher, server.url("/f"))
            assert (page.status, page.body, page.final_url) == (200, FEED, page.url)
            assert page.headers["etag"] == 'W/"a"'
            assert page.headers["x-many"] == "1, 2"
            assert server.headers() == {
                "host": f"127.0.0.1:{server.port}",
                "user-agent": "samestory/0 (+https://example.com/bot)",
                "accept": "application/rss+xml",
                "accept-encoding": "gzip, deflate",
            }

    asyncio.run(run())


@pytest.mark.parametrize(
    ("etag", "modified"),
    [
        ('W/"a\\"b"', "yesterday"),
        ("abc", "Sun, 30 Dec 2018 06:15:00 GMT"),
        ("", "Sun, 99 Foo 0000"),
        ('"caf\u00e9"', ""),
    ],
)
def test_get_when_given_validators_then_echoes_them_verbatim(etag: str, modified: str) -> None:
    """Validators are opaque: odd ones go out byte for byte, and a 304 is a page without body."""

    async def run() -> None:
        answer = response(b"", "ETag: new", status="304 Not Modified")
        async with running({"/": answer}) as (server, fetcher):
            validators = Validators(etag=etag, last_modified=modified)
            page = await get(fetcher, server.url(), validators=validators)
            assert (page.status, page.body, page.headers["etag"]) == (304, b"", "new")
            sent = {name: value.encode("latin-1") for name, value in server.headers().items()}
            assert sent.get("if-none-match", b"") == etag.encode()
            assert sent.get("if-modified-since", b"") == modified.encode()

    asyncio.run(run())


@pytest.mark.parametrize("etag", ["a\r\nX-Injected: 1", "a\nb", "a\0b", "x" * 1_001])
def test_get_when_validators_are_no_header_then_drops_them(etag: str) -> None:
    """A validator that could smuggle a header or is absurdly long makes the request plain."""

    async def run() -> None:
        async with running({"/": response()}) as (server, fetcher):
            await get(fetcher, server.url(), validators=Validators(etag=etag))
            assert not {"if-none-match", "x-injected"} & set(server.headers())

    asyncio.run(run())


def test_get_when_304_was_not_asked_for_then_raises() -> None:
    """A 304 to a request without conditions is an error, else the feed would stay empty."""
    error = failure(response(b"", status="304 Not Modified"))
    assert (error.status, error.permanent) == (304, False)


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        ("400 Bad Request", True),
        ("404 Not Found", True),
        ("410 Gone", True),
        ("408 Request Timeout", False),
        ("425 Too Early", False),
        ("429 Too Many Requests", False),
        ("500 Internal Server Error", False),
        ("503 Service Unavailable", False),
        ("300 Multiple Choices", False),
        ("302 Found", False),
    ],
)
def test_get_when_the_status_is_no_answer_then_says_whether_to_retry(
    status: str,
    permanent: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Statuses become errors that say whether asking again is of use, and when."""
    error = failure(response(b"no", "Retry-After: 120", status=status))
    assert error.status == int(status[:3])
    assert error.permanent is permanent
    assert error.retry_after_s == 120.0


def test_get_when_redirected_then_follows_and_names_both_addresses() -> None:
    """A relative redirect is followed by hand; the page knows where it began and ended."""

    async def run() -> None:
        answers: dict[str, bytes | Answer] = {
            "/a": response(b"", "Location: b?x=1", status="301 Moved Permanently"),
            "/b": response(FEED),
        }
        async with running(answers) as (server, fetcher):
            page = await get(fetcher, server.url("/a"), validators=Validators(etag='"1"'))
            assert (page.url, page.final_url) == (server.url("/a"), server.url("/b?x=1"))
            assert server.headers()["if-none-match"] == '"1"'
            assert "referer" not in server.headers()

    asyncio.run(run())


def test_get_when_redirects_loop_then_stops_after_five() -> None:
    """A loop ends with a permanent error after six requests."""

    async def run() -> None:
        answer = response(b"", "Location: /", status="302 Found")
        async with running({"/": answer}) as (server, fetcher):
            with pytest.raises(FetchError, match="more than 5 redirects") as caught:
                await get(fetcher, server.url())
            assert caught.value.permanent
            assert len(server.heads) == 6

    asyncio.run(run())


def test_get_when_redirects_lead_on_and_on_then_stops_after_five() -> None:
    """Nor does it help to send each hop to an address that is new, now for good and now not."""

    async def run() -> None:
        async def on_and_on(writer: asyncio.StreamWriter) -> None:
            hop = len(server.heads)
            status = ("301 Moved Permanently", "302 Found", "303 See Other")[hop % 3]
            writer.write(response(b"", f"Location: /?{hop}", status=status))

        async with running({"/": on_and_on}) as (server, fetcher):
            with pytest.raises(FetchError, match="more than 5 redirects"):
                await get(fetcher, server.url())
            assert len({head.split(" ")[1] for head in server.heads}) == 6

    asyncio.run(run())


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/",
        "http://[::1]:80/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://secret.localhost.example.invalid:80/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://user:secret@127.0.0.1:{port}/",
        "http://127.0.0.1\\@example.com/",
        "http://example.com:6379/",
        "http://[bad/",
    ],
)
def test_get_when_redirected_to_a_forbidden_place_then_refuses_without_going(location: str) -> None:
    """Every hop is vetted: private addresses in any spelling, other schemes, ports and users."""

    async def run() -> None:
        async with running({}, allow=("127.0.0.1",)) as (server, fetcher):
            target = location.format(port=server.port)
            server.answers["/"] = response(b"", f"Location: {target}", status="302 Found")
            with pytest.raises(FetchError) as caught:
                await get(fetcher, server.url())
            assert "secret@" not in str(caught.value)
            assert len(server.heads) == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://169.254.169.254/",
        "http://127.1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
        "http://localhost/",
        "http://x.localhost/",
    ],
)
def test_get_when_the_host_is_private_then_refuses_before_connecting(url: str) -> None:
    """Private hosts are refused in every spelling, as addresses and as names."""

    async def run() -> None:
        async with running({}, allow=()) as (_, fetcher):
            with pytest.raises(FetchError) as caught:
                await get(fetcher, url)
            assert isinstance(caught.value, PrivateAddressError) or "not found" in str(caught.value)

    asyncio.run(run())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://example.com/",
        "http://",
        "http://user:secret@example.com/",
        "http://example.com:22/",
        "http://example.com:99999/",
        "http://127.0.0.1\\@example.com/",
        "http://[]@",
    ],
)
def test_get_when_the_address_is_not_for_us_then_raises_for_good(url: str) -> None:
    """Schemes, ports and users that we never ask for are permanent errors without secrets."""

    async def run() -> None:
        async with running({}) as (_, fetcher):
            with pytest.raises(FetchError) as caught:
                await get(fetcher, url)
            assert caught.value.permanent
            assert "secret" not in str(caught.value)

    asyncio.run(run())


def test_get_when_the_host_is_listed_then_any_port_is_open() -> None:
    """Names under .localhost reach this machine on any port when they are listed."""

    async def run() -> None:
        async with running({"/": response()}, allow=(".localhost",)) as (server, fetcher):
            page = await get(fetcher, server.url(host="gulfprism.localhost"))
            assert page.body == FEED
            assert server.headers()["host"] == f"gulfprism.localhost:{server.port}"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress)],
    ids=["gzip", "deflate"],
)
def test_get_when_compressed_then_returns_the_decoded_body(
    encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    """Bodies come decoded from their Content-Encoding."""
    assert fetch(response(pack(FEED), f"Content-Encoding: {encoding}")).body == FEED


def test_get_when_a_bomb_then_stops_at_the_decoded_cap() -> None:
    """A hundred megabytes in a hundred kilobytes are cut at the cap, after decompression."""
    bomb = gzip.compress(b"\0" * 100_000_000)
    error = failure(response(bomb, "Content-Encoding: gzip"), max_bytes=500_000)
    assert "larger than 500000 bytes" in str(error)
    assert error.permanent


def test_get_when_asked_for_more_than_the_policy_then_the_policy_holds() -> None:
    """A caller cannot raise the cap of the policy."""
    error = failure(response(b"x" * 1_000_001), max_bytes=10_000_000)
    assert "larger than 1000000 bytes" in str(error)


def test_get_when_the_body_never_ends_then_stops_at_the_cap() -> None:
    """An endless chunked body is cut at the cap."""

    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
            await writer.drain()

    assert "larger than" in str(failure(endless, max_bytes=100_000))


async def _silent(writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


async def _drip(writer: asyncio.StreamWriter, start: bytes) -> None:
    writer.write(start)
    never = asyncio.get_running_loop().create_future()
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.wait([never], timeout=0.02)


async def _drip_headers(writer: asyncio.StreamWriter) -> None:
    await _drip(writer, b"HTTP/1.1 200 OK\r\nX: ")


async def _drip_body(writer: asyncio.StreamWriter) -> None:
    await _drip(writer, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")


@pytest.mark.parametrize("answer", [_silent, _drip_headers, _drip_body])
def test_get_when_the_server_is_slow_then_the_wall_clock_ends_it(answer: Answer) -> None:
    """Silence, and a drip of bytes that resets every read timeout, end at the deadline."""
    error = failure(answer, timeout_s=0.3)
    assert "no complete answer within 0.3 s" in str(error)
    assert not error.permanent


def test_get_when_the_body_drips_then_it_is_given_up_long_before_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fifty bytes a second are too few, whatever time is left."""
    monkeypatch.setattr("worker.fetch.pace.STRETCH_S", 0.1)
    error = failure(_drip_body, timeout_s=60.0)
    assert "bytes a second" in str(error)
    assert "http://127.0.0.1" in str(error)
    assert not error.permanent


def test_get_when_the_end_of_a_body_was_late_then_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is all there is not refused for having been slow."""
    monkeypatch.setattr("worker.fetch.pace.STRETCH_S", 0.0)
    arrived = asyncio.Event()

    async def halves(writer: asyncio.StreamWriter) -> None:
        whole = response()
        writer.write(whole[:-5])
        await writer.drain()
        await arrived.wait()
        writer.write(whole[-5:])

    took = Pace.took

    def noted(pace: Pace, size: int, now: float) -> None:
        took(pace, size, now)
        arrived.set()

    monkeypatch.setattr(Pace, "took", noted)
    assert fetch(halves).body == FEED


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nbad",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
        b"<html>HTTP/0.9</html>",
        response(b"not gzip at all", "Content-Encoding: gzip"),
        response(gzip.compress(FEED)[:-4], "Content-Encoding: gzip"),
        response(gzip.compress(FEED)[:-8] + b"12345678", "Content-Encoding: gzip"),
        response(zlib.compress(FEED)[:-2], "Content-Encoding: deflate"),
        response(gzip.compress(gzip.compress(FEED)), "Content-Encoding: gzip, gzip"),
        response(FEED, f"Content-Encoding: {'gzip, ' * 900}gzip"),
        response(FEED, "Content-Encoding: br"),
        response(FEED, "Content-Encoding: zstd"),
        response(FEED, "Content-Encoding: aes128gcm"),
        response(b"", "Location: http://\xff[", status="302 Found"),
        response(b"", "Location: http://[]@", status="302 Found"),
    ],
)
def test_get_when_the_response_is_broken_then_raises_fetch_error(answer: bytes) -> None:
    """Whatever is wrong with the bytes, the caller sees a FetchError that names the address."""
    error = failure(answer)
    assert "127.0.0.1" in str(error)
    assert not isinstance(error, PrivateAddressError)


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=300))
def test_get_when_the_response_is_noise_then_raises_nothing_else(noise: bytes) -> None:
    """Random bytes after a status line give a page or a FetchError."""
    with contextlib.suppress(FetchError):
        fetch(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + noise)


def test_get_when_nobody_listens_then_names_the_address_without_its_query() -> None:
    """Connection errors are told without the secrets that a query may hold."""

    async def run() -> None:
        async with running({}) as (_, fetcher):
            with pytest.raises(FetchError) as caught:
                await get(fetcher, "http://127.0.0.1:1/feed?token=secret")
            assert "http://127.0.0.1:1/…" in str(caught.value)
            assert "secret" not in str(caught.value)

    asyncio.run(run())


class FakeTime:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.now += seconds


def test_slot_when_many_want_one_host_then_serves_one_at_a_time_with_gaps() -> None:
    """Requests to one host never overlap, and start a gap apart."""

    async def run() -> None:
        time = FakeTime()
        budget = HostBudget(2.0, time.clock, time.sleep)
        starts: list[float] = []
        inside = 0

        async def ask() -> None:
            nonlocal inside
            async with budget.slot("a.example"):
                inside += 1
                assert inside == 1
                starts.append(time.now)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(ask() for _ in range(5)))
        assert starts == [0.0, 2.0, 4.0, 6.0, 8.0]

    asyncio.run(run())


def test_slot_when_hosts_differ_then_they_do_not_wait_for_each_other() -> None:
    """A host that is busy does not hold up another."""

    async def run() -> None:
        time = FakeTime()
        budget = HostBudget(2.0, time.clock, time.sleep)
        async with budget.slot("a.example"), budget.slot("b.example"):
            assert time.now == 0.0

    asyncio.run(run())


def test_slot_when_the_host_wishes_for_a_gap_then_it_holds_until_the_next_wish() -> None:
    """A wish counts from the last start on, for those too who know of none, and never below ours."""

    async def run() -> None:
        time = FakeTime()
        budget = HostBudget(2.0, time.clock, time.sleep)
        starts: list[float] = []
        for wish_s in (None, 10.0, None, 0.5, None):
            async with budget.slot("a.example", wish_s):
                starts.append(time.now)
        assert starts == [0.0, 10.0, 20.0, 22.0, 24.0]

    asyncio.run(run())


def test_slot_when_its_holder_fails_or_leaves_then_the_next_gets_it() -> None:
    """Errors and cancelled waiters give the turn back."""

    async def run() -> None:
        time = FakeTime()
        budget = HostBudget(0.0, time.clock, time.sleep)
        with pytest.raises(ValueError, match="inside"):
            async with budget.slot("a.example"):
                raise ValueError("inside")
        async with budget.slot("a.example"):
            waiter = asyncio.ensure_future(budget.slot("a.example").__aenter__())
            await asyncio.sleep(0)
            waiter.cancel()
        async with budget.slot("a.example"):
            pass

    asyncio.run(run())


def test_slot_when_hosts_fall_idle_then_they_are_forgotten() -> None:
    """Memory is bounded by the hosts of the last gap, not by all that were ever asked."""

    async def run() -> None:
        time = FakeTime()
        budget = HostBudget(1.0, time.clock, time.sleep)
        for n in range(5_000):
            async with budget.slot(f"{n}.example"):
                time.now += 0.5
        assert len(budget) <= 256

    asyncio.run(run())
