"""What a feed's server sees of us: raw requests, on a clock where days pass (docs/politeness.md)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate

import pytest
from outlet import feed_of, follow
from wire import Server, response

from worker.model import Feed, FeedId
from worker.networking import poll_steps
from worker.steps.poll import NEVER
from worker.testing import Clock
from worker.wiring import Context

# What a feed's server sees does not depend on the make of ours.
pytestmark = [
    pytest.mark.usefixtures("books"),
    pytest.mark.parametrize("redis_server", ["embedded"], indirect=True),
]

HOUR_S, DAY_S = 3_600.0, 86_400.0
ETAG, MODIFIED = 'ETag: W/"1, b"', "Last-Modified: Sun, 01 Mar 2026 10:00:00 GMT"
NOT_MODIFIED = "304 Not Modified"


def _document(*names: object) -> bytes:
    items = "".join(f"<item><guid>{name}</guid><title>{name}</title></item>" for name in names)
    return f'<rss version="2.0"><channel><title>Own</title>{items}</channel></rss>'.encode()


@dataclass(slots=True)
class Reader:
    """The poll role on a clock of its own, and the server that it asks."""

    context: Context
    server: Server
    clock: Clock
    name: FeedId
    asked_at: list[float] = field(default_factory=list)

    @property
    def feed(self) -> Feed:
        """The feed as it is stored."""
        return feed_of(self.context, self.name)

    @property
    def gaps(self) -> list[float]:
        """The seconds between requests."""
        return [b - a for a, b in zip(self.asked_at, self.asked_at[1:], strict=False)]

    async def poll(self, *answers: bytes) -> None:
        """Start anew, and poll the feed whenever it is due, once for each answer."""
        async with poll_steps(self.context) as steps:
            poller = replace(steps.poller, clock=self.clock)
            for answer in answers:
                self.server.answers["/feed"] = answer
                self.clock.at = max(self.clock.at, self.feed.next_poll_at)
                (lease,) = self.context.feeds.due(now=self.clock(), lease_s=60.0, limit=1)
                await poller.poll(lease)
                self.asked_at.append(self.clock())

    def head(self) -> dict[str, str]:
        """Return the headers of the last request."""
        return self.server.headers()


def read(context: Context, act: Callable[[Reader], Awaitable[None]]) -> Reader:
    """Run a coroutine with a reader that follows one feed."""

    @contextlib.asynccontextmanager
    async def reader() -> AsyncIterator[Reader]:
        server, clock = Server(), Clock()
        listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
        server.port = listening.sockets[0].getsockname()[1]
        try:
            yield Reader(context, server, clock, follow(context, server.url("/feed")))
        finally:
            listening.close()
            await asyncio.gather(*server.tasks, return_exceptions=True)

    async def main() -> Reader:
        async with reader() as made:
            await act(made)
            return made

    return asyncio.run(main())


def test_feed_when_polled_again_and_again_then_only_the_first_request_is_unconditional(
    context: Context,
) -> None:
    """B1, B11, B12: both validators go out from the second poll on, and nothing else ever does."""
    new = response(_document("one"), ETAG, MODIFIED, "Set-Cookie: id=1")
    same = response(b"", status=NOT_MODIFIED)

    async def act(reader: Reader) -> None:
        await reader.poll(new, same, response(b"", status="500 Oops"), same, new)

    heads = [reader_head.split("\r\n") for reader_head in read(context, act).server.heads]
    first, *later = [{line.partition(":")[0] for line in head[1:-2]} for head in heads]
    assert first == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
    assert later == [first | {"If-None-Match", "If-Modified-Since"}] * 4
    for head in heads:
        assert head[0] == "GET /feed HTTP/1.1"
        assert "Accept-Encoding: gzip, deflate" in head
        agent = next(line for line in head if line.startswith("User-Agent: "))
        assert "/" in agent
        assert "(+http" in agent


@pytest.mark.parametrize(
    ("etag", "modified"),
    [
        ('W/"a\\"b"', "yesterday"),
        ("abc", "Sunday, 01-Mar-26 10:00:00 GMT"),
        ('"a, b"', "0"),
        ("'", "2026-03-01"),
        ('""', "sun, 1 mar 2026 10:00 +0100"),
        ('"' + "x" * 900 + '"', ","),
    ],
)
def test_validators_when_odd_then_come_back_byte_for_byte(
    context: Context, etag: str, modified: str
) -> None:
    """B2: nobody reads them, and a new start changes nothing."""
    given = response(_document("one"), f"etag:{etag}", f"LAST-MODIFIED:  {modified} ")

    async def act(reader: Reader) -> None:
        await reader.poll(given, response(b"", status=NOT_MODIFIED))

    lines = read(context, act).server.heads[1].split("\r\n")
    assert f"If-None-Match: {etag}" in lines
    assert f"If-Modified-Since: {modified}" in lines


def test_validators_when_a_304_or_a_200_brings_others_then_are_replaced_and_dropped(
    context: Context,
) -> None:
    """B3: none is held on to that the server no longer gives with a document."""

    async def act(reader: Reader) -> None:
        await reader.poll(response(_document("one"), 'ETag: "1"', MODIFIED))
        await reader.poll(response(b"", 'ETag: "2"', status=NOT_MODIFIED))
        assert reader.head()["if-none-match"] == '"1"'
        await reader.poll(response(_document("one", "two"), 'ETag: "3"'))
        assert reader.head()["if-none-match"] == '"2"'
        assert "if-modified-since" in reader.head()
        await reader.poll(response(_document("one")))
        assert reader.head()["if-none-match"] == '"3"'
        assert "if-modified-since" not in reader.head()
        await reader.poll(response(_document("one")))
        assert not {"if-none-match", "if-modified-since"} & set(reader.head())

    read(context, act)


@pytest.mark.parametrize(("headers", "least_s", "days"), [((ETAG,), HOUR_S, 5), ((), DAY_S, 30)])
def test_feed_when_it_always_has_news_then_is_asked_hourly_or_daily_at_most(
    context: Context, headers: tuple[str, ...], least_s: float, days: int
) -> None:
    """B5: it is asked once an hour, and once a day without validators."""

    async def act(reader: Reader) -> None:
        until = reader.clock() + days * DAY_S
        while reader.feed.next_poll_at < until:
            new = [_document(f"{len(reader.asked_at)}-{number}") for number in range(30)]
            await reader.poll(*(response(document, *headers) for document in new))

    reader = read(context, act)
    assert sum(reader.gaps) >= (days - 1) * DAY_S
    assert min(reader.gaps) >= least_s
    assert max(reader.gaps) <= 1.5 * least_s


@pytest.mark.parametrize("header", ["Cache-Control: public, max-age=20000", "Expires: {later}"])
@pytest.mark.parametrize("status", ["200 OK", NOT_MODIFIED])
def test_feed_when_its_answer_stays_fresh_then_is_not_asked_before(
    context: Context, header: str, status: str
) -> None:
    """B6: freshness is a lower bound after a document and after a 304."""
    header = header.format(later=formatdate(1_800_020_000, usegmt=True))
    date = f"Date: {formatdate(1_800_000_000, usegmt=True)}"

    async def act(reader: Reader) -> None:
        await reader.poll(response(_document("one"), ETAG))
        body = _document("one") if status == "200 OK" else b""
        await reader.poll(
            response(body, ETAG, header, date, status=status), response(b"", status=NOT_MODIFIED)
        )

    assert read(context, act).gaps[1] >= 20_000


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.parametrize(
    ("headers", "least_s"),
    [
        (["Retry-After: 200000"], 200_000),
        # The server's clock is years behind; it means the same.
        (
            ["Date: Thu, 01 Jan 2015 00:00:00 GMT", "Retry-After: Sat, 03 Jan 2015 07:33:20 GMT"],
            200_000,
        ),
        (["X-RateLimit-Reset: 200000"], 200_000),
        (["X-RateLimit-Reset: 1420270400", "Date: Thu, 01 Jan 2015 00:00:00 GMT"], 200_000),
        ([], 2 * HOUR_S),
    ],
)
def test_feed_when_its_server_is_busy_then_is_not_asked_before_the_time_it_names(
    context: Context, status: str, headers: list[str], least_s: float
) -> None:
    """B7: seconds, dates by the server's own clock, rate limits; without any of them we back off."""

    async def act(reader: Reader) -> None:
        await reader.poll(
            response(b"busy", *headers, status=status), response(_document("one"), ETAG)
        )

    assert read(context, act).gaps[0] >= least_s


