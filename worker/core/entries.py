"""Who an entry is: canonical addresses, publishers, and the ids that every other room keys by.

Pure. Ids are BLAKE2b digests with a ``person`` each, so that a feed, an entry and an article made
of the same text never share one. Called by steps/poll, steps/replay and the command line.
"""

import re
from collections import Counter, defaultdict
from hashlib import blake2b
from ipaddress import IPv6Address
from urllib.parse import quote, urlsplit, urlunsplit

import idna
from tld import get_fld

from worker.model import ArticleId, Entry, EntryId, Feed, FeedId, ParsedEntry, ParsedFeed

# Longer addresses are refused by browsers and servers alike (RFC 9110 4.1 asks for 8 000 octets).
MAX_URL_CHARS = 8_000
# Clocks of publishers run ahead; beyond ten minutes the date is a plan or a mistake.
MAX_AHEAD_S = 600.0
# Names that only say how a reader came to the page. Sources: the lists of ClearURLs and courlan
# (courlan/clean.py), and BBC's and Al Jazeera's feeds for at_* and traffic_source.
_TRACKING_PREFIXES = ("utm_", "at_", "hsa_", "_hs", "mtm_", "pk_", "mc_", "ns_", "oly_", "vero_")
_TRACKING_NAMES = frozenset(
    "fbclid gclid gclsrc dclid gbraid wbraid msclkid yclid twclid ttclid igshid mkt_tok _openstat "  # noqa: SIM905 - a table
    "cmpid icid ncid ocid xtor ref_src ref_url traffic_source wickedid s_cid _ga _gl".split()
)
# 1994-01-01: the first newspapers came to the web that year; 0001, 1970 and 1980 are defaults.
FIRST_NEWS_AT = 757_382_400.0
_DEFAULT_PORTS = {"http": 80, "https": 443}
_REFUSED = re.compile(r"[\x00-\x1f\x7f\\]")
# What a path or query may hold unescaped (RFC 3986 pchar, "/" and "?"), and "%" itself, so that
# what is escaped already stays as it is.
_SAFE = "%/:@!$&'()*+,;=~?[]|"


