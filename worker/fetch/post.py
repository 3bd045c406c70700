"""The way to the network for webhooks: one guarded POST, whose answer is a status and no more.

The address is an operator's, and may hold a secret anywhere behind its host: no message shows more
of it than its origin. Redirects are not followed: whoever answers there was not chosen. Called by
steps/deliver.
"""

import asyncio
import contextlib
import time
from types import TracebackType
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from worker.core.webhooks import Answer
from worker.core.wishes import retry_after_s
from worker.errors import FetchError
from worker.fetch.client import FetchPolicy, guarded_session, reason, vetted

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since Python 3.11

# A short body is read, for only then can the connection be used again; what is longer or late costs
# a new connection.
_BODY_S = 1.0


class Poster:
    """An HTTP client that posts JSON; use it as ``async with Poster(policy) as poster``."""

    def __init__(self, policy: FetchPolicy) -> None:
        """Say what it may do; ``max_bytes`` is how much of an answer's body is read at most."""
        self._policy = policy
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Self":
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        self._session = guarded_session(self._policy, headers)
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
        timeout_s = self._policy.total_timeout_s
        try:
            target = vet(url, self._policy)
            return await asyncio.wait_for(self._send(target, body.encode(), key), timeout_s)
        except FetchError as e:
            return Answer(status=None, why=str(e))
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError) as e:
            return Answer(status=None, why=reason(e, timeout_s))

    async def _send(self, target: URL, body: bytes, key: str) -> Answer:
        if self._session is None:
            raise FetchError("the client is not open")
        headers = {"Idempotency-Key": key}
        async with self._session.post(
            target, data=body, headers=headers, allow_redirects=False
        ) as response:
            wish = {"retry-after": response.headers.get("Retry-After", "")}
            await self._finish(response)
        return Answer(
            status=response.status,
            why=f"HTTP status {response.status}",
            retry_after_s=retry_after_s(wish, time.time()),
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
    """Return the address of a webhook that may be asked, as far as its text tells.

    Raises:
        FetchError: it may not be asked; the message holds no secret of it.
    """
    return vetted(url, policy, refused="the address")
