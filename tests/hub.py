"""A WebSub hub on the loopback, the web role that it calls, and a reader's world, for tests."""

import hmac
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import Request, urlopen

import uvicorn
from conftest import until
from outlet import Site, feed_of, follow, running_site, serving, with_steps

from worker.core.websub import Subscription
from worker.model import EntryId, Feed, FeedId
from worker.networking import PollSteps
from worker.testing import Clock
from worker.web.app import build, listen
from worker.wiring import Context

ETAG = '"1"'


@dataclass
class Hub:
    """A hub that notes what it is asked, and verifies as the test says."""

    forms: list[dict[str, str]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    status: int = 202
    elsewhere: str = ""  # where a 307 or 308 leads
    verifies: bool = True  # before it answers, as some do
    lease_s: str = "864000"
    answers: list[tuple[int, str]] = field(default_factory=list)  # of callbacks to its calls

    def __post_init__(self) -> None:
        """Listen on a free port of the loopback."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                hub.heads.append(dict(self.headers.items()))
                hub.forms.append(dict(parse_qsl(body, strict_parsing=True)))
                if hub.verifies and hub.status == 202:
                    hub.verify()
                self.send_response(hub.status)
                self.send_header("Content-Length", "0")
                if hub.elsewhere:
                    self.send_header("Location", hub.elsewhere)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.server_port}/hub"

    @property
    def callback(self) -> str:
        """The callback that it was given last."""
        return self.forms[-1]["hub.callback"]

    def verify(self, **changed: str) -> tuple[int, str]:
        """Ask the last callback whether it meant it; parameters given by name replace the true ones."""
        query = {
            "hub.mode": self.forms[-1]["hub.mode"],
            "hub.topic": self.forms[-1]["hub.topic"],
            "hub.challenge": "a & b=ü",
            "hub.lease_seconds": self.lease_s,
            **{f"hub.{name}": value for name, value in changed.items()},
        }
        self.answers.append(call(f"{self.callback}?{urlencode(query)}"))
        return self.answers[-1]

    def push(self, body: bytes = b"<rss/>", *, method: str = "sha256", secret: str = "") -> int:
        """Push to the last callback, signed with its secret or another one; return its status."""
        key = secret or self.forms[-1]["hub.secret"]
        signature = hmac.new(key.encode(), body, method).hexdigest()
        return call(self.callback, body, {"X-Hub-Signature": f"{method}={signature}"})[0]


def call(
    url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """Return status and text of what an address answers."""
    try:
        with urlopen(Request(url, body, headers or {}), timeout=20) as response:
            return response.status, response.read().decode()
    except HTTPError as e:
        with e:
            return e.code, e.read().decode()


def stream(url: str, size: int, headers: dict[str, str]) -> int | None:
    """Post so many bytes; return the status, or None when the connection ended before it came."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        chunks = (b"x" * 2**16 for _ in range(size // 2**16))
        connection.request("POST", parts.path, chunks, headers | {"Content-Length": str(size)})
        return connection.getresponse().status
    except ConnectionError:
        return None
    finally:
        connection.close()


@dataclass
class World:
    """A reader that hubs can reach, on a clock that the test moves, a feed's site and its hub."""

    context: Context
    clock: Clock
    site: Site
    hub: Hub
    name: FeedId

    def offer(self, *names: str, hub: str | None = None, topic: str | None = None) -> None:
        """Let the feed list these entries and name a hub, its own or another one ('' for none)."""
        hub = self.hub.url if hub is None else hub
        topic = self.site.url("/feed") if topic is None else topic
        links = "".join(
            f'<a:link rel="{rel}" href="{href}"/>'
            for rel, href in (("hub", hub), ("self", topic))
            if href
        )
        items = "".join(f"<item><guid>{n}</guid><title>{n}</title></item>" for n in names)
        head = '<rss version="2.0" xmlns:a="http://www.w3.org/2005/Atom"><channel>'
        body = f"{head}<title>Own</title>{links}{items}</channel></rss>".encode()
        self.site.answers["/feed"] = (200, {"ETag": ETAG}, body)

    @property
    def feed(self) -> Feed:
        """The feed as it is stored."""
        return feed_of(self.context, self.name)

    @property
    def sub(self) -> Subscription:
        """The feed's subscription."""
        sub = self.context.subscriptions.get(self.name)
        assert sub is not None
        return sub

    def run(self, act: Callable[["Reader"], Awaitable[None]]) -> None:
        """Run a coroutine with the poll role's steps."""

        async def main(steps: PollSteps) -> None:
            await act(Reader(self, steps))

        with_steps(self.context, main)

    def subscribe(self) -> None:
        """Poll the feed, and ask its hub."""

        async def act(reader: Reader) -> None:
            await reader.poll()
            await reader.look()

        self.run(act)


@dataclass
class Reader:
    """The poll role's steps in a world."""

    world: World
    steps: PollSteps

    async def poll(self) -> tuple[EntryId, ...]:
        """Poll the feed as soon as it is due, and move the clock there."""
        world = self.world
        world.clock.at = max(world.clock.at, world.feed.next_poll_at)
        (lease,) = world.context.feeds.due(now=world.clock(), lease_s=60.0, limit=9)
        return await self.steps.poller.poll(lease)

    async def look(self) -> None:
        """Ask the hubs whose time has come."""
        assert self.steps.subscriber
        await self.steps.subscriber.look()


@contextmanager
def serving_web(context: Context, listener: socket.socket | None = None) -> Iterator[str]:
    """Serve the web role of a namespace, on a free port or where somebody listens; give its address."""
    listener = listener or listen("127.0.0.1", 0)
    options = uvicorn.Config(build(context), log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(options)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        until(lambda: server.started)
        yield _address(listener)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def reachable(context: Context, clock: Clock) -> Iterator[Context]:
    """Serve the web role of a namespace; give a context that knows under what address."""
    listener = listen("127.0.0.1", 0)
    web = context.settings.web.model_copy(update={"public_url": _address(listener)})
    settings = context.settings.model_copy(update={"web": web})
    made = Context(settings=settings, redis_url=context.redis_url)
    made.__dict__["clock"] = clock
    with serving_web(made, listener):
        yield made
    made.client.close()


def _address(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def running_world(context: Context) -> Iterator[World]:
    """Run everything, and follow the feed, which names its hub."""
    with ExitStack() as stack:
        clock, hub, site = Clock(), Hub(), stack.enter_context(running_site())
        stack.enter_context(serving(hub.server))
        made = World(
            context=stack.enter_context(reachable(context, clock)),
            clock=clock,
            site=site,
            hub=hub,
            name=follow(context, site.url("/feed")),
        )
        made.offer("one")
        yield made
