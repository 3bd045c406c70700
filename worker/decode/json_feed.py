"""JSON Feed documents (versions 1 and 1.1) to values. Source: jsonfeed.org/version/1.1.

Called by decode/document; to run inside decode/sandbox.
"""

import json
from collections.abc import Iterator
from typing import Any

from worker.decode.dates import moment
from worker.decode.values import (
    MAX_ENTRIES,
    MAX_GUID_CHARS,
    MAX_SUMMARY_CHARS,
    MAX_TITLE_CHARS,
    clean,
    full_content,
    lines,
    plain_text,
    public_address,
    web_address,
)
from worker.errors import DecodeError
from worker.model import ParsedEntry, ParsedFeed

_VERSIONS = "https://jsonfeed.org/version/"
_WEBSUB = frozenset({"websub", "pubsubhubbub"})  # its name until 2017
MAX_HUBS = 32


def parse_json_feed(body: bytes, *, url: str, content_chars: int = 0) -> ParsedFeed:
    """Return what a JSON Feed says.

    Args:
        body: UTF-8, UTF-16 or UTF-32, with a byte order mark or without.
        url: the address that answered; relative links are resolved against it.
        content_chars: full contents with as much text are kept as HTML; 0: none.

    Raises:
        DecodeError: not JSON, or not a JSON Feed.
    Cost: linear.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as e:  # ValueError: also UnicodeDecodeError, huge integers
        raise DecodeError("the document is not JSON that can be read") from e
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(version, str) or not version.startswith(_VERSIONS):
        raise DecodeError("the document is JSON, but no JSON Feed")
    listed = document.get("items")
    items = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    if len(items) > MAX_ENTRIES:
        items = sorted(items, key=lambda item: _published_at(item) or 0.0, reverse=True)
    return ParsedFeed(
        title=plain_text(_text(document, "title"), MAX_TITLE_CHARS, one_line=True),
        entries=tuple(_entry(item, url, content_chars) for item in items[:MAX_ENTRIES]),
        hub=public_address(_hubs(document), url),
        topic=public_address([_text(document, "feed_url")], url),
    )


def _hubs(document: dict[str, Any]) -> Iterator[str]:
    """Yield the addresses of the first hubs that speak WebSub; others are for rssCloud."""
    listed = document.get("hubs")
    for hub in listed[:MAX_HUBS] if isinstance(listed, list) else ():
        if isinstance(hub, dict) and _text(hub, "type").lower() in _WEBSUB:
            yield _text(hub, "url")


def _entry(item: dict[str, Any], base: str, content_chars: int) -> ParsedEntry:
    number = item.get("id")  # a string, says the format; some have numbers
    guid = str(number) if isinstance(number, int | float) else _text(item, "id")
    texts = (
        plain_text(_text(item, "content_html"), MAX_SUMMARY_CHARS),
        _plain(_text(item, "content_text")),
        plain_text(_text(item, "summary"), MAX_SUMMARY_CHARS),
    )
    return ParsedEntry(
        guid=clean(guid).strip()[:MAX_GUID_CHARS],
        url=web_address([_text(item, "url"), _text(item, "external_url"), guid], base),
        title=plain_text(_text(item, "title"), MAX_TITLE_CHARS, one_line=True),
        summary=max(texts, key=len),
        published_at=_published_at(item),
        content=full_content([item.get("content_html")], content_chars),
        updated_at=moment(_text(item, "date_modified")),
    )


def _published_at(item: dict[str, Any]) -> float | None:
    return moment(_text(item, "date_published")) or moment(_text(item, "date_modified"))


def _plain(text: str) -> str:
    """Return a text that is no markup: "<" and "&" in it are what they look like."""
    return "\n".join(lines(clean(text[:MAX_SUMMARY_CHARS])))


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""
