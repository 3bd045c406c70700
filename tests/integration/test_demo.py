"""The demonstration world over real HTTP: feeds that parse, pages that extract, validators."""

import http.client
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import feedparser
import pytest
import trafilatura
from trafilatura.settings import Document

from worker.decode.dates import moment
from worker.demo import DemoServer, Outlet, SeedArticle, feed_paragraphs, load_world

SEEDS = Path(__file__).parents[2] / "seeds"
WORLD = load_world(SEEDS)
OUTLETS = {outlet.host: outlet for outlet in WORLD.outlets}
ARTICLES = {article.slug: article for article in WORLD.articles}
TYPES = {
    "rss": ("application/rss+xml; charset=utf-8", "rss20"),
    "atom": ("application/atom+xml; charset=utf-8", "atom10"),
    "rdf": ("application/rdf+xml; charset=utf-8", "rss10"),
}
# What surrounds the article in each template: navigation, cookies, comments, letters, footer.
SURROUNDINGS = {
    "modern.html": [
        "We use cookies",
        "Accept cookies",
        "Business and markets",
        "Share by mail",
        "Our morning letter",
        "before breakfast",
        "Nobody in that region",
        "Also in this section",
        "recycled electrons",
        "Corrections policy",
    ],
    "structured.html": [
        "Latest headlines",
        "live blog",
        "Tweet this page",
        "You may also like",
        "Leave a comment",
        "disagree with every line",
        "weekly digest",
        "accept our cookie policy",
        "without written permission",
    ],
    "classic.html": [
        "News of the region",
        "Classified advertisements",
        "Printer-friendly",
        "comments so far",
        "My uncle crossed",
        "Most read this week",
        "never more often",
        "1024 by 768",
        "cookies are in use",
    ],
}


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    """Run one server for the whole module: it keeps no state between requests."""
    with DemoServer(SEEDS) as running:
        yield running


