"""Around the page: which paths are answered, to whom, how large a request may be; what a browser may fetch.

Gradio answers more than this page needs (a proxy, a schema of its functions, its own run history), so what is
answered is listed here and all else is not found.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from knowclip.serving.hosts import LOOPBACK, check_host, check_origin, header
from knowclip.serving.limits import Limits, RefusedError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ANSWERED = re.compile(
    r"/(?:|config|theme\.css|favicon\.ico|robots\.txt|(?:assets|static|svelte)/.+"
    r"|gradio_api/(?:app_id|startup-events|upload|upload_progress|reset|cancel|heartbeat/\w+|file=.+"
    r"|queue/(?:join|data)))/?"
)
"""Paths that the page's own files, its events and its uploads need. What ``file=`` may give Gradio checks: of
the folders on this machine only that of its uploads, since no other is allowed."""

HEADERS = {
    b"content-security-policy": (
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        b"connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
        b"form-action 'self'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}
"""Of every answer: whatever a page of ours holds, the browser fetches nothing from outside."""


class Fence:
    """ASGI middleware.

    Args:
        app: The page.
        limits: Of the bytes of a request.
        hosts: Names that a browser may know this machine by (``hosts.hosts_of``); all, if there are none.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, hosts: Collection[str] = LOOPBACK) -> None:
        self._app, self._limits, self._hosts = app, limits, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the start and the end of the service pass."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except RefusedError as error:
            await PlainTextResponse(str(error), error.status)(scope, receive, _with_headers(send))
            return
        await self._app(scope, _counted(receive, self._limits), _with_headers(send))

    def _check(self, scope: Scope) -> None:
        """Refuse what the first lines of a request say."""
        if scope["type"] != "http":
            raise RefusedError(404, "no such page")
        check_host(scope, self._hosts)
        check_origin(scope)
        length = header(scope, b"content-length")
        if length.isdigit() and int(length) > self._limits.body:
            raise RefusedError(413, f"the request is too large: at most {self._limits.body:,} bytes")
        if ANSWERED.fullmatch(scope["path"]) is None:
            raise RefusedError(404, "no such page")


def _counted(receive: Receive, limits: Limits) -> Receive:
    """A body without a stated length is counted as it comes; at the limit the client is taken for gone."""
    got = 0

    async def counted() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        return {"type": "http.disconnect"} if got > limits.body else message

    return counted


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message["headers"] if name.lower() not in HEADERS]
            message = {**message, "headers": [*kept, *HEADERS.items()]}
        await send(message)

    return sent
