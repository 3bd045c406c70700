"""News sitemaps to values: for publishers that keep no feed, the list of their last two days.

Source: sitemaps.org/protocol.html and Google's news extension. Called by decode/document; to run
inside decode/sandbox.
"""

import re

from lxml import etree

from worker.decode.dates import moment
from worker.decode.values import MAX_ENTRIES, MAX_TITLE_CHARS, plain_text, web_address
from worker.errors import DecodeError
from worker.model import ParsedEntry, ParsedFeed

# The first element, behind marks and a prolog. As in decode/feed, each alternative can match in one
# way only.
_ROOT = re.compile(
    rb"[\xef\xbb\xbf\xff\xfe]*(?:<\?[^>]*>|<!--(?:[^-]|-(?!->))*-->|\s)*"
    rb"<(?:[\w.-]+:)?(urlset|sitemapindex)[\s>]"
)
_FIRST_BYTES = 8_192  # a prolog with comments and a style sheet is under 1 kB


def is_sitemap(body: bytes) -> bool:
    """Whether a document begins as a sitemap or a list of sitemaps does."""
    return _root(body) is not None


def parse_sitemap(body: bytes, *, url: str) -> ParsedFeed:
    """Return the news that a sitemap lists, the newest 1 000.

    Addresses without a `news:news` are a site's pages, not its news, and are left out. Namespaces are
    not looked at: some say https where the protocol says http.

    Args:
        body: XML.
        url: the address that answered.

    Raises:
        DecodeError: broken, a list of sitemaps, or without news.
    Cost: linear.
    """
    if _root(body) == b"sitemapindex":
        raise DecodeError("the document lists sitemaps; follow the one of them that has the news")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    try:
        name, entries = _read(etree.fromstring(body, parser), url)
    except (etree.LxmlError, ValueError) as e:  # ValueError: also a reference to half a character
        raise DecodeError("the sitemap is not well-formed") from e
    if not entries:
        raise DecodeError("the sitemap lists no news")
    if len(entries) > MAX_ENTRIES:
        entries.sort(key=lambda entry: entry.published_at or 0.0, reverse=True)
    return ParsedFeed(title=name, entries=tuple(entries[:MAX_ENTRIES]))


def _read(tree: etree._Element | None, base: str) -> tuple[str, list[ParsedEntry]]:
    """Return the publication's name and its news. Raises ValueError where there is no text."""
    if tree is None:
        return "", []
    name = tree.findtext("{*}url/{*}news/{*}publication/{*}name")
    listed = (page for page in tree.iterfind("{*}url") if page.find("{*}news") is not None)
    entries = [_entry(page, base) for page in listed]
    return plain_text(name, MAX_TITLE_CHARS, one_line=True), entries


def _entry(page: etree._Element, base: str) -> ParsedEntry:
    address = web_address([page.findtext("{*}loc")], base)
    return ParsedEntry(
        guid=address,
        url=address,
        title=plain_text(page.findtext("{*}news/{*}title"), MAX_TITLE_CHARS, one_line=True),
        summary="",
        published_at=moment(page.findtext("{*}news/{*}publication_date") or ""),
    )


def _root(body: bytes) -> bytes | None:
    """Return the name of the root element where it is one of the two."""
    found = _ROOT.match(body[:_FIRST_BYTES].replace(b"\0", b""))  # UTF-16, seen as ASCII
    return found[1] if found else None
