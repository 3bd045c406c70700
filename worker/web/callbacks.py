"""The addresses that WebSub hubs call: HTTP in, steps/callbacks asked, HTTP out.

The only part of the web role that is meant for strangers. Whoever does not know a callback learns
nothing from it, and a push that is ignored is answered like one that counts.
"""

from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.requests import ClientDisconnect

from worker.core.websub import PATH, Push
from worker.errors import StoreError
from worker.steps.callbacks import Callbacks

CALLBACK = PATH + "/{feed}/{token}"
_CLOSE = {"Connection": "close"}  # what is left of the body need not come
_AWAY = 503  # the hub may try again


async def _body(request: Request) -> AsyncIterator[bytes]:
    """Yield a body as it comes. Raises ConnectionError when it breaks off."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as e:
        raise ConnectionError from e


def add_callbacks(app: FastAPI, callbacks: Callbacks) -> None:
    """Let an application answer hubs."""

    @app.get(CALLBACK)
    def confirm(feed: str, token: str, request: Request) -> Response:
        """Echo the challenge of a hub that does what we asked for."""
        try:
            echo = callbacks.confirm(feed, token, request.query_params)
        except StoreError:
            return Response(status_code=_AWAY)
        if echo is None:
            return Response(status_code=404)
        # A stranger's text under our address: nothing may take it for a page (section 5.3).
        return PlainTextResponse(echo, headers={"X-Content-Type-Options": "nosniff"})

    @app.post(CALLBACK)
    async def push(feed: str, token: str, request: Request) -> Response:
        """Take a push: 410 to an address that is nobody's, 202 whatever becomes of it."""
        signature = request.headers.get("X-Hub-Signature", "")
        try:
            done = await callbacks.push(feed, token, signature, _body(request))
        except StoreError:
            return Response(status_code=_AWAY, headers=_CLOSE)
        status = 410 if done is Push.UNKNOWN else 202
        return Response(status_code=status, headers={} if done.was_read else _CLOSE)