@pytest.mark.parametrize("status", ["429 Too Many Requests", "404 Not Found"])
def test_feed_when_it_is_refused_a_hundred_times_then_is_asked_daily_and_comes_back(
    context: Context, status: str
) -> None:
    """B7, B10: the waits double up to a day, nothing is given up, and one good answer heals."""

    async def act(reader: Reader) -> None:
        await reader.poll(response(_document("one"), ETAG))
        await reader.poll(*[response(b"", status=status)] * 100)
        assert (reader.feed.failures, reader.feed.gone) == (100, False)
        await reader.poll(
            response(_document("one", "two"), ETAG), response(b"", status=NOT_MODIFIED)
        )
        assert (reader.feed.failures, reader.feed.error) == (0, "")

    gaps = read(context, act).gaps
    for number, gap in enumerate(gaps[1:6], start=1):
        assert HOUR_S * 2**number <= gap <= 1.1 * HOUR_S * 2**number or gap >= DAY_S
    assert all(DAY_S <= gap <= 1.1 * DAY_S for gap in gaps[6:101])
    assert context.ledger.counts()["claimed"] == 2


def test_feed_when_it_answers_410_then_is_asked_no_more(context: Context) -> None:
    """B10: the feed stays listed, for a person to see."""

    async def act(reader: Reader) -> None:
        await reader.poll(response(b"", status="410 Gone"))
        reader.clock.move(400 * DAY_S)
        assert reader.context.feeds.due(now=reader.clock(), lease_s=60.0, limit=1) == ()
        assert (reader.feed.gone, reader.feed.next_poll_at) == (True, NEVER)

    assert len(read(context, act).server.heads) == 1


