"""robots.txt: may this address be fetched by us, and how long between two requests to its host.

One job: give permission, by the file of each origin (RFC 9309). Files come by the same guarded
client as pages and are read in the sandbox. For article pages only: a feed is there to be fetched
by programs, and who follows it asked for it. Called by steps/pages, through fetch/client.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from yarl import URL

from worker.core.redaction import public_part
from worker.core.retry import LONGEST_WISH_S
from worker.decode.sandbox import Sandbox
from worker.errors import DecodeError, FetchError
from worker.fetch.client import Fetcher, Terms
from worker.model import Ruling

MAX_BYTES = 512 * 1024  # RFC 9309 2.5 asks for at least 500 KiB
KEEP_S = 86_400.0  # RFC 9309 2.4: no longer
# A file that is not to be had is asked for again, at most once a minute for all pages of its origin.
# So an entry's five attempts take four minutes, more than a server needs to start again; RFC 2308 7
# bounds the same thing for DNS, the memory of a server's failure, at five.
AGAIN_S = 60.0
# Apache Nutch's limit (fetcher.max.crawl.delay), beyond which it skips the page; we wait so long.
MAX_DELAY_S = 30.0
# 5 000 origins with files of 2 kB, or 31 with the longest; what was not needed for longest goes.
_ROOM_BYTES = 16 * 2**20
_ORIGIN_BYTES = 1_024  # for one, beside its file
_ACCEPT = "text/plain, */*;q=0.1"


@dataclass(slots=True)
class _Site:
    """What is known of one origin."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0  # that hold the lock or wait for it
    file: bytes = b""  # empty: everything is allowed
    refusal: str = ""  # why there is no file to go by, and nothing allowed; or empty
    until: float = -math.inf  # when it is asked for again


class Robots:
    """Knows the robots.txt of the origins that pages are fetched from."""

    def __init__(
        self,
        *,
        fetcher: Fetcher,
        sandbox: Sandbox,
        token: str,
        timeout_s: float,
        clock: Callable[[], float],
    ) -> None:
        """Set by what and for whom files are read.

        Args:
            fetcher: brings them.
            sandbox: reads them.
            token: our product token (RFC 9309 2.2.1).
            timeout_s: wall clock for one file, redirects included.
            clock: must not run backwards.
        """
        self._fetcher = fetcher
        self._sandbox = sandbox
        self._token = token
        self._terms = Terms(accept=_ACCEPT, max_bytes=MAX_BYTES, timeout_s=timeout_s, cut=True)
        self._clock = clock
        self._sites: dict[URL, _Site] = {}

    def __len__(self) -> int:
        """Return the number of origins remembered."""
        return len(self._sites)

    async def permit(self, url: URL) -> float:
        """Return how many seconds the site of an address wants between requests; 0 for no wish.

        Raises:
            FetchError: the file forbids the address (permanent); or there is none to go by for now.
        Cost: one request a day and origin, then nothing without a file, or half a millisecond here
            and .3 to 1.4 ms in a child (files of 2 and 50 kB).
        """
        origin = url.origin()
        site = self._sites[origin] = self._sites.pop(origin, _Site())  # the last needed stands last
        site.users += 1
        try:
            async with site.lock:  # many pages of one origin come at once
                if site.until <= self._clock():
                    await self._renew(origin, site)
                ruling = await self._ruling(url, site)
        finally:
            site.users -= 1
        if not ruling.allowed:
            raise FetchError(
                f"{public_part(str(url))}: the robots.txt of {url.host} forbids it to '{self._token}'",
                permanent=True,
            )
        return min(ruling.delay_s, MAX_DELAY_S)

    async def _renew(self, origin: URL, site: _Site) -> None:
        """Ask an origin for its file; whatever comes of it is known then for a while."""
        file, refusal, keep_s = b"", "", KEEP_S
        try:
            page = await self._fetcher.get(str(origin / "robots.txt"), self._terms)
            file = _whole_lines(page.body)
        except FetchError as e:
            # 4xx: there is no file (2.3.1.3). Those that pass, 429 first of all, are no such answer:
            # like 5xx and silence they forbid everything (2.3.1.4).
            if not (e.permanent and 400 <= (e.status or 0) <= 499):
                refusal = str(e)
                keep_s = max(AGAIN_S, min(e.retry_after_s or 0.0, LONGEST_WISH_S))
        site.file, site.refusal, site.until = file, refusal, self._clock() + keep_s
        self._forget()

    async def _ruling(self, url: URL, site: _Site) -> Ruling:
        """Return what a site's file says of an address. Raises FetchError when there is none."""
        if site.file:
            try:
                return await self._sandbox.judge(site.file, str(url), self._token)
            except DecodeError as e:
                site.file, site.refusal, site.until = b"", str(e), self._clock() + AGAIN_S
        if site.refusal:
            raise FetchError(
                f"{public_part(str(url))}: not fetched without a robots.txt to go by ({site.refusal})",
                retry_after_s=site.until - self._clock(),
            )
        return Ruling(allowed=True, delay_s=0.0)

    def _forget(self) -> None:
        """Drop the origins that were not needed for longest, until the rest fits.

        Cost: O(origins), once for each file that is asked for.
        """
        room = sum(_ORIGIN_BYTES + len(site.file) for site in self._sites.values())
        for origin, site in list(self._sites.items()):
            if room <= _ROOM_BYTES:
                return
            if not site.users:
                room -= _ORIGIN_BYTES + len(site.file)
                del self._sites[origin]


def _whole_lines(body: bytes) -> bytes:
    """Return a file without the line that it was cut in: '/a/b' cut to '/' would forbid all."""
    if len(body) < MAX_BYTES:
        return body
    return body[: max(body.rfind(b"\n"), body.rfind(b"\r")) + 1]
