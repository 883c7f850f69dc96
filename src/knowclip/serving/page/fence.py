"""Around the page: which paths are answered, to whom, how large a request may be; what a browser may fetch.

Gradio answers more than this page needs (a proxy, a schema of its functions, its own run history), so what is
answered is listed here and all else is not found.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse

from knowclip.serving.limits import Limits

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

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Fence:
    """ASGI middleware.

    Args:
        app: The page.
        limits: Of the bytes of a request.
        hosts: Names that a browser may know this machine by; all, if there are none. On loopback only its
            own: another site's name that leads here (DNS rebinding) is refused.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, hosts: Collection[str] = ()) -> None:
        self._app, self._limits, self._hosts = app, limits, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the start and the end of the service pass."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope) if scope["type"] == "http" else (404, "no such page")
        if refused is not None:
            status, told = refused
            await PlainTextResponse(told, status)(scope, receive, _with_headers(send))
            return
        await self._app(scope, _counted(receive, self._limits), _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if self._hosts and urlsplit(f"//{host}").hostname not in self._hosts:
            return 403, f"this page answers to {', '.join(sorted(self._hosts))}, not to {host!r}"
        origin = headers.get(b"origin", "")
        if origin and urlsplit(origin).netloc != host:
            return 403, "another site may not use this page"
        length = headers.get(b"content-length", "")
        if length.isdigit() and int(length) > self._limits.body:
            return 413, f"the request is too large: at most {self._limits.body:,} bytes"
        if ANSWERED.fullmatch(scope["path"]) is None:
            return 404, "no such page"
        return None


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
