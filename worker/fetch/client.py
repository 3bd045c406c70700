"""The way to the network for feeds and pages: a guarded, capped, polite HTTP GET.

One job: an address in, a ``Page`` or a ``FetchError`` out. Every hop of a redirect is vetted like
the first; every wait counts against one deadline, and drips have a shorter one; every byte is counted
decompressed. Called by
steps/poll, steps/pages and fetch/robots.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from worker.core.entries import publisher
from worker.core.redaction import public_part
from worker.core.wishes import refusal_wait_s
from worker.errors import FetchError
from worker.fetch.budget import HostBudget, Turns
from worker.fetch.encoding import ACCEPTED, Body
from worker.fetch.guard import GuardedResolver, is_listed, vet_literal
from worker.fetch.pace import Pace
from worker.model import Page, Scope, Validators

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since Python 3.11

MAX_REDIRECTS = 5  # RFC 9309 2.3.1.2 asks for at least five
MAX_VALIDATOR_BYTES = 1_000  # real ones are under 100; a longer one would be an odd header to echo
_CHUNK_BYTES = 64 * 1024
_CONDITIONAL = frozenset({"If-None-Match", "If-Modified-Since"})
_PERMANENT = frozenset({301, 308})
_REDIRECTS = _PERMANENT | {302, 303, 307}
# How long a connection is kept for the next request, three of the usual gaps. aiohttp's own 15 s would
# keep 4 500 at 300 feeds a second, each on a host of its own; many systems allow a process 1 024 files.
_IDLE_S = 3.0
# Asked of the address of each hop before it is connected to: returns how many seconds its host wants
# between two requests, and raises FetchError when it may not be fetched.
Permit = Callable[[URL], Awaitable[float]]
_PASSING = frozenset({408, 425, 429})  # the 4xx that time cures (RFC 9110 15.5, RFC 6585)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """What the client may do; ``get`` may ask for less."""

    user_agent: str
    connect_timeout_s: float
    total_timeout_s: float
    max_bytes: int  # of a decoded body
    ports: tuple[int, ...] = (80, 443, 8080, 8443)
    allow_private: tuple[str, ...] = ()  # hosts, .suffixes, addresses; any port is open on them
    host_gap_s: float = 1.0
    concurrency: int = 64  # requests in flight, at most one to a host
    scope: Scope = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is wanted of a request, and what it may cost."""

    accept: str  # the Accept header
    max_bytes: int  # of the decoded body; the policy's limit holds too
    timeout_s: float  # wall clock over all hops, waiting for a turn not counted
    cut: bool = False  # take the start of a longer body instead of refusing it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """One ``get``, the same on every hop."""

    url: str
    headers: dict[str, str]
    terms: Terms

    @property
    def conditional(self) -> bool:
        """Whether the server may answer that nothing has changed."""
        return not _CONDITIONAL.isdisjoint(self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redirect:
    """An answer that sends on."""

    target: URL  # vetted
    permanent: bool


class Fetcher:
    """An HTTP client with our rules; use it as ``async with Fetcher(policy) as fetcher``."""

    def __init__(self, policy: FetchPolicy, turns: Turns | None = None) -> None:
        """Set what is allowed, and who else asks the same hosts; None for nobody."""
        self._policy = policy
        self._budget = HostBudget(policy.host_gap_s, time.monotonic, asyncio.sleep, turns=turns)
        self._in_flight = asyncio.Semaphore(policy.concurrency)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Self":
        self._session = guarded_session(self._policy, {"Accept-Encoding": ACCEPTED})
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(
        self,
        url: str,
        terms: Terms,
        *,
        validators: Validators | None = None,
        permit: Permit | None = None,
        feed: str = "",
    ) -> Page:
        """Return the response to a GET: a 2xx, or a 304 with an empty body.

        Args:
            url: an http(s) address without userinfo.
            terms: what is wanted.
            validators: what an earlier response gave; echoed verbatim, or not at all.
            permit: who is asked about each hop, outside the deadline; None for nobody.
            feed: whose document or page it is, where turns are by feed.

        Raises:
            FetchError: no such response; ``permanent`` when asking again would be no use.
        """
        request = _Request(
            url=url,
            headers={"Accept": terms.accept, **_conditions(validators or Validators())},
            terms=replace(terms, max_bytes=min(terms.max_bytes, self._policy.max_bytes)),
        )
        left_s = timeout_s = min(terms.timeout_s, self._policy.total_timeout_s)
        target = self._vetted(url, url)
        moved_to, permanent = "", True
        for _ in range(MAX_REDIRECTS + 1):
            wish_s = await permit(target) if permit else None
            # Each hop takes its own turn: holding one host while waiting for another can deadlock.
            lane = lane_of(target, self._policy, feed)
            async with self._budget.slot(lane, wish_s), self._in_flight:
                started = time.monotonic()
                try:
                    answer = await asyncio.wait_for(self._hop(target, request), left_s)
                except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError) as e:
                    raise FetchError(f"{public_part(str(target))}: {reason(e, timeout_s)}") from e
                left_s -= time.monotonic() - started
            if isinstance(answer, Page):
                return replace(answer, moved_to=moved_to)
            target = answer.target
            permanent = permanent and answer.permanent
            if permanent:
                moved_to = str(target)
        raise FetchError(f"{public_part(url)}: more than {MAX_REDIRECTS} redirects", permanent=True)

    def full_for_s(self, url: str, *, feed: str = "") -> float:
        """Return 0 when a request may wait for its turn, else in how many seconds to come again.

        Args:
            url: of the request.
            feed: as for get.
        """
        try:
            return self._budget.full_for_s(lane_of(URL(url), self._policy, feed))
        except ValueError:  # `get` says what is wrong with it
            return 0.0

    async def _hop(self, target: URL, request: _Request) -> Page | _Redirect:
        """Return the page that one address answers with, or where it sends on."""
        if self._session is None:
            raise FetchError("the client is not open")
        async with self._session.get(
            target, headers=request.headers, allow_redirects=False
        ) as response:
            headers: dict[str, str] = {}
            for name, value in response.headers.items():
                known = headers.get(name.lower())
                headers[name.lower()] = value if known is None else f"{known}, {value}"
            if response.status in _REDIRECTS and "location" in headers:
                location = str(target.join(_parsed(headers["location"])))
                return _Redirect(
                    target=self._vetted(location, request.url),
                    permanent=response.status in _PERMANENT,
                )
            now = time.time()
            wait_s = refusal_wait_s(headers, now, status=response.status)
            _refuse_status(target, response.status, wait_s, request)
            body = b"" if response.status == 304 else await _body(response, request.terms)
        return Page(
            url=request.url,
            final_url=str(target),
            status=response.status,
            headers=headers,
            body=body,
            fetched_at=now,
        )

    def _vetted(self, url: str, asked: str) -> URL:
        """Return an address that may be asked. Raises FetchError when it may not."""
        refused = "the address" if url == asked else f"{public_part(asked)}: the redirect target"
        return vetted(url, self._policy, refused=refused)


