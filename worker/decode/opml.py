"""Lists of feeds in and out: OPML, as every reader exports it.

One job: bytes to (address, title) pairs and back. It resolves nothing. Called by the command line
and the web room's import and export.
"""

import re
from collections.abc import Iterable

from lxml import etree

from worker.decode.values import MAX_TITLE_CHARS, clean
from worker.errors import DecodeError
from worker.model import Feed

# The largest of 119 public lists has 482 feeds, another 98 KB; these leave forty times that.
MAX_BYTES = 8 * 1024 * 1024
MAX_FEEDS = 20_000
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_opml(body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the (address, title) pairs of a list of feeds, each address once, in its order.

    Outlines without an http(s) feed address (folders, links) are passed over; ``feed:`` addresses
    are read as http(s). Unescaped ampersands and the like are forgiven.

    Raises:
        DecodeError: not OPML, too large, or with entity declarations of its own.
    """
    if len(body) > MAX_BYTES:
        raise DecodeError(f"the OPML list is larger than {MAX_BYTES} bytes")
    if b"<!ENTITY" in body.replace(b"\0", b"").upper():
        raise DecodeError("the OPML list declares entities")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, recover=True
    )
    try:
        feeds = _listed(etree.fromstring(body, parser))
    except (
        etree.XMLSyntaxError,
        ValueError,
    ) as e:  # ValueError: also a reference to half a character
        raise DecodeError("the OPML list is not XML") from e
    if len(feeds) > MAX_FEEDS:
        raise DecodeError(f"the OPML list has more than {MAX_FEEDS} feeds")
    return tuple(feeds.items())


def _listed(root: etree._Element | None) -> dict[str, str]:
    """Return title by address. Raises DecodeError when it is no OPML, ValueError for what no text is."""
    # No QName: of broken documents it refuses names that the forgiving parser let pass.
    if root is None or str(root.tag).rpartition("}")[2].lower() != "opml":
        raise DecodeError("the document is not an OPML list")
    feeds: dict[str, str] = {}
    for outline in root.iter("{*}outline", "{*}OUTLINE", "{*}Outline"):
        names = {str(name).lower(): str(value) for name, value in outline.attrib.items()}
        url = _feed_url(names.get("xmlurl", ""))
        if url:
            title = clean(names.get("title") or names.get("text") or "")
            feeds.setdefault(url, " ".join(title.split())[:MAX_TITLE_CHARS])
    return feeds


def _feed_url(value: str) -> str:
    """Return an outline's feed address as http(s), or ''."""
    url = value.strip()
    if url.lower().startswith("feed:"):
        rest = url[len("feed:") :]
        url = f"http:{rest}" if rest.startswith("//") else rest
    is_web = url.lower().startswith(("http://", "https://"))
    return url if is_web and url == clean(url) else ""


def write_opml(feeds: Iterable[Feed]) -> bytes:
    """Return a list of feeds as OPML 2.0 in UTF-8, sorted by title.

    Source: opml.org/spec2.opml.
    """
    root = etree.Element("opml", version="2.0")
    head = etree.SubElement(root, "head")
    etree.SubElement(head, "title").text = "samestory feeds"
    listing = etree.SubElement(root, "body")
    for feed in sorted(feeds, key=lambda feed: (feed.title.casefold(), feed.url)):
        name = _NOT_XML.sub("", feed.title or feed.url)
        url = _NOT_XML.sub("", feed.url)
        etree.SubElement(listing, "outline", type="rss", text=name, title=name, xmlUrl=url)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