def canonical_url(url: str) -> str:
    """Return the one spelling of an http(s) address, or '' when it is not a safe one.

    Lower-case scheme and host, no default port, no fragment, no tracking parameters; path and the
    rest of the query stay as they are. Userinfo, control characters and backslashes are refused:
    parsers disagree about the host of such addresses.
    """
    url = url.strip(" \t\r\n")
    if len(url) > MAX_URL_CHARS or _REFUSED.search(url):
        return ""
    try:
        parts = urlsplit(url)
        port, host = parts.port, _canonical_host(parts.hostname or "")
        path, query = quote(parts.path or "/", safe=_SAFE), quote(parts.query, safe=_SAFE)
    except ValueError:  # bad port, bad brackets, a host that IDNA refuses, a lone surrogate
        return ""
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc or port == 0:
        return ""
    netloc = host if port in (None, _DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    kept = "&".join(p for p in query.split("&") if p and not _is_tracking(p))
    return urlunsplit((scheme, netloc, path, kept, ""))


def _canonical_host(host: str) -> str:
    """Return a host in lower case and ASCII. Raises ValueError when it is not one."""
    host = host.lower()
    if ":" in host and "%" not in host:  # an IPv6 address; urlsplit took its brackets
        return f"[{IPv6Address(host)}]"  # AddressValueError is a ValueError
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode("ascii")  # IDNAError is a ValueError
    host = host.rstrip(".")  # the encoded one: other scripts' full stops are dots by now
    if not host.replace("-", "").replace(".", "").replace("_", "").isalnum() or ".." in host:
        raise ValueError("not a host name")
    return host


def _is_tracking(parameter: str) -> bool:
    """Whether a ``name=value`` only says how the reader came here."""
    name = parameter.partition("=")[0].lower()
    return name in _TRACKING_NAMES or name.startswith(_TRACKING_PREFIXES)


def publisher(url: str) -> str:
    """Return the registrable domain of an address: what counts as one source.

    Names without a public suffix (``outlet.localhost``, an intranet, an IP address) stand for
    themselves. '' when the address has no host.
    """
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
    return get_fld(f"https://{host}/", fail_silently=True) or host if host else ""


def feed_id(url: str) -> FeedId:
    """Return the id of the feed at an address: 12 hex characters."""
    return FeedId(_digest("feed", 6, canonical_url(url) or url))


def entry_id(feed: FeedId, entry: ParsedEntry) -> EntryId:
    """Return the id of an entry of a feed, 16 hex characters: of its guid, else link, else text.

    Source: the fall-back order of RFC 4287 4.2.6.
    """
    if entry.guid:
        return EntryId(_digest("entry", 8, feed, "guid", entry.guid))
    link = canonical_url(entry.url)
    if link:
        return EntryId(_digest("entry", 8, feed, "link", link))
    return EntryId(_digest("entry", 8, feed, "text", entry.title, repr(entry.published_at)))


def article_id(url: str, entry: EntryId) -> ArticleId:
    """Return the id of the article behind a canonical address, or of a linkless entry's own text.

    Two feeds that list one page thus name one article.
    """
    return ArticleId(_digest("article", 8, url or entry))


def article_id_of_record(name: str | int) -> ArticleId:
    """Return the article id of a replayed record, which has a name of its own and no feed."""
    return ArticleId(_digest("record", 8, str(name)))


def entries_of(parsed: ParsedFeed, feed: Feed, now: float) -> tuple[Entry, ...]:
    """Return the ledger entries of one feed document, in its order, each id once.

    Args:
        parsed: the document.
        feed: where it came from.
        now: Unix seconds; becomes ``seen_at``.

    A date that is not believable is dropped as a mistake.
    """
    entries = []
    for key, record in _by_id(parsed, feed).items():
        url = canonical_url(record.url)
        entries.append(
            Entry(
                entry_id=key,
                feed_id=feed.feed_id,
                article_id=article_id(url, key),
                ref=record.guid or url or key,
                url=url,
                title=record.title,
                summary=record.summary,
                source=publisher(url or feed.url),
                published_at=_believable(record.published_at, now),
                seen_at=now,
                updated_at=_believable(record.updated_at, now),
            )
        )
    return tuple(entries)


def contents_of(parsed: ParsedFeed, feed: Feed) -> dict[EntryId, str]:
    """Return the full contents that a document carries, as HTML, by their entries' ids."""
    if not any(record.content for record in parsed.entries):
        return {}
    return {key: record.content for key, record in _by_id(parsed, feed).items() if record.content}


def _by_id(parsed: ParsedFeed, feed: Feed) -> dict[EntryId, ParsedEntry]:
    """Return the records of a document by the ids of their entries; of one id the first."""
    shared = _shared_guids(parsed.entries)
    records: dict[EntryId, ParsedEntry] = {}
    for record in parsed.entries:
        key = entry_id(feed.feed_id, record)
        if record.guid in shared:
            url = canonical_url(record.url)
            key = EntryId(_digest("entry", 8, feed.feed_id, "guid+link", record.guid, url))
        records.setdefault(key, record)
    return records


def _believable(at: float | None, now: float) -> float | None:
    """Return a date, unless it is from before the web had news, or more than ten minutes ahead."""
    return at if at is not None and FIRST_NEWS_AT <= at <= now + MAX_AHEAD_S else None


def _shared_guids(records: tuple[ParsedEntry, ...]) -> frozenset[str]:
    """Return the guids that name different pages in this document, e.g. one guid for all items.

    All sharers then take the link into their id, whichever comes first, so that ids survive a
    change of order.
    """
    counts = Counter(record.guid for record in records)
    links: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.guid and counts[record.guid] > 1:
            links[record.guid].add(canonical_url(record.url))
    return frozenset(guid for guid, urls in links.items() if len(urls) > 1)


def _digest(kind: str, size: int, *parts: str) -> str:
    """Return the hex digest of some texts; the separator keeps ('a', 'bc') from ('ab', 'c')."""
    data = "\x00".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=size, person=kind.encode()).hexdigest()
