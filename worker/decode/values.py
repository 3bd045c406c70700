"""What every format of feed holds, as values: plain text and addresses.

One job: strangers' strings in, short and clean ones out. Called by the decoders of the formats.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import lxml.html
from lxml import etree

# 100 000 items cost 40 s; the newest thousand are news enough.
MAX_ENTRIES = 1_000
# Full-content feeds carry whole articles; 50 000 characters are five long ones.
MAX_SUMMARY_CHARS = 50_000
MAX_MARKUP_CHARS = 4 * MAX_SUMMARY_CHARS  # what is given to the HTML parser to find them
MAX_TITLE_CHARS = 500
MAX_GUID_CHARS = 2_000
MAX_URL_CHARS = 8_000  # as in core/entries
MAX_PUBLIC_CHARS = 2_000  # of an address kept with a feed; hubs and feeds have some 50

# Controls, halves of surrogate pairs, non-characters and the bidi overrides, which can make a title
# read as something else. Tabs and line ends go with the other white space.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f"
    "\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_BLOCKS = frozenset(
    "address article blockquote br dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header "  # noqa: SIM905 - a table
    "hr li ol p pre section table td th tr ul".split()
)


def plain_text(value: Any, limit: int, *, one_line: bool = False) -> str:
    """Return the text of a piece of HTML: no tags, entities read, each block on its own line."""
    text = clean(str(value or "")[:MAX_MARKUP_CHARS])
    if "<" in text or "&" in text:
        text = clean(_without_tags(text))
    return (" " if one_line else "\n").join(lines(text))[:limit].strip()


def full_content(candidates: Iterable[Any], least_chars: int) -> str:
    """Return the first of some pieces of HTML that is a whole article's, else ''.

    Args:
        candidates: what is no text is passed over, and so is what would have to be cut.
        least_chars: of text that there must be; 0 takes none.
    """
    for markup in candidates if least_chars else ():
        is_markup = isinstance(markup, str) and least_chars <= len(markup) <= MAX_MARKUP_CHARS
        if is_markup and len(plain_text(markup, MAX_SUMMARY_CHARS)) >= least_chars:
            return clean(markup)
    return ""


def lines(text: str) -> Iterator[str]:
    """Yield the lines of a text that have something in them, white space made one blank."""
    squeezed = (" ".join(line.split()) for line in text.splitlines())
    return (line for line in squeezed if line)


def _without_tags(markup: str) -> str:
    """Return the text nodes of a piece of HTML, without scripts, styles and comments."""
    try:
        tree = lxml.html.document_fromstring(f"<div>{markup}</div>")
    except (etree.LxmlError, ValueError):
        return ""  # nothing but comments, or a document that libxml2 gave up
    etree.strip_elements(tree, "script", "style", etree.Comment, with_tail=False)
    for element in tree.iter(*_BLOCKS):
        # Character references bring in controls that lxml gives out but does not take back.
        element.text = "\n" + clean(element.text or "")
        element.tail = "\n" + clean(element.tail or "")
    return str(tree.xpath("string()"))


def clean(text: str) -> str:
    """Return a text without characters that no text should have."""
    return _UNWANTED.sub("", text)


def web_address(candidates: Iterable[object], base: str) -> str:
    """Return the first of some texts that is an http(s) address, made absolute; else ''."""
    for candidate in candidates:
        if not candidate:
            continue
        try:
            url = urljoin(base, str(candidate).strip())
            parts = urlsplit(url)
        except ValueError:
            continue
        is_web = parts.scheme in ("http", "https") and bool(parts.netloc)
        if is_web and len(url) <= MAX_URL_CHARS and not _UNWANTED.search(url):
            return url
    return ""


def public_address(candidates: Iterable[object], base: str) -> str:
    """Return the first of some texts that is an address to be passed on to others; else ''.

    That is one as `web_address` gives it, short, and without a user or a password.
    """
    for candidate in candidates:
        url = web_address([candidate], base)
        if url and len(url) <= MAX_PUBLIC_CHARS and "@" not in urlsplit(url).netloc:
            return url
    return ""
