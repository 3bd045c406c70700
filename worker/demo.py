"""Serves the small media world of ``seeds/`` over HTTP on loopback: feeds, pages, conditional GET.

For demonstrations and tests, never part of a deployed worker. Outlets are virtual hosts below
``.localhost``, told apart by the Host header. Reading the files (``load_world``) needs no socket.
"""

import hashlib
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from email.message import Message
from email.utils import format_datetime, parsedate_to_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from worker.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KINDS = ("report", "distractor", "reprint", "wall", "teaser")
FEED_KINDS = ("rss", "atom", "rdf")
FEED_TEXTS = ("none", "summary", "full")
SUMMARY_WORDS = 30  # about what a newsroom system cuts a lead to
TEASER_WORDS = 15  # too few to pass for an article
HTML = "text/html; charset=utf-8"
ISO = "%Y-%m-%dT%H:%M:%SZ"
Response = tuple[int, dict[str, str], bytes]  # status, headers, body


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedArticle:
    """One text; ``story`` names the true event, or is ``none`` for a wall or a teaser."""

    slug: str
    title: str
    outlet: str
    published: datetime
    kind: str
    story: str
    reprint_of: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlet:
    """One virtual host: the form of its feed and pages, and its articles, newest first."""

    host: str
    title: str
    motto: str
    feed: str
    feed_text: str
    page: str
    articles: tuple[SeedArticle, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All outlets, in the order of ``outlets.toml``."""

    outlets: tuple[Outlet, ...]

    @property
    def articles(self) -> tuple[SeedArticle, ...]:
        """Return the articles of all outlets."""
        return tuple(article for outlet in self.outlets for article in outlet.articles)


def load_world(seeds_dir: Path) -> World:
    """Read and check ``outlets.toml`` and the articles it lists.

    Raises:
        ConfigError: a file is missing or malformed; the message names it and what to change.
    """
    path = seeds_dir / "outlets.toml"
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["outlets"]
        world = World(outlets=tuple(_outlet(path, table) for table in tables))
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{path}: unreadable, or a key is wrong ({e!r}); correct it") from e
    slugs = [article.slug for article in world.articles]
    for file in sorted((seeds_dir / "articles").glob("*.md")):
        _require(slugs.count(file.stem) == 1, file, f"list it exactly once in {path}")
    for article in world.articles:
        named = article.reprint_of in slugs if article.kind == "reprint" else not article.reprint_of
        file = seeds_dir / "articles" / f"{article.slug}.md"
        _require(named, file, "give a reprint, and nothing else, a reprint_of that exists")
    return world


def _require(claim: object, path: Path, remedy: str) -> None:
    if not claim:
        raise ConfigError(f"{path}: {remedy}")


def _outlet(path: Path, table: dict[str, Any]) -> Outlet:
    folder = path.parent / "articles"
    articles = [_article(folder / f"{slug}.md", table["host"]) for slug in table["articles"]]
    articles.sort(key=lambda article: article.published, reverse=True)
    outlet = Outlet(**{**table, "articles": tuple(articles)})
    forms = outlet.feed in FEED_KINDS and outlet.feed_text in FEED_TEXTS
    _require(
        forms, path, f"{outlet.host}: take feed from {FEED_KINDS}, feed_text from {FEED_TEXTS}"
    )
    page = path.parent / "templates" / outlet.page
    _require(page.is_file(), path, f"{outlet.host}: name a page that exists in templates/")
    _require(articles, path, f"{outlet.host}: list at least one article")
    return outlet


def _article(path: Path, host: str) -> SeedArticle:
    try:
        head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
        headers: dict[str, Any] = dict(line.split(": ", 1) for line in head.splitlines())
        published = datetime.strptime(headers["published"], ISO).replace(tzinfo=timezone.utc)
        paragraphs = tuple(part.strip() for part in body.split("\n\n") if part.strip())
        values = {"reprint_of": "", **headers, "published": published, "paragraphs": paragraphs}
        article = SeedArticle(slug=path.stem, **values)
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{path}: unreadable, or a bad header line ({e!r}); correct it") from e
    _require(article.kind in KINDS, path, f"take kind from {KINDS}")
    _require(article.outlet == host, path, f"its outlet and the one that lists it, {host}, differ")
    _require(paragraphs, path, "add a body below the empty line")
    return article


def feed_paragraphs(outlet: Outlet, article: SeedArticle) -> tuple[str, ...]:
    """Return the text of a feed entry: nothing, the cut lead as one paragraph, or all.

    A wall gives nothing away and a teaser next to nothing, whatever the outlet does otherwise.
    """
    if outlet.feed_text == "none" or article.kind == "wall":
        return ()
    if outlet.feed_text == "full" and article.kind != "teaser":
        return article.paragraphs
    words = article.paragraphs[0].split()
    limit = TEASER_WORDS if article.kind == "teaser" else SUMMARY_WORDS
    return (" ".join(words[:limit]) + (" …" if len(words) > limit else ""),)


@final
class DemoServer:
    """The world of ``seeds_dir`` on 127.0.0.1, one thread a connection; use with ``with``.

    Args:
        seeds_dir: folder with outlets.toml, articles/ and templates/.
        port: TCP port; 0 lets the system choose a free one at each start.

    Raises:
        ConfigError: from ``load_world``.
    """

    def __init__(self, seeds_dir: Path, port: int = 0) -> None:
        self.world = load_world(seeds_dir)
        self._hosts = {outlet.host: outlet for outlet in self.world.outlets}
        self._wanted_port = self._bound_port = port
        self._server: ThreadingHTTPServer | None = None
        self._env = Environment(
            loader=FileSystemLoader(seeds_dir / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters["rfc822"] = partial(format_datetime, usegmt=True)
        self._env.filters["iso"] = lambda at: at.strftime(ISO)

    @property
    def port(self) -> int:
        """Return the port in use; RuntimeError while the server is not running."""
        if self._server is None:
            raise RuntimeError("the demo server is not running")
        return self._bound_port

    def feed_urls(self) -> list[str]:
        """Return the feed address of every outlet; like ``port``, only while running."""
        return [f"http://{host}:{self.port}/feed" for host in self._hosts]

    def start(self) -> None:
        """Bind, and answer in the background.

        Raises:
            ConfigError: the port is taken.
        """
        handler = partial(_Handler, self)
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", self._wanted_port), handler)
        except OSError as e:
            raise ConfigError(
                f"the seeds cannot be served on port {self._wanted_port} ({e.strerror}); "
                "end what uses it, or choose another one with --seeds-port"
            ) from e
        self._bound_port = self._server.server_port
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Close the port; does nothing when not running. Open connections end by themselves."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> "DemoServer":
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def respond(self, path: str, request: Message) -> Response:
        """Return the answer to a GET of ``path`` with these request headers."""
        path = path.partition("?")[0]
        outlet = self._hosts.get(request.get("Host", "").partition(":")[0].lower())
        if outlet is None:
            return 404, {"Content-Type": HTML}, b"<p>No such site.</p>"
        if path == "/robots.txt":
            return 200, {"Content-Type": "text/plain"}, b"User-agent: *\nAllow: /\n"
        if path == "/":
            return 200, {"Content-Type": HTML}, self._render("front.html", outlet)
        if path == "/feed":
            return _conditional(outlet, request, self._render(f"{outlet.feed}.xml", outlet))
        for article in outlet.articles:
            if path == f"/{article.slug}.html":
                page = "wall.html" if article.kind == "wall" else outlet.page
                return 200, {"Content-Type": HTML}, self._render(page, outlet, article)
        return 404, {"Content-Type": HTML}, b"<p>No such page.</p>"

    def _render(self, template: str, outlet: Outlet, article: SeedArticle | None = None) -> bytes:
        base = f"http://{outlet.host}:{self._bound_port}"  # an open connection may outlive stop()
        entries = [
            {"article": a, "url": f"{base}/{a.slug}.html", "paragraphs": feed_paragraphs(outlet, a)}
            for a in outlet.articles
        ]
        values: dict[str, Any] = {"outlet": outlet, "base": base, "entries": entries}
        values["updated"] = outlet.articles[0].published
        if article is not None:
            values |= {"article": article, "url": f"{base}/{article.slug}.html"}
            values["related"] = [entry for entry in entries if entry["article"] is not article]
        return self._env.get_template(template).render(values).encode()


def _conditional(outlet: Outlet, request: Message, body: bytes) -> Response:
    """Answer for a feed: 304 when the client's copy is current (RFC 9110, 13.2.2)."""
    modified = outlet.articles[0].published
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Last-Modified": format_datetime(modified, usegmt=True)}
    tags = request.get("If-None-Match")
    if tags is not None:  # an ETag outranks a date, which must then be ignored
        current = any(tag.strip().removeprefix("W/") in (etag, "*") for tag in tags.split(","))
    else:
        current = False
        with suppress(ValueError, TypeError):  # not a date, or one without a zone: as if not sent
            current = parsedate_to_datetime(request.get("If-Modified-Since", "")) >= modified
    if current:
        return 304, headers, b""
    return 200, {**headers, "Content-Type": f"application/{outlet.feed}+xml; charset=utf-8"}, body


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds a kept-alive connection may idle
    disable_nagle_algorithm = True  # header and body are two writes: Nagle would delay the second

    def __init__(self, demo: DemoServer, *args: Any) -> None:
        self._demo = demo
        super().__init__(*args)

    def handle(self) -> None:
        """Serve one connection; a client that goes away is no event."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        """Send what ``DemoServer.respond`` decides."""
        status, headers, body = self._demo.respond(self.path, self.headers)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:  # a 304 has no body, and a length would be that of the full answer
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        """Write nothing: stderr belongs to the program that shows the demonstration."""
