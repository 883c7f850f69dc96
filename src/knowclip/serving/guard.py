"""Around every request: how many at a time, how many bytes, how long; and what became of it is counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from knowclip.serving.hosts import check_host
from knowclip.serving.limits import Limits, RefusedError
from knowclip.serving.metrics import Metrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OTHER = "other"
"""What paths that are not there are counted as: a client must not make up names for counters."""


def problem(error: RefusedError) -> JSONResponse:
    """A refusal as it is answered."""
    headers = {"Retry-After": "1"} if error.status == 429 else None
    return JSONResponse({"detail": str(error)}, error.status, headers)


class Guard:
    """ASGI middleware.

    Args:
        app: What answers.
        limits: Of requests, bytes and seconds.
        metrics: Where requests are counted.
        paths: That are there.
        hosts: Names that a client may know this machine by (``hosts.hosts_of``); all, if there are none.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        metrics: Metrics,
        paths: Collection[str],
        hosts: Collection[str] = (),
    ) -> None:
        self._app, self._limits, self._metrics, self._paths = app, limits, metrics, paths
        self._hosts = frozenset(hosts)
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what else ASGI sends (the service starts and ends) passes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send, self._limits)
        began = time.perf_counter()
        self._change(1)
        try:
            await self._answer(scope, exchange)
        finally:
            self._change(-1)
            path = scope["path"] if scope["path"] in self._paths else OTHER
            self._metrics.answered(path, exchange.status, time.perf_counter() - began)

    def _change(self, by: int) -> None:
        self._in_flight += by
        self._metrics.in_flight.set(self._in_flight)

    async def _answer(self, scope: Scope, exchange: _Exchange) -> None:
        try:
            self._check(scope)
            async with asyncio.timeout(self._limits.seconds):
                await self._app(scope, exchange.receive, exchange.send)
        except TimeoutError:
            if exchange.started:
                raise
            await problem(exchange.late())(scope, exchange.receive, exchange.send)
        except RefusedError as error:
            await problem(error)(scope, exchange.receive, exchange.send)

    def _check(self, scope: Scope) -> None:
        """Refuse what the first lines of a request say; what is only looked at is never too much."""
        check_host(scope, self._hosts)
        if scope["method"] != "POST":
            return
        if self._in_flight > self._limits.requests:
            raise RefusedError(
                429, f"{self._limits.requests:,} requests are being answered, the most at a time: try again"
            )
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > self._limits.body:
            raise too_large(self._limits)


class _Exchange:
    """What of a request has come, and what of its answer has gone."""

    def __init__(self, receive: Receive, send: Send, limits: Limits) -> None:
        self._receive, self._send, self._limits = receive, send, limits
        self._bytes, self._complete = 0, False
        self.status, self.started = 500, False

    async def receive(self) -> Message:
        """Pass a part of the body on, up to the limit: one without a stated length is counted as it comes."""
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._bytes > self._limits.body:
            raise too_large(self._limits)
        return message

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self.status, self.started = message["status"], True
        await self._send(message)

    def late(self) -> RefusedError:
        """Whose fault it is that time ran out."""
        seconds = f"{self._limits.seconds:g} seconds"
        if not self._complete:
            return RefusedError(408, f"the request did not come within {seconds}")
        return RefusedError(429, f"no answer was ready within {seconds}: ask for less, or try again")


def too_large(limits: Limits) -> RefusedError:
    """The refusal of a body."""
    return RefusedError(413, f"the request is too large: at most {limits.body:,} bytes")
