"""A web server that webhooks point to, and events to send there, for tests."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from outlet import serving

from worker.core.webhooks import webhook_id
from worker.model import WebhookId
from worker.store.scripts import script_text
from worker.wiring import Context


@dataclass(frozen=True, slots=True)
class Received:
    """One POST."""

    path: str
    headers: dict[str, str]
    document: dict[str, Any]

    @property
    def key(self) -> str:
        """By what the receiver drops repeats."""
        return self.headers["Idempotency-Key"]


@dataclass
class Receiver:
    """A server that notes every POST, then answers as the test says."""

    received: list[Received] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)  # by path; 200 for others
    headers: dict[str, str] = field(default_factory=dict)  # of every answer
    body: bytes = b"ok"
    before_answer: Callable[[Received], object] = lambda _: None

    def __post_init__(self) -> None:
        """Listen on a free port of the loopback."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # it would hold each answer back for 40 ms

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                got = Received(self.path, dict(self.headers.items()), json.loads(body))
                receiver.received.append(got)
                receiver.before_answer(got)
                self.send_response(receiver.statuses.get(self.path, 200))
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True  # one may still wait for a client that was killed

            def handle_error(self, *_: object) -> None:
                """Say nothing: clients are killed here."""

        self.server = Server(("127.0.0.1", 0), Handler)

    def url(self, path: str = "/hook") -> str:
        """Return an address of this server."""
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def keys(self, path: str = "/hook") -> list[str]:
        """Return the keys of what came to a path, in order, repeats included."""
        return [got.key for got in list(self.received) if got.path == path]


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Serve until the end of the block."""
    made = Receiver()
    with serving(made.server):
        yield made


# The very code that attach, merge and split share.
_TELL = (
    script_text("events")
    + """
for number = tonumber(ARGV[3]), tonumber(ARGV[4]) do
  tell(ARGV[1], 'type', ARGV[5], 'story', ARGV[2] .. string.format('-%012x', number),
    'article', string.format('%016x', number), 'original', '', 'at', 1800000000 + number)
end
"""
)


def tell(
    context: Context, lang: str, first: int, last: int = 0, *, kind: str = "article_attached"
) -> None:
    """Let an event happen in one language, or as many as there are numbers from first to last."""
    context.client.sadd(context.keys.langs, lang)
    prefix = context.keys.lang_prefix(lang)
    context.client.eval(_TELL, 0, prefix, lang, first, last or first, kind)


def event_ids(context: Context, lang: str) -> list[str]:
    """Return the ids of a language's events, as they lie in Redis."""
    entries = context.client.xrange(context.keys.events(lang))
    return [f"{lang}-{stream_id.decode()}" for stream_id, _ in entries]


def add_webhook(context: Context, url: str, *types: str) -> WebhookId:
    """Let events go to an address from now on."""
    context.webhooks.add(url, types, start=context.events.newest())
    return webhook_id(url)
