"""Names that a service answers to: on loopback those of this machine alone.

The owner of a site can let its name lead to 127.0.0.1 once a browser has loaded a page from it (DNS
rebinding). To the browser the service is then a part of that site, whose scripts may read every answer; what
gives it away is the name in ``Host``.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from knowclip.serving.limits import RefusedError

if TYPE_CHECKING:
    from starlette.types import Scope

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def hosts_of(listening: socket.socket, given: str) -> tuple[str, ...]:
    """The names to answer to: those of loopback, and the address as it was ``given``; none are all.

    None are told where the socket is open to other machines: they may call this one as they like.
    """
    address = str(listening.getsockname()[0])
    if not ipaddress.ip_address(address).is_loopback:
        return ()
    return tuple(dict.fromkeys([*LOOPBACK, address, given.lower()]))


def check_host(scope: Scope, hosts: Collection[str]) -> None:
    """Refuse a request under another name; all pass where ``hosts`` is empty.

    Args:
        scope: Of the request.
        hosts: Names without a port, in small letters.

    Raises:
        RefusedError: 403.
    """
    host = header(scope, b"host")
    if hosts and _split(f"//{host}")[0] not in hosts:
        raise RefusedError(403, f"this service answers to {', '.join(sorted(hosts))}, not to {host!r}")


def check_origin(scope: Scope) -> None:
    """Refuse what a browser sends for another site.

    Raises:
        RefusedError: 403.
    """
    origin = header(scope, b"origin")
    if origin and _split(origin)[1] != header(scope, b"host"):
        raise RefusedError(403, "another site may not use this page")


def header(scope: Scope, name: bytes) -> str:
    """A header's value; of several, all of them, which then equal no single one."""
    return ", ".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)


def _split(url: str) -> tuple[str | None, str]:
    """Host name and network location; none of what is no URL."""
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.netloc
    except ValueError:
        return None, ""
