"""Documents that were made to do harm: each costs at most its limits, and the next one is served."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from outlet import OPERA, QUAKE, Site, follow, page, poll_all, with_steps

from worker.decode.opml import read_opml
from worker.decode.sandbox import Sandbox
from worker.decode.values import MAX_ENTRIES, MAX_GUID_CHARS, MAX_SUMMARY_CHARS, MAX_TITLE_CHARS
from worker.errors import DecodeError
from worker.model import ParsedFeed, Rejected
from worker.networking import FEED_CPU_S, FEED_MEMORY_MB, PollSteps
from worker.settings import Settings
from worker.steps.pool import Limits, PreparePool, Result
from worker.steps.prepare import Draft, Prepared, warm_up
from worker.wiring import Context

# What a document may cost. Where it is to be killed, it is killed sooner here, to save time.
LIMITS = Limits(cpu_s=5, memory_mb=512)
KILL_S = 1.0
URL = "https://news.example.com/feed"


def _rss(items: str, *, prolog: str = "") -> bytes:
    text = f'{prolog}<rss version="2.0"><channel><title>News</title>{items}</channel></rss>'
    return text.encode()


def _item(xml: str, *, prolog: str = "") -> bytes:
    return _rss(f"<item><guid>1</guid>{xml}</item>", prolog=prolog)


ATTRIBUTES = " ".join(f"a{n}='1'" for n in range(40_000))
GOOD = _item("<title>Good</title>")


def _chain(length: int) -> str:
    links = "".join(f'<!ENTITY e{n} "&e{n - 1};">' for n in range(1, length))
    return f'<!DOCTYPE rss [<!ENTITY e0 "x">{links}]>'


def _laughs() -> str:
    levels = [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10)]
    return f'<!DOCTYPE rss [<!ENTITY l0 "lol">{"".join(levels)}]>'


def _decode(body: bytes, *, cpu_s: float = FEED_CPU_S) -> ParsedFeed | str:
    """Return what the sandbox makes of a feed, or why nothing; it serves the next one in any case."""

    async def run() -> ParsedFeed | str:
        assert (LIMITS.cpu_s, LIMITS.memory_mb) == (FEED_CPU_S, FEED_MEMORY_MB)
        async with Sandbox(workers=1, cpu_s=cpu_s, memory_mb=FEED_MEMORY_MB) as sandbox:
            try:
                answer: ParsedFeed | str = await sandbox.parse_feed(body, URL)
            except DecodeError as e:
                answer = str(e)
            assert [e.title for e in (await sandbox.parse_feed(GOOD, URL)).entries] == ["Good"]
            return answer

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param(_item("<title>&e99999;</title>", prolog=_chain(100_000)), "100000 entities", id="H1"),
        pytest.param(_item("<title>&l9;</title>", prolog=_laughs()), "refers to another", id="H2"),
        pytest.param(_rss("<item><guid>1</guid></item>" * 100_000), "lists 100000", id="H13"),
        pytest.param(_item("<title>&#xD800;</title>"), "could not be read", id="H15 surrogate"),
        pytest.param(_item(f"<title>&#{'9' * 100_000};</title>"), "could not be read", id="H15 digits"),
        pytest.param(b"%PDF-1.7\n1 0 obj <</Type/Catalog>>", "neither RSS", id="H20 PDF"),
        pytest.param(b"\x89PNG\r\n\x1a\n<" + bytes(range(256)) * 999, "neither RSS", id="H20 binary"),
    ],
)  # fmt: skip
def test_feed_when_cheaply_seen_to_be_hostile_then_is_refused(body: bytes, why: str) -> None:
    """What is recognised before it costs anything is refused by name."""
    answer = _decode(body)
    assert isinstance(answer, str)
    assert why in answer


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(_item(f"<author>a@{'a.' * 15_500}!</author>"), id="H8"),
        pytest.param(_rss(f"<item {ATTRIBUTES}/>"), id="H10"),
        pytest.param(_item("<a>" * 1_000_000), id="H11"),
        pytest.param(b'<rss version="2.0"><channel><item><title>' + b"<" * 5_000_000, id="H12"),
    ],
)
def test_feed_when_it_burns_the_processor_then_its_decoder_is_killed(body: bytes) -> None:
    """Patterns that backtrack and parsers that start over are ended by the kernel."""
    slow_machine = "decoding took longer than 5 s"
    assert _decode(body, cpu_s=KILL_S) in {"the decoder died of SIGXCPU", slow_machine}


@pytest.mark.parametrize(
    ("body", "title"),
    [
        pytest.param(
            _item(f"<title>A{'&a;' * 20_000}</title>", prolog=f'<!DOCTYPE rss [<!ENTITY a "{"x" * 50_000}">]>'),
            "A.*", id="H3",
        ),
        pytest.param(
            b'<rss version="2.0"><channel><!--' + b"x" * 10_000_000 + b"--><item><title>A</title></item>",
            "A", id="H7",
        ),
        pytest.param(_item(f"<title>A</title><description>{'&lt;!--' * 40_000}</description>"), "A", id="H9"),
        pytest.param(
            _item(f"<title>A</title><description><![CDATA[{'<' * 5_000_000}]]></description>"),
            "A", id="H12 in a text",
        ),
        pytest.param(_item(f"<title>{'t' * 10_000_000}</title>"), "t*", id="H14"),
        pytest.param(_item(f"<title>A</title><guid>{'g' * 1_000_000}</guid>"), "A", id="H27"),
        pytest.param(_item(f"<title>e{chr(0x301) * 50_000}</title>"), "e\u0301+|\u00e9\u0301+", id="H33"),
        pytest.param(_rss(f"<item><title>{'t' * 400}</title></item>" * 4_000), "t*", id="H80"),
    ],
)  # fmt: skip
def test_feed_when_it_is_only_too_much_then_is_cut_to_size(body: bytes, title: str) -> None:
    """The entries are read within the limits, none longer than allowed and no more than allowed."""
    answer = _decode(body)
    assert isinstance(answer, ParsedFeed)
    assert 1 <= len(answer.entries) <= MAX_ENTRIES
    for entry in answer.entries:
        assert re.fullmatch(title, entry.title)
        assert len(entry.title) <= MAX_TITLE_CHARS
        assert len(entry.summary) <= MAX_SUMMARY_CHARS
        assert len(entry.guid) <= MAX_GUID_CHARS


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE rss [<!ENTITY a SYSTEM "{file}">]>',
        '<!DOCTYPE rss [<!ENTITY a SYSTEM "{http}">]>',
        '<!DOCTYPE rss SYSTEM "{http}">',
        '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "{http}">',
        '<!DOCTYPE rss [<!ENTITY % p SYSTEM "{http}"> %p;]>',
        '<?xml-stylesheet href="{http}"?>',
    ],
)
def test_feed_when_it_names_other_documents_then_none_is_read(
    site: Site, tmp_path: Path, declaration: str
) -> None:
    """External entities and document types are neither opened nor asked for; the entries are read."""
    secret = tmp_path / "secret"
    secret.write_text("CANARY")
    site.answers["/dtd"] = (200, {}, b'<!ENTITY a "CANARY">')
    prolog = declaration.format(file=secret.as_uri(), http=site.url("/dtd"))
    answer = _decode(_item("<title>A &a;</title>", prolog=prolog))
    assert isinstance(answer, ParsedFeed)
    assert answer.entries[0].title.startswith("A")
    assert "CANARY" not in repr(answer)
    assert site.asked == []


_TEXT = "<p>" + "</p><p>".join(f"{QUAKE} Part {n}." for n in range(3)) + "</p>"


def _html(body: str = "", *, head: str = "", title: str = "Quake") -> bytes:
    article = f"<article><h1>Quake</h1>{_TEXT}{body}</article>"
    return f"<html><head><title>{title}</title>{head}</head><body>{article}</body></html>".encode()


def _spread(piece: str, count: int, times: int) -> str:
    return f"<div>{piece * count}</div>" * times


READ = {
    "H35 breaks": _html("x<br>" * 4_000),
    "H38 meta": _html(head="<meta name='author' content='x'>" * 4_000),
    "H38 JSON-LD": _html(head=f"<script type='application/ld+json'>{'[' * 100_000}</script>"),
    "H38 title": _html(title="t" * 4_900_000),
    "H38 spaces": _html(" " * 4_900_000),
    "H32": _html(
        "<svg onload='alert(1)'><math><mtext><style>p{}</style></mtext></math></svg>"
        "<iframe src='javascript:alert(1)'></iframe><img src=x onerror='alert(1)'>",
        head="<meta http-equiv='refresh' content='0;url=file:///etc/passwd'>",
    ),
    "H33": _html(f"<p>e{chr(0x301) * 50_000}</p>"),
    "H39 UTF-16": _html().decode().encode("utf-16"),
    "H39 wrong charset": _html(head="<meta charset='utf-16'>"),
    "H39 no html": f"<h1>Quake</h1><div>{_TEXT}</div>".encode(),
    "H37 links": _html(_spread("<a href='/x'>word</a>", 2_000, 5)),
    "columns": _html("<table><tr><td colspan=99999999>x</td></tr></table>"),
    "entities": b'<!DOCTYPE html [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + _html("<p>&a;</p>"),
}
UNREAD = {
    "H34": _html(f"<p>{'<b>x</b>' * 20_000}</p>"),
    "H35 spans": _html("<span>x</span>" * 100_000),
    "H35 breaks": _html("x<br>" * 200_000),
    "H35 spread": _html(_spread("x<br>", 4_900, 9)),
    "H35 attributes": _html(f"<p {ATTRIBUTES}>x</p>"),
    "H36": b"<html><body>" + b"<div>" * 1_000_000 + _html(),
    "H36 fewer": b"<html><body>" + b"<div>" * 40_000 + _html(),
    "H37 paragraphs": _html("<p>x</p>" * 50_000),
    "H37 spread": _html(_spread("<p>x</p>", 4_000, 6)),
    "H37 links": _html("<a href='/x'>x</a>" * 100_000),
    "H38 meta": _html(head="<meta name='a' content='b'>" * 1_000_000),
    "H20 PDF": b"%PDF-1.7\n1 0 obj <</Type/Catalog>>",
    "H20 binary": bytes(range(256)) * 1_000,
    "frames": _html("<frameset>" * 24_000).replace(QUAKE.encode(), b""),
}


@pytest.fixture(scope="module")
def pool() -> Iterator[PreparePool]:
    """Processes that may be killed, with the limits of this matrix."""
    warm_up(["en"])
    settings = Settings()
    with PreparePool(1, settings.index.params(), settings.match.policy(), LIMITS) as made:
        yield made


def _prepared(pool: PreparePool, html: bytes, *, summary: str = OPERA) -> Result:
    draft = Draft(title="", text=summary, html=html, url="https://news.example.com/1", lang="en")
    return next(pool.map([draft]))


@pytest.mark.parametrize("html", READ.values(), ids=READ)
def test_page_when_hostile_but_readable_then_its_article_is_read(
    pool: PreparePool, html: bytes
) -> None:
    """The article is found in what lies around it, within the limits."""
    result = _prepared(pool, html, summary="")
    assert isinstance(result, Prepared)
    assert len(result.title) <= MAX_TITLE_CHARS
    assert result.lang == "en"


@pytest.mark.parametrize("html", UNREAD.values(), ids=UNREAD)
def test_page_when_too_hostile_to_read_then_the_feeds_own_text_decides(
    pool: PreparePool, html: bytes
) -> None:
    """A page that would cost too much is passed over; nobody is killed, and the entry goes on."""
    assert isinstance(_prepared(pool, html), Prepared)
    without = _prepared(pool, html, summary="")
    assert isinstance(without, Rejected)


def test_opml_when_it_is_huge_or_points_inside_then_costs_little() -> None:
    """A million outlines are refused or cut; private addresses are read, and vetted when polled."""
    many = b"".join(b'<outline xmlUrl="http://10.0.0.1/"/>' for _ in range(100_000))
    feeds = read_opml(b"<opml><body>" + many + b"</body></opml>")
    assert feeds == (("http://10.0.0.1/", ""),)
    with pytest.raises(DecodeError, match="larger than"):
        read_opml(b"<opml><body>" + b'<outline text="x"/>' * 1_000_000 + b"</body></opml>")


def test_poller_when_feeds_are_hostile_then_polls_on_and_notes_each(
    context: Context, site: Site
) -> None:
    """One poll of them all: every hostile feed has its failure, the good one its entry."""
    bodies = {
        "/chain": _item("", prolog=_chain(100)),
        "/laughs": _item("", prolog=_laughs()),
        "/empty": b"",
        "/captcha": b"<!doctype html><html><body>Are you human?</body></html>",
        "/path": b"/etc/passwd",
        "/items": _rss("<item/>" * 9_000),
    }
    site.answers = {path: (200, {}, body) for path, body in bodies.items()}
    site.answers["/good"] = (200, {}, site.feed("one"))
    site.answers["/one"] = (200, {}, page("Quake", QUAKE))
    names = {path: follow(context, site.url(path)) for path in site.answers if path != "/one"}

    async def act(steps: PollSteps) -> None:
        assert len(await poll_all(context, steps)) == 1

    with_steps(context, act)
    feeds = {path: context.feeds.get(name) for path, name in names.items()}
    failing = {path for path, feed in feeds.items() if feed and feed.failures == 1 and feed.error}
    assert failing == set(bodies)
