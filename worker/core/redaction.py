"""What may be told of an address where strangers or archives may read it: its origin.

Pure. Feeds for subscribers and webhooks carry keys in their query or anywhere in their path, and
nothing tells such a key from a word. Called by all that logs, or keeps a message.
"""

import re
from urllib.parse import urlsplit

# A scheme that may be of any length would be looked for anew from each letter of a long word.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{0,30}:/[^\s\"'<>]+", re.IGNORECASE)


def public_part(url: str) -> str:
    """Return an address without its secrets, which may be anywhere behind the host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    if not parts.netloc:
        return "…"
    host = parts.netloc.rpartition("@")[2]
    more = "/…" if parts.path.strip("/") or parts.query or parts.fragment else ""
    return f"{parts.scheme}://{host}{more}"


def redacted(text: str) -> str:
    """Return a message in which every address is cut to its origin."""
    return _ADDRESS.sub(lambda found: public_part(found[0]), text)
