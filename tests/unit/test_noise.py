"""Noise that looks like what the decoders read: each answers with a value or a DecodeError."""

import contextlib
import random
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.entries import canonical_url
from worker.decode.feed import parse_feed
from worker.decode.opml import read_opml
from worker.decode.page import extract_page
from worker.decode.values import plain_text
from worker.errors import DecodeError

URL = "https://news.example.com/feed"
# Pieces that parsers take seriously, so that noise gets past their first look.
_FEED = """<rss version="2.0"> <channel> <item> </item> </channel> <feed xmlns="http://www.w3.org/2005/Atom">
<entry> </entry> <title> </title> <link> <link href="http://[::1"/> <pubDate> </pubDate> <guid> </guid>
<updated>9999-12-31T23:59:60+99:99</updated> <dc:date> <description> <![CDATA[ ]]> &amp; &#x0; &#xD800;
&nbsp; <content:encoded> <?xml version="1.0" encoding="utf-16"?> <!DOCTYPE rss [ ]> <!-- --> <media:content
url="x"/> <ttl> 30 Feb 2018 25:61 -0000 \x00 \ufeff \ud7ff 0 - .""".split()  # noqa: SIM905 - a table
_PAGE = """<html> <body> <p> </p> <table> <tr> <td colspan=9> </table> <script> </script> <style> <!-- -->
<article> </article> <div> </div> <time datetime="0000-00-00"> <meta property="og:title" content="x">
<title> </title> <a href="http://[x"> </a> <svg> <math> <frameset> <noscript> &lt; &#0; <![CDATA[ word words
<br> <form> <select> <plaintext> <template> <base href="//"> \x00""".split()  # noqa: SIM905 - a table
_OPML = """<opml version="2.0"> <body> <outline xmlUrl="http://a.example/"/> <outline text="&x;"> </outline>
</body> </opml> <head> <!ENTITY <?xml version="1.0" encoding="x"?> xmlUrl="feed:" & < > \x00""".split()  # noqa: SIM905 - a table
_URL = [*"http:/", "http://", "https://", "@", "[", "]", "%", "\u3002", "\u00df", "xn--", ":0"]


def _joined(pieces: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces) | st.text(max_size=5), max_size=40).map("".join)


def _cut(text: str, data: random.Random) -> bytes:
    """Return a text in some encoding, with a few bytes overwritten."""
    body = bytearray(text.encode(data.choice(["utf-8", "utf-16", "latin-1"]), "replace"))
    for _ in range(data.randrange(4)):
        if body:
            body[data.randrange(len(body))] = data.randrange(256)
    return bytes(body)


def _feed(body: bytes) -> object:
    return [entry.title.encode() for entry in parse_feed(body, url=URL).entries]


def _page(body: bytes) -> object:
    return extract_page(body, url=URL).text.encode()


@pytest.mark.parametrize(
    ("decode", "pieces"), [(_feed, _FEED), (_page, _PAGE), (read_opml, _OPML)], ids=["feed", "page", "OPML"]
)  # fmt: skip
def test_document_when_given_noise_then_is_read_or_refused(
    decode: Callable[[bytes], object], pieces: list[str]
) -> None:
    """Whatever comes out can be stored; nothing else than a DecodeError comes instead."""

    @settings(max_examples=150)
    @given(_joined(pieces), st.randoms(use_true_random=False))
    def run(text: str, data: random.Random) -> None:
        with contextlib.suppress(DecodeError):
            decode(_cut(text, data))

    run()


@given(_joined(_FEED))
def test_plain_text_when_given_noise_then_is_short_and_can_be_stored(markup: str) -> None:
    """Text out of markup holds no control characters and stays within its limit."""
    text = plain_text(markup, 50, one_line=True)
    assert len(text) <= 50
    text.encode()
    assert not any(c < " " or c == "\x7f" for c in text)


@given(_joined(_URL))
def test_canonical_url_when_given_noise_like_addresses_then_is_stable(url: str) -> None:
    """An address that is accepted is its own canonical form, with a host and without a user."""
    once = canonical_url(url)
    assert canonical_url(once) == once
    assert not once or (urlsplit(once).hostname and urlsplit(once).username is None)