def get(
    server: DemoServer, host: str, path: str, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body for one GET at a virtual host."""
    sent = {"Host": f"{host}:{server.port}", **(headers or {})}
    request = Request(f"http://127.0.0.1:{server.port}{path}", headers=sent)
    try:
        with urlopen(request, timeout=10) as response:
            return response.status, dict(response.headers), response.read()
    except HTTPError as e:
        with e:
            return e.code, dict(e.headers), e.read()


def tokens(text: str) -> Counter[str]:
    """Return how often each word occurs."""
    return Counter(re.findall(r"\w+", text.lower()))


def extracted(server: DemoServer, article: SeedArticle) -> tuple[str, str]:
    """Return the page of an article and the text that extraction finds in it."""
    status, _, body = get(server, article.outlet, f"/{article.slug}.html")
    assert status == 200
    page = body.decode()
    url = f"http://{article.outlet}:{server.port}/{article.slug}.html"
    document = trafilatura.bare_extraction(page, url=url, include_comments=False)
    assert isinstance(document, Document)
    return page, document.text or ""


@pytest.mark.parametrize("outlet", WORLD.outlets, ids=lambda outlet: outlet.host)
def test_feed_when_parsed_then_lists_every_article(server: DemoServer, outlet: Outlet) -> None:
    """Each feed is well-formed, of its kind, and has identity, link, time and text of each entry."""
    status, headers, body = get(server, outlet.host, "/feed")
    content_type, version = TYPES[outlet.feed]
    assert (status, headers["Content-Type"]) == (200, content_type)
    parsed = feedparser.parse(io.BytesIO(body))
    assert not parsed.bozo
    assert parsed.version == version
    assert (parsed.feed.title, parsed.feed.subtitle) == (outlet.title, outlet.motto)
    assert len({entry.id for entry in parsed.entries}) == len(outlet.articles)
    for entry, article in zip(parsed.entries, outlet.articles, strict=True):
        assert entry.title == article.title
        assert entry.link == f"http://{outlet.host}:{server.port}/{article.slug}.html"
        assert moment(entry.get("published") or entry.updated) == article.published.timestamp()
        text = re.sub(r"</?p>", " ", entry.get("summary", ""))
        assert text.split() == " ".join(feed_paragraphs(outlet, article)).split()


def test_feed_urls_when_running_then_name_every_host_and_the_port(server: DemoServer) -> None:
    """The feed addresses are those of the outlets, at the port in use."""
    assert server.feed_urls() == [f"http://{host}:{server.port}/feed" for host in OUTLETS]


@pytest.mark.parametrize(
    "slug", sorted(slug for slug, a in ARTICLES.items() if a.kind not in ("wall", "teaser"))
)
def test_page_when_extracted_then_gives_the_body_and_nothing_else(
    server: DemoServer, slug: str
) -> None:
    """Extraction finds at least nine tenths of the body's words and none of its surroundings."""
    article = ARTICLES[slug]
    page, text = extracted(server, article)
    body = tokens(" ".join(article.paragraphs))
    found = (tokens(text) & body).total() / body.total()
    assert found >= 0.9, f"{slug}: {found:.2f} of the words"
    outlet = OUTLETS[article.outlet]
    for phrase in SURROUNDINGS[outlet.page]:
        assert phrase in page
        assert phrase not in text
    for other in outlet.articles:
        assert other is article or other.title not in text


def test_wall_when_extracted_then_gives_only_the_dialogue(server: DemoServer) -> None:
    """A consent wall answers 200 with a text that is not the article its headline promises."""
    (wall,) = (article for article in WORLD.articles if article.kind == "wall")
    page, text = extracted(server, wall)
    assert "<article" not in page
    assert tokens(text) <= tokens(" ".join(wall.paragraphs))
    assert 100 <= tokens(text).total() <= 220


def test_teaser_when_extracted_then_ends_in_an_offer(server: DemoServer) -> None:
    """A paywall page gives its two sentences and the offer, in the outlet's ordinary template."""
    (teaser,) = (article for article in WORLD.articles if article.kind == "teaser")
    _, text = extracted(server, teaser)
    assert text.startswith(teaser.paragraphs[0])
    assert "Subscribe to continue reading" in text


@pytest.mark.parametrize("outlet", WORLD.outlets, ids=lambda outlet: outlet.host)
def test_front_page_when_read_then_links_every_article(server: DemoServer, outlet: Outlet) -> None:
    """The front page of an outlet leads to its feed and to each of its pages."""
    status, _, body = get(server, outlet.host, "/")
    assert status == 200
    links = re.findall(r'href="([^"]+)"', body.decode())
    base = f"http://{outlet.host}:{server.port}"
    pages = [f"{base}/{article.slug}.html" for article in outlet.articles]
    assert links == [f"{base}/feed", *pages]


@pytest.mark.parametrize("path", ["/", "/feed"])
@pytest.mark.parametrize("host", ["capitalreview", "gulfprism", "marmaradaily"])
def test_text_when_it_has_an_ampersand_then_is_escaped(
    server: DemoServer, host: str, path: str
) -> None:
    """A character that is markup in HTML and XML comes through every feed kind as text."""
    outlet = OUTLETS[f"{host}.localhost"]
    assert "&" in outlet.motto
    assert outlet.motto.replace("&", "&amp;").encode() in get(server, outlet.host, path)[2]


@pytest.mark.parametrize("host", sorted(OUTLETS))
def test_feed_when_unchanged_then_answers_304(server: DemoServer, host: str) -> None:
    """Either validator of a feed, sent back, gets an empty 304 that carries both again."""
    _, first, _ = get(server, host, "/feed")
    validators = {name: first[name] for name in ("ETag", "Last-Modified")}
    for header, value in (
        ("If-None-Match", first["ETag"]),
        ("If-None-Match", f'"other", W/{first["ETag"]}'),
        ("If-None-Match", "*"),
        ("If-Modified-Since", first["Last-Modified"]),
        ("If-Modified-Since", "Tue, 01 Jan 2030 00:00:00 GMT"),
    ):
        status, headers, body = get(server, host, "/feed", {header: value})
        assert (status, body) == (304, b""), header
        assert validators.items() <= headers.items()


@pytest.mark.parametrize(
    "headers",
    [
        {"If-None-Match": '"other"'},
        {"If-None-Match": '"other"', "If-Modified-Since": "Tue, 01 Jan 2030 00:00:00 GMT"},
        {"If-Modified-Since": "Mon, 01 Jan 2018 00:00:00 GMT"},
        {"If-Modified-Since": "yesterday"},
        {"If-Modified-Since": "Tue, 01 Jan 2030 00:00:00 -0000"},
    ],
)
def test_feed_when_validator_is_old_or_bad_then_answers_200(
    server: DemoServer, headers: dict[str, str]
) -> None:
    """A validator that does not match, or cannot be read, gets the whole feed."""
    status, _, body = get(server, "nordwire.localhost", "/feed", headers)
    assert status == 200
    assert body


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("nordwire.localhost", "/robots.txt", 200),
        ("NORDWIRE.localhost", "/feed?from=test", 200),
        ("nordwire.localhost", "/no-such-page.html", 404),
        ("nordwire.localhost", "/no-kurd-in-the-room-moscow.html", 404),
        ("nordwire.localhost", "/../outlets.toml", 404),
        ("unknown.localhost", "/feed", 404),
        ("unknown.localhost", "/robots.txt", 404),
        ("127.0.0.1", "/", 404),
    ],
)
def test_path_when_asked_at_host_then_has_status(
    server: DemoServer, host: str, path: str, status: int
) -> None:
    """Only an outlet's own addresses exist, and only at its own host."""
    assert get(server, host, path)[0] == status


def test_connection_when_kept_alive_then_serves_again_in_silence(
    server: DemoServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """One connection carries a page, a 304 and a 404 in turn, and nothing is written to stderr."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        for path, status in (("/", 200), ("/feed", 304), ("/none", 404), ("/robots.txt", 200)):
            headers = {"Host": "nordwire.localhost", "If-None-Match": "*"}
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read()
            assert (response.status, response.version, response.will_close) == (status, 11, False)
            if status != 304:
                assert response.headers["Content-Length"] == str(len(body))
    finally:
        connection.close()
    assert capfd.readouterr().err == ""


def test_server_when_stopped_then_frees_its_port() -> None:
    """After ``stop`` there is no port, the old one can be taken again, and stopping is harmless."""
    first = DemoServer(SEEDS)
    first.start()
    port = first.port
    first.stop()
    first.stop()
    with pytest.raises(RuntimeError):
        first.feed_urls()
    with DemoServer(SEEDS, port=port) as second:
        assert second.port == port
