"""The way to the network for webhooks and hubs: one guarded POST, whose answer is a status and no more.

A webhook is an operator's, a hub is whom a stranger's feed names. Either address may hold a secret
anywhere behind its host: no message shows more of it than its origin. A webhook's redirects are not
followed: whoever answers there was not chosen. Called by steps/deliver and steps/subscribe.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from worker.core.webhooks import Answer
from worker.core.wishes import retry_after_s
from worker.errors import FetchError
from worker.fetch.budget import HostBudget, Turns
from worker.fetch.client import FetchPolicy, guarded_session, lane_of, reason, vetted

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since Python 3.11

# A short body is read, for only then can the connection be used again; what is longer or late costs
# a new connection.
_BODY_S = 1.0
# A hub may send on to the one that it has become (WebSub section 5.1.2), each step vetted like the first.
MAX_HOPS = 2
_SAME_POST = frozenset({307, 308})


class Poster:
    """An HTTP client that posts; use it as ``async with Poster(policy) as poster``."""

    def __init__(self, policy: FetchPolicy, turns: Turns | None = None) -> None:
        """Say what it may do, and who else asks the hosts of hubs; None for nobody.

        ``max_bytes`` of the policy is how much of an answer's body is read at most.
        """
        self._policy = policy
        self._budget = HostBudget(policy.host_gap_s, time.monotonic, asyncio.sleep, turns=turns)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Self":
        self._session = guarded_session(self._policy, {"Accept-Encoding": "identity"})
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, url: str, body: str, *, key: str) -> Answer:
        """Post a JSON document and return the answer; a failure is one too.

        Args:
            url: an http(s) address without userinfo.
            body: the document.
            key: the Idempotency-Key header, by which the receiver drops what it has.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        try:
            return await self._send(vet(url, self._policy), body, headers)
        except FetchError as e:
            return Answer(status=None, why=str(e))

    async def submit(self, url: str, form: Mapping[str, str]) -> Answer:
        """Post a form when it is the host's turn; return the answer, of which a failure is one.

        Args:
            url: an http(s) address without userinfo, of a host that a stranger may have chosen.
            form: names and values.
        """
        body, headers = urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            target = vet(url, self._policy)
            for _ in range(MAX_HOPS + 1):
                async with self._budget.slot(lane_of(target, self._policy)):
                    answer = await self._send(target, body, headers)
                if not answer.elsewhere:
                    return answer
                target = self._onward(target, answer.elsewhere)
        except FetchError as e:
            return Answer(status=None, why=str(e))
        return Answer(status=answer.status, why=f"more than {MAX_HOPS} redirects")

    def _onward(self, target: URL, location: str) -> URL:
        """Return where a redirect leads. Raises FetchError when that may not be asked."""
        refused = "the redirect target"
        try:
            joined = str(target.join(URL(location)))
        except ValueError as e:
            raise FetchError(f"{refused} is malformed", permanent=True) from e
        return vetted(joined, self._policy, refused=refused)

    async def _send(self, target: URL, body: str, headers: Mapping[str, str]) -> Answer:
        """Send a vetted request within the time that there is. Raises FetchError when not open."""
        timeout_s = self._policy.total_timeout_s
        try:
            return await asyncio.wait_for(self._ask(target, body.encode(), headers), timeout_s)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError) as e:
            return Answer(status=None, why=reason(e, timeout_s))

    async def _ask(self, target: URL, body: bytes, headers: Mapping[str, str]) -> Answer:
        if self._session is None:
            raise FetchError("the client is not open")
        async with self._session.post(
            target, data=body, headers=headers, allow_redirects=False
        ) as response:
            wish = {"retry-after": response.headers.get("Retry-After", "")}
            await self._finish(response)
        return Answer(
            status=response.status,
            why=f"HTTP status {response.status}",
            retry_after_s=retry_after_s(wish, time.time()),
            elsewhere=response.headers.get("Location", "") if response.status in _SAME_POST else "",
        )

    async def _finish(self, response: aiohttp.ClientResponse) -> None:
        """Read a short body to its end, or give the connection up. Fails at nothing."""
        read = 0
        with contextlib.suppress(aiohttp.ClientError, OSError, asyncio.TimeoutError):
            while read <= self._policy.max_bytes:
                some = await asyncio.wait_for(response.content.readany(), _BODY_S)
                if not some:
                    return
                read += len(some)
        response.close()


def vet(url: str, policy: FetchPolicy) -> URL:
    """Return the address of a webhook or hub that may be asked, as far as its text tells.

    Raises:
        FetchError: it may not be asked; the message holds no secret of it.
    """
    return vetted(url, policy, refused="the address")
