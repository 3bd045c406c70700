"""Fetched pages to main text: trafilatura behind a cheap look at the page's shape.

One job: bytes of HTML in, ``ExtractedPage`` out. It never fetches, and it keeps no state from
page to page: trafilatura's ``deduplicate`` would lose the text of a page seen before, and a kept
``Extractor`` the dates of tomorrow. Called by steps/ingest inside a killable process: some pages
cost trafilatura minutes of CPU.
"""

import re
from typing import Any
from urllib.parse import urlsplit

import lxml.html
from lxml import etree

from worker.decode.values import MAX_TITLE_CHARS, clean, lines
from worker.errors import DecodeError
from worker.model import ExtractedPage

# Limits of shape, measured: past these, cost grows with the square of size
# (20 000 children: 40 s, 5 000: 0.7 s). 180 real pages of the scrapinghub article benchmark had
# 3 229 tags, 258 children and 187 attributes at most.
MAX_TAGS = 50_000
# In one element, or spread over several in such a way that the squares have the same sum: nine of
# 4 900 took 11 s, six of 4 000 took 5 s.
MAX_CHILDREN = 5_000
MAX_ATTRIBUTES = 500
MAX_TEXT_CHARS = 500_000  # a long novel's length; sizes everything that comes after
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
# A paragraph shorter than this is a caption, a byline or an entry of a menu.
_PARAGRAPH_CHARS = 40
_LEAST_OF_PARAGRAPHS = 0.25  # see `_is_poor`
_LEAST_IN_PARAGRAPHS = 0.1

# References to controls and non-characters, of which a single one costs trafilatura the whole text: lxml
# reads them and does not take them back. As bytes they do no harm.
_NO_CHARACTER = re.compile(
    rb"&#(?:0*(?:[1-8]|1[124-9]|2\d|3[01]|6553[45])|x0*(?:[1-8bcef]|1[0-9a-f]|fff[ef]))(?![0-9a-f]);?",
    re.IGNORECASE,
)
_QUOTED = re.compile(rb""""[^"]*"|'[^']*'""")
_SITE_SUFFIX = re.compile(r"\s+(?:[|\u2013\u2014\u00b7\u2022\u00bb]|-|::)\s+([^|]+)$")


def extract_page(body: bytes, *, url: str) -> ExtractedPage:
    """Return the main text of a page, paragraphs joined by newlines.

    trafilatura's fast extraction is taken where it agrees with the page's paragraphs, its slower
    comparison with other extractors where it does not: see `_is_poor`.

    Args:
        body: the page, decoded from its Content-Encoding only.
        url: the address that answered; helps to tell the site's name from the title.

    Returns:
        A page with an empty text when no main text was found.

    Raises:
        DecodeError: not HTML, of a shape that costs too much, or the extractor failed.
    Cost: CPU 30 ms, mean of 181 real pages (174 KB each), where trafilatura's default takes 40 ms for
    the text and 55 ms with metadata.
    """
    tree = _tree(body)
    try:
        text = _main_text(tree, url)
        title = _title(tree, url)
    except _EXTRACTOR_FAULTS as e:
        raise DecodeError(f"the page could not be read: {type(e).__name__}") from e
    return ExtractedPage(title=title, text=text, linked=_linked_share(tree, text))


def _main_text(tree: lxml.html.HtmlElement, url: str) -> str:
    """Return the main text as fast as it can be had well, one line a paragraph."""
    text = _fast_text(tree, url)
    return _full_text(tree, url) if _is_poor(text, tree) else text


def _fast_text(tree: lxml.html.HtmlElement, url: str) -> str:
    """Return what trafilatura's own rules find, without a second try or a second opinion."""
    from trafilatura.settings import Extractor  # noqa: PLC0415 - slow to import; few need it

    options = Extractor(output_format="python", comments=False, fast=True, url=url)
    # Neither precision nor recall, and not 'balanced' either, which measures the whole page and may
    # start over: a sixth of the time, for what `_is_poor` tells from the paragraphs.
    options.focus = "once"
    return _extracted(tree, url, options)


def _full_text(tree: lxml.html.HtmlElement, url: str) -> str:
    """Return what trafilatura's rules and two other extractors agree on."""
    from trafilatura.settings import Extractor  # noqa: PLC0415 - as above

    return _extracted(tree, url, Extractor(output_format="python", comments=False, url=url))


