"""Files over HTTP that are complete or not there: resumed where a transfer broke off, checked, then renamed.

Only the standard library. What has arrived lies in ``NAME.part`` beside the destination until it is whole.

Not a library, because none goes on with a part of an earlier call and refuses to mix two versions of a file:
pooch (1.9.0) checks and renames but begins every transfer anew, and so does fsspec's ``get`` (2026.9), which
checks nothing; huggingface_hub (2.4.0) resumes, without ``If-Range``, what its own server names by hash.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

CHUNK = 1 << 20
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""


def download(
    url: str,
    path: Path,
    *,
    sha256: str = "",
    attempts: int = 5,
    pause: float = 1.0,
    progress: Callable[[int, int | None], None] | None = None,
) -> bool:
    """Fetch ``url`` to ``path``.

    A broken transfer is resumed from where it stopped (HTTP ``Range``), in this call or in the next one; a
    server that does not resume sends it all again. A resumed part is used only if the server still has the
    same version (``If-Range``).

    Args:
        url: ``http`` or ``https`` address.
        path: destination; a complete file there is left alone (checked, if a checksum is given).
        sha256: expected checksum in hex; without it the length that the server states is all that is checked.
        attempts: connections to try.
        pause: seconds before the second attempt; doubled each time.
        progress: called with bytes so far and in all (None if the server does not say).

    Returns:
        Whether anything was fetched.

    Raises:
        ValueError: the address is none of HTTP, or the checksum differs (the file is then removed).
        OSError: no attempt got through, or the first found no such host; what has arrived stays for the next
            call.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no http or https address")
    if path.is_file():
        _check(path, sha256, url)
        return False
    part = path.with_name(f"{path.name}.part")
    for attempt in range(attempts):
        try:
            _fetch(url, part, progress)
            break
        except HTTPError as error:
            # timeouts, too many requests and server faults pass; what else the server says will not
            if error.code < 500 and error.code not in (408, 429):
                raise OSError(f"{url}: the server says {error.code} {error.reason}") from error
            _give_up_or_wait(error, url, part, attempt, attempts, pause)
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            if attempt == 0 and isinstance(getattr(error, "reason", None), socket.gaierror):
                host = urlsplit(url).hostname
                raise OSError(f"{url}: no address of {host} is found: is this machine online?") from error
            _give_up_or_wait(error, url, part, attempt, attempts, pause)
    _check(part, sha256, url)
    os.replace(part, path)
    _version_file(part).unlink(missing_ok=True)
    return True


def _give_up_or_wait(
    error: Exception, url: str, part: Path, attempt: int, attempts: int, pause: float
) -> None:
    if attempt + 1 == attempts:
        arrived = part.stat().st_size if part.exists() else 0
        why = error.reason if type(error) is URLError else error
        raise OSError(
            f"{url}: broken off {attempts} times, last by {why}; {arrived:,} bytes have arrived; the next "
            "call goes on from there"
        ) from error
    time.sleep(pause * 2**attempt)


def _fetch(url: str, part: Path, progress: Callable[[int, int | None], None] | None) -> None:
    """One connection: append what is missing to ``part``, or begin again where the server does not resume."""
    version_file = _version_file(part)
    done = part.stat().st_size if part.exists() and version_file.exists() else 0
    headers = {"User-Agent": "knowclip"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": version_file.read_text()}
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{done}":
            return  # the part is the whole file already
        raise
    with response:
        part.parent.mkdir(parents=True, exist_ok=True)
        resumed = response.status == 206
        done = done if resumed else 0
        version = response.headers.get("ETag") or response.headers.get("Last-Modified")
        # a weak ETag names like contents, not equal bytes: If-Range does not take it (RFC 9110)
        if version and not version.startswith("W/"):
            version_file.write_text(version)
        else:
            version_file.unlink(missing_ok=True)
        length = response.headers.get("Content-Length")
        total = done + int(length) if length is not None else None
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"{total - done:,} of {total:,} bytes did not arrive")


def _version_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _check(path: Path, sha256: str, url: str) -> None:
    if not sha256:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        path.unlink()
        raise ValueError(
            f"{url} has the SHA-256 {found}, not {sha256}: the published file has changed or was damaged "
            f"on its way; {path} was removed"
        )
