"""What a feed's address may answer with, to values: RSS, Atom and RDF, JSON Feed, news sitemaps.

One job: tell the format by the document's first characters and hand it to its decoder. What a
server calls it counts for nothing: half of them say text/html or text/xml of everything. To run inside
decode/sandbox, like its decoders.
"""

from worker.decode.feed import parse_feed
from worker.decode.json_feed import parse_json_feed
from worker.decode.sitemap import is_sitemap, parse_sitemap
from worker.model import ParsedFeed

_MARKS_AND_SPACE = b"\xef\xbb\xbf\xff\xfe \t\r\n\0"  # byte order marks, and UTF-16's halves


def parse_document(
    body: bytes, *, url: str, content_type: str = "", content_chars: int = 0
) -> ParsedFeed:
    """Return what a document of any of the formats says, as plain text and absolute addresses.

    Args:
        body: decoded from its Content-Encoding, not from its character set.
        url: the address that answered; relative links are resolved against it.
        content_type: the response header; names the character set.
        content_chars: full contents with as much text are kept as HTML; 0: none.

    Raises:
        DecodeError: none of the formats, too dangerous to parse, or so broken that no entry is left.
    """
    if body[:4096].lstrip(_MARKS_AND_SPACE).startswith(b"{"):
        return parse_json_feed(body, url=url, content_chars=content_chars)
    if is_sitemap(body):
        return parse_sitemap(body, url=url)
    return parse_feed(body, url=url, content_type=content_type, content_chars=content_chars)
