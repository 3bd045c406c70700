"""Which hub tells of a feed's changes: by the Link headers of its response, else by its document.

One job: strangers' links in, a ``Topic`` or nothing out. Called by steps/poll.
"""

import re
from collections.abc import Iterator

from worker.core.websub import Topic
from worker.decode.values import public_address
from worker.model import Page, ParsedFeed

# Of all Link headers together: a server's own limit for one is about twice as much.
MAX_HEADER_CHARS = 4_000
# RFC 8288 3: <target>; name=value; ... What stands between two targets are parameters of the first.
_LINK = re.compile(r"<([^<>]*)>([^<>]*)")
_RELATION = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)
_ANCHOR = re.compile(r";\s*anchor\s*=", re.IGNORECASE)  # a link of some other document


def topic_of(page: Page, parsed: ParsedFeed) -> Topic | None:
    """Return by what hub, under what address a feed's changes are told; None for by none.

    Headers go before the document (WebSub section 4). Of several hubs the first counts: each is told
    of every change.

    Args:
        page: the response.
        parsed: what its body says.
    """
    links = list(_links(page.headers.get("link", "")))

    def named(relation: str) -> str:
        targets = (target for target, relations in links if relation in relations)
        return public_address(targets, page.final_url)

    hub, url = named("hub") or parsed.hub, named("self") or parsed.topic
    return Topic(hub=hub, url=url) if hub and url else None


def _links(header: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the target and the relations of each link. Cost: linear."""
    for found in _LINK.finditer(header[:MAX_HEADER_CHARS]):
        relation = _RELATION.search(found[2])
        if relation and not _ANCHOR.search(found[2]):
            yield found[1], (relation[1] or relation[2] or "").lower().split()