def lane_of(target: URL, policy: FetchPolicy, feed: str = "") -> str:
    """Return the name of what a request shares its turn with; ``feed`` is whose request it is."""
    if policy.scope == "feed" and feed:
        return feed
    return publisher(str(target)) if policy.scope == "domain" else target.host or ""


def guarded_session(policy: FetchPolicy, headers: dict[str, str]) -> aiohttp.ClientSession:
    """Return an open session that connects to vetted addresses only, and keeps no cookies.

    It gives bodies as they come, still encoded.

    Args:
        policy: who may be asked, and by whom.
        headers: of every request, beside the policy's User-Agent.
    """
    return aiohttp.ClientSession(
        # No DNS cache: a name is vetted each time that it is connected to. No limit of its own: the
        # callers bound connections.
        connector=aiohttp.TCPConnector(
            resolver=GuardedResolver(policy.allow_private),
            use_dns_cache=False,
            limit=0,
            keepalive_timeout=_IDLE_S,
        ),
        timeout=aiohttp.ClientTimeout(total=None, connect=policy.connect_timeout_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # a proxy from the environment would get round the guard
        auto_decompress=False,
        headers={"User-Agent": policy.user_agent, **headers},
    )


def vetted(url: str, policy: FetchPolicy, *, refused: str) -> URL:
    """Return an address that may be asked, as far as its text tells; its IPs are vetted later.

    Args:
        url: any text.
        policy: which ports and private hosts are open.
        refused: what messages call the address, of which they print no more than its origin.

    Raises:
        FetchError: it may not be asked; permanent.
    """
    try:
        target = _parsed(url)
        port, host = target.port, target.host
    except ValueError as e:
        raise FetchError(f"{refused} is malformed", permanent=True) from e
    if target.scheme not in ("http", "https") or not host:
        raise FetchError(f"{refused} is not http(s): {public_part(url)}", permanent=True)
    if target.user is not None or target.password is not None or "\\" in url:
        raise FetchError(f"{refused} carries a user or '\\': {public_part(url)}", permanent=True)
    if port not in policy.ports and not is_listed(host, policy.allow_private):
        raise FetchError(f"{refused} asks for port {port}: {public_part(url)}", permanent=True)
    vet_literal(host, policy.allow_private)
    return target


def _parsed(url: str) -> URL:
    """Return an address cut into its parts. Raises ValueError when it is none."""
    try:
        return URL(url)
    except IndexError as e:  # yarl 1.25 on http://[]@, where no host follows the user
        raise ValueError("no host") from e


def _conditions(validators: Validators) -> dict[str, str]:
    """Return the conditional headers; validators that could not be a header are dropped."""
    named = {"If-None-Match": validators.etag, "If-Modified-Since": validators.last_modified}
    return {
        name: value
        for name, value in named.items()
        if value and len(value) <= MAX_VALIDATOR_BYTES and not set(value) & set("\r\n\0")
    }


def _refuse_status(target: URL, status: int, retry_s: float | None, request: _Request) -> None:
    """Raise FetchError for every status that is no answer to the request."""
    if 200 <= status <= 299 or (status == 304 and request.conditional):
        return
    what = "304 to a request without conditions" if status == 304 else f"HTTP status {status}"
    raise FetchError(
        f"{public_part(str(target))}: {what}",
        status=status,
        permanent=400 <= status <= 499 and status not in _PASSING,
        retry_after_s=retry_s,
    )


async def _body(response: aiohttp.ClientResponse, terms: Terms) -> bytes:
    """Return the decoded body. Raises FetchError: it is torn, a bomb, too large, or comes too slowly."""
    pace = Pace()
    try:
        encoding = response.headers.get("Content-Encoding", "")
        body = Body(encoding, terms.max_bytes, cut=terms.cut)
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body.feed(chunk)
            if body.is_full:
                response.close()  # release() would keep reading what the server keeps sending
                break
            if not response.content.at_eof():  # what is there is not refused for having been slow
                pace.took(len(chunk), time.monotonic())
        return body.finish()
    except FetchError as e:
        response.close()
        message = f"{public_part(str(response.url))}: {e}"
        raise FetchError(message, status=response.status, permanent=e.permanent) from e


def reason(error: Exception, timeout_s: float) -> str:
    """Return why a request failed, without the address: foreign messages may hold its query."""
    if isinstance(error, aiohttp.ServerTimeoutError):
        return "the connection took too long"
    if isinstance(error, asyncio.TimeoutError):  # before OSError, whose child it is since 3.11
        return f"no complete answer within {timeout_s:g} s"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name was not found"
    if isinstance(error, aiohttp.ClientSSLError):
        return "the TLS connection failed"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"a broken response ({type(error).__name__})"