def test_feed_when_a_captcha_answers_in_its_place_then_keeps_entries_and_validators(
    context: Context,
) -> None:
    """B14: a page that says 200 is no empty feed, and what comes back after it is not news."""
    captcha = response(b"<!doctype html><html><body>Are you human?</body></html>", 'ETag: "9"')

    async def act(reader: Reader) -> None:
        await reader.poll(response(_document("one"), ETAG, MODIFIED), captcha)
        await reader.poll(response(_document("one"), ETAG, MODIFIED))
        assert reader.head()["if-none-match"] == 'W/"1, b"'
        assert reader.feed.failures == 0

    read(context, act)
    assert context.ledger.counts()["claimed"] == 1


@pytest.mark.parametrize("ahead_s", [-DAY_S, DAY_S])
@pytest.mark.parametrize("given", [[ETAG], [MODIFIED]])
def test_feed_when_our_clock_is_wrong_then_its_server_does_not_see_it(
    context: Context, ahead_s: float, given: list[str]
) -> None:
    """B15: no date of ours ever goes out."""

    async def act(reader: Reader) -> None:
        await reader.poll(response(_document("one"), *given))
        reader.clock.move(ahead_s)
        await reader.poll(response(b"", status=NOT_MODIFIED))
        sent = set(reader.server.heads[1].split("\r\n")) - set(reader.server.heads[0].split("\r\n"))
        name, _, value = given[0].partition(": ")
        assert sent == {f"{'If-None-Match' if name == 'ETag' else 'If-Modified-Since'}: {value}"}

    read(context, act)