def _extracted(tree: lxml.html.HtmlElement, url: str, options: Any) -> str:
    from trafilatura import bare_extraction  # noqa: PLC0415 - as above
    from trafilatura.settings import Document  # noqa: PLC0415 - as above

    found = bare_extraction(tree, url=url, options=options)
    if not isinstance(found, Document):
        return ""
    return "\n".join(lines(clean(found.text or "")))[:MAX_TEXT_CHARS]


def _is_poor(text: str, tree: lxml.html.HtmlElement) -> bool:
    """Say whether a fast result contradicts the page's own markup of paragraphs.

    Articles are written in paragraphs, and most pages have others beside them. A result with less
    than a quarter of that text has lost the article; one of which all paragraphs together are less
    than a tenth was taken from somewhere else. Of 181 real pages 12 are like that. Token F1 against
    their gold text: .962; .961 with the fast result always, .959 with the full one always. The
    bounds matter little: .2 to .5 and .05 to .25 give .962 to .966.
    """
    lengths = (len(" ".join("".join(p.itertext()).split())) for p in tree.iter("p"))
    in_paragraphs = sum(length for length in lengths if length >= _PARAGRAPH_CHARS)
    lost = len(text) < _LEAST_OF_PARAGRAPHS * in_paragraphs
    return lost or in_paragraphs <= _LEAST_IN_PARAGRAPHS * len(text)


def _tree(body: bytes) -> lxml.html.HtmlElement:
    """Return the parsed page. Raises DecodeError when it is none or has a dangerous shape."""
    from trafilatura import load_html  # noqa: PLC0415 - as above

    tags = body.count(b"<")
    if tags > MAX_TAGS:
        raise DecodeError(f"the page has more than {MAX_TAGS} tags")
    for part in body.split(b"<"):  # a regular expression for long tags took a tenth of all time
        if len(part) > _SHORTEST_CROWDED_TAG and part[:1].isalpha():
            tag = part.partition(b">")[0]
            if len(_QUOTED.sub(b"", tag).split()) > MAX_ATTRIBUTES:
                raise DecodeError(f"the page has a tag with more than {MAX_ATTRIBUTES} attributes")
    try:
        # Nothing is decompressed here: what was counted has to be what is parsed.
        tree = load_html(_NO_CHARACTER.sub(b"", body), max_size=0)
    except _EXTRACTOR_FAULTS as e:
        raise DecodeError(f"the page could not be read: {type(e).__name__}") from e
    if tree is None:
        raise DecodeError("the document is not an HTML page")
    if tags > MAX_CHILDREN and sum(len(e) ** 2 for e in tree.iter()) > MAX_CHILDREN**2:
        raise DecodeError(
            f"the page has an element with more than {MAX_CHILDREN} children, or many"
        )
    return tree


def _linked_share(tree: lxml.html.HtmlElement, text: str) -> float:
    """Return the share of a text's characters on lines that are, as a whole, links of the page."""
    links = {"".join(link.text_content().split()) for link in tree.iter("a")}
    lines = ["".join(line.split()) for line in text.split("\n")]
    return sum(len(line) for line in lines if line in links) / max(1, sum(map(len, lines)))


def _title(tree: lxml.html.HtmlElement, url: str) -> str:
    """Return the headline, without the site's name.

    Of trafilatura's metadata only what this takes: its search for dates, authors and tags costs as
    much as the text, and a forked process pays seconds for the first date that htmldate has to
    guess. On 181 pages the titles are the same.
    """
    from trafilatura.metadata import (  # noqa: PLC0415 - as above
        examine_meta,
        extract_sitename,
        extract_title,
    )

    meta = examine_meta(tree)
    title = meta.title or extract_title(tree) or ""
    site = meta.sitename or extract_sitename(tree) or ""
    return _without_site(title, site, url)[:MAX_TITLE_CHARS]


def _without_site(title: str, site: str, url: str) -> str:
    """Return a title without the publisher's name at its end: 'Talks in Moscow | The Post'."""
    title = " ".join(clean(title).split())
    suffix = _SITE_SUFFIX.search(title)
    if not suffix:
        return title
    name = _letters(suffix.group(1))
    is_site = name == _letters(site) or (len(name) > 2 and name in _letters(urlsplit(url).netloc))
    return title[: suffix.start()].rstrip() if name and is_site else title


def _letters(text: str) -> str:
    """Return the letters and digits of a text in lower case: 'The Post' and 'thepost' agree."""
    return "".join(c for c in text.casefold() if c.isalnum())
