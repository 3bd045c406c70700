"""Which hub a response names: by its headers, else by its document, of any format."""

import json
import time

import pytest

from worker.core.websub import Push, Signature, Topic
from worker.decode.document import parse_document
from worker.decode.hubs import MAX_HEADER_CHARS, topic_of
from worker.decode.values import MAX_PUBLIC_CHARS
from worker.model import Page

URL = "https://news.example/feeds/all.xml"
HUB, SELF = "https://hub.example/", "https://news.example/feed"
BOTH = Topic(hub=HUB, url=SELF)


def _atom(*links: str) -> bytes:
    entry = f'<entry><id>1</id><title>x</title><link rel="hub" href="{HUB}entry"/></entry>'
    head = '<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>'
    return f"{head}{''.join(links)}{entry}</feed>".encode()


def _rss(*links: str) -> bytes:
    head = '<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><title>t</title>'
    item = f'<item><title>x</title><atom:link rel="hub" href="{HUB}item"/></item>'
    return (
        f"{head}{''.join(links)}<link>https://news.example/</link>{item}</channel></rss>".encode()
    )


def _json(**more: object) -> bytes:
    return json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": [], **more}).encode()


def _link(rel: str, href: str, prefix: str = "") -> str:
    return f'<{prefix}link rel="{rel}" href="{href}"/>'


def _topic(body: bytes, header: str = "") -> Topic | None:
    page = Page(
        url=URL, final_url=URL, status=200, headers={"link": header} if header else {},
        body=body, fetched_at=0.0,
    )  # fmt: skip
    return topic_of(page, parse_document(body, url=URL))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (_atom(_link("hub", HUB), _link("self", SELF)), BOTH),
        (_rss(_link("hub", HUB, "atom:"), _link("self", SELF, "atom:")), BOTH),
        (_atom(_link("hub", HUB), _link("hub", HUB + "2"), _link("self", SELF)), BOTH),
        (_atom(_link("HUB", HUB), _link("alternate self", SELF)), BOTH),
        (_atom(_link("hub", "/hub"), _link("self", "me")),
         Topic(hub="https://news.example/hub", url="https://news.example/feeds/me")),
        (_atom(_link("hub", "javascript:x"), _link("hub", HUB), _link("self", SELF)), BOTH),
        (_atom(_link("hub", "https://u:p@hub.example/"), _link("self", SELF)), None),
        (_atom(_link("hub", HUB + "x" * MAX_PUBLIC_CHARS), _link("self", SELF)), None),
        (_atom(_link("hub", HUB)), None),
        (_atom(_link("self", SELF)), None),
        (_atom(*[_link("next", SELF)] * 40, _link("hub", HUB), _link("self", SELF)), None),
        (_json(hubs=[{"type": "rssCloud", "url": "https://cloud.example/"},
                     {"type": "WebSub", "url": HUB}], feed_url=SELF), BOTH),
        (_json(hubs={"type": "WebSub", "url": HUB}, feed_url=SELF), None),
        (_json(hubs=["x", {"type": 1, "url": HUB}, {"type": "WebSub"}], feed_url=SELF), None),
    ],
    ids=range(14),
)  # fmt: skip
def test_topic_of_when_the_document_has_links_then_names_the_first_hub_of_the_feed(
    body: bytes, expected: Topic | None
) -> None:
    """Both links are needed; those of entries are not the feed's."""
    assert _topic(body) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f'<{HUB}h>; rel="hub", <{SELF}h>; rel="self"', Topic(hub=HUB + "h", url=SELF + "h")),
        (f'<{HUB}h>;rel=hub;title="a, b",<{SELF}h>;rel=self', Topic(hub=HUB + "h", url=SELF + "h")),
        (f'<{HUB}h>; title=x; REL="preload HUB"', Topic(hub=HUB + "h", url=SELF)),
        ('</hub>; rel="hub"', Topic(hub="https://news.example/hub", url=SELF)),
        (f'<{HUB}h>; rel="hub"; anchor="https://other.example/"', BOTH),
        (f"<{HUB}h>; rel=next", BOTH),
        (f'{HUB}h; rel="hub"', BOTH),
        ('<ftp://hub.example/>; rel="hub"', BOTH),
        ("<" * 3_000 + ">" * 3_000, BOTH),
        (f"<{'x' * MAX_HEADER_CHARS}>; rel=hub", BOTH),
    ],
    ids=range(10),
)
def test_topic_of_when_headers_have_links_then_they_go_before_the_document(
    header: str, expected: Topic
) -> None:
    """WebSub section 4; what is no link is passed over."""
    assert _topic(_atom(_link("hub", HUB), _link("self", SELF)), header) == expected


def test_topic_of_when_a_header_is_made_to_be_slow_then_is_not() -> None:
    """No pattern has two ways to match the same characters."""
    body = _atom()
    started = time.process_time()
    for part in ("<x>;", "<x>; rel", '<x>;rel="', ";" + " " * 50, "<x>; rel = ", "<>"):
        assert _topic(body, part * (MAX_HEADER_CHARS // len(part))) is None
    assert time.process_time() - started < 1.0


def test_signature_when_of_a_published_vector_then_is_right_in_any_case_of_letters() -> None:
    """RFC 4231, test case 2, in two parts; a digit that differs makes it false."""
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    for claimed, expected in (
        (f"sha256={digest}", Push.ACCEPTED),
        (f" SHA256={digest.upper()} ", Push.ACCEPTED),
        (f"sha256={digest[:-1]}4", Push.FALSE),
        (f"sha512={digest}", Push.FALSE),
        (digest, Push.UNSIGNED),
        ("", Push.UNSIGNED),
    ):
        signature = Signature(claimed, "Jefe")
        signature.feed(b"what do ya want ")
        signature.feed(b"for nothing?")
        assert signature.verdict() is expected, claimed
