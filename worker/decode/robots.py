"""protego wrapped: may we fetch an address, by the robots.txt of its site (RFC 9309).

Reading costs up to the product of user agents and rules, matching that of rules and the address, so
this runs in a child of decode/sandbox. Called by it alone.
"""

from functools import lru_cache

from protego import Protego

from worker.model import Ruling

# Reading takes 1 ms for 2 kB and 20 ms for 50 kB, asking what was read .04 and .5 ms. So the last
# files are kept as read: 32 of 62 kB take 45 MB. Hostile ones may take more than a child is allowed:
# it then ends with an error, and the next child has kept nothing.
_KEPT = 32
_KEPT_BYTES = 64 * 1024


def judge(body: bytes, *, url: str, token: str) -> Ruling:
    """Return what a robots.txt says of an address of its site.

    Args:
        body: the file, in UTF-8; what is not UTF-8, or no rule, says nothing.
        url: absolute, percent-encoded.
        token: our product token; rules for ``*`` count when there are none for it.
    """
    rules = _kept(body) if len(body) <= _KEPT_BYTES else _read(body)
    return Ruling(
        allowed=rules.can_fetch(url, token), delay_s=float(rules.crawl_delay(token) or 0.0)
    )


def _read(body: bytes) -> Protego:
    return Protego.parse(body.decode("utf-8-sig", "replace"))


_kept = lru_cache(maxsize=_KEPT)(_read)
