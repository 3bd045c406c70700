"""Fetched pages to main text: trafilatura behind a cheap look at the page's shape.

One job: bytes of HTML in, ``ExtractedPage`` out. It never fetches, and it keeps no state from
page to page: trafilatura's ``deduplicate`` would lose the text of a page seen before, and a kept
``Extractor`` the dates of tomorrow. Called by steps/ingest inside a killable process: some pages
cost trafilatura minutes of CPU.
"""

import re
from datetime import datetime, timezone
from urllib.parse import urlsplit

import lxml.html
from lxml import etree

from worker.errors import DecodeError
from worker.model import ExtractedPage

# Limits of shape, measured: past these, cost grows with the square of size
# (20 000 children: 40 s, 5 000: 0.7 s). 180 real pages of the scrapinghub article benchmark had
# 3 229 tags, 258 children and 187 attributes at most.
MAX_TAGS = 50_000
MAX_CHILDREN = 5_000
MAX_ATTRIBUTES = 500
MAX_TEXT_CHARS = 500_000  # a long novel's length; sizes everything that comes after
MAX_TITLE_CHARS = 500
_SHORTEST_CROWDED_TAG = 2 * MAX_ATTRIBUTES  # an attribute takes two bytes at least

# What trafilatura, htmldate and lxml raise on odd pages instead of giving up.
_EXTRACTOR_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    etree.LxmlError,
)
_LONG_TAG = re.compile(rb"<[a-zA-Z][^<>]{%d,}" % _SHORTEST_CROWDED_TAG)
_QUOTED = re.compile(rb""""[^"]*"|'[^']*'""")
_SITE_SUFFIX = re.compile(r"\s+(?:[|\u2013\u2014\u00b7\u2022\u00bb]|-|::)\s+([^|]+)$")


def extract_page(body: bytes, *, url: str) -> ExtractedPage:
    """Return the main text of a page, paragraphs joined by newlines.

    Args:
        body: the page, decoded from its Content-Encoding only.
        url: the address that answered; helps to find title and date.

    Returns:
        A page with an empty text when no main text was found.

    Raises:
        DecodeError: not HTML, of a shape that costs too much, or the extractor failed.
    Cost: CPU 43 ms at the median of 180 real pages (174 KB each), 360 ms at most.
    """
    from trafilatura import bare_extraction  # noqa: PLC0415 - slow to import; few commands need it
    from trafilatura.settings import Document  # noqa: PLC0415

    tree = _tree(body)
    try:
        found = bare_extraction(tree, url=url, include_comments=False, with_metadata=True)
    except _EXTRACTOR_FAULTS as e:
        raise DecodeError(f"the page could not be read: {type(e).__name__}") from e
    if not isinstance(found, Document):
        return ExtractedPage(title=_tag_title(tree), text="", published_at=None)
    lines = (line.strip() for line in (found.text or "").splitlines())
    text = "\n".join(line for line in lines if line)[:MAX_TEXT_CHARS]
    return ExtractedPage(
        title=_without_site(found.title or "", found.sitename or "", url)[:MAX_TITLE_CHARS],
        text=text,
        published_at=_midnight(found.date),
        linked=_linked_share(tree, text),
    )


def _tree(body: bytes) -> lxml.html.HtmlElement:
    """Return the parsed page. Raises DecodeError when it is none or has a dangerous shape."""
    from trafilatura import load_html  # noqa: PLC0415 - as above

    if body.count(b"<") > MAX_TAGS:
        raise DecodeError(f"the page has more than {MAX_TAGS} tags")
    for tag in _LONG_TAG.finditer(body):
        if len(_QUOTED.sub(b"", tag.group()).split()) > MAX_ATTRIBUTES:
            raise DecodeError(f"the page has a tag with more than {MAX_ATTRIBUTES} attributes")
    try:
        tree = load_html(body)
    except _EXTRACTOR_FAULTS as e:
        raise DecodeError(f"the page could not be read: {type(e).__name__}") from e
    if tree is None:
        raise DecodeError("the document is not an HTML page")
    if any(len(element) > MAX_CHILDREN for element in tree.iter()):
        raise DecodeError(f"the page has an element with more than {MAX_CHILDREN} children")
    return tree


def _linked_share(tree: lxml.html.HtmlElement, text: str) -> float:
    """Return the share of a text's characters on lines that are, as a whole, links of the page."""
    links = {"".join(link.text_content().split()) for link in tree.iter("a")}
    lines = ["".join(line.split()) for line in text.split("\n")]
    return sum(len(line) for line in lines if line in links) / max(1, sum(map(len, lines)))


def _tag_title(tree: lxml.html.HtmlElement) -> str:
    """Return the text of the title element, which walls and index pages have too."""
    return " ".join((tree.findtext(".//title") or "").split())[:MAX_TITLE_CHARS]


def _without_site(title: str, site: str, url: str) -> str:
    """Return a title without the publisher's name at its end: 'Talks in Moscow | The Post'."""
    title = " ".join(title.split())
    suffix = _SITE_SUFFIX.search(title)
    if not suffix:
        return title
    name = _letters(suffix.group(1))
    is_site = name == _letters(site) or (len(name) > 2 and name in _letters(urlsplit(url).netloc))
    return title[: suffix.start()].rstrip() if name and is_site else title


def _letters(text: str) -> str:
    """Return the letters and digits of a text in lower case: 'The Post' and 'thepost' agree."""
    return "".join(c for c in text.casefold() if c.isalnum())


def _midnight(date: str | None) -> float | None:
    """Return a ``YYYY-MM-DD`` date as Unix seconds of its first moment in UTC, or None."""
    try:
        return datetime.strptime(date or "", "%Y-%m-%d").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
