"""Files at URLs (``s3://``, ``gs://``, ``https://``, ...), read through fsspec.

Such a file has a path like any other: ``Path("s3://bucket/a.tar")``, which keeps one of the two slashes.
What cannot be reached is told as :class:`RemoteError`, never as a file that is not there or is broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from tarfile import TarError
from typing import IO, Any

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(?=[^/])")
"""A scheme has two letters and more: one letter is a drive of Windows."""
_MARKS = ("ETag", "etag", "md5", "mtime", "LastModified", "last_modified", "updated", "created")
"""What file systems of fsspec call that which changes with a file's content, the surest first."""
_AHEAD = 2**23
"""Bytes fetched at a time of a file that is read from its beginning on."""


class RemoteError(OSError):
    """A server that does not answer, or refuses to: the data may be sound, and the same again may do."""


def is_remote(path: PurePath | str) -> bool:
    """Whether a path stands for a URL."""
    return _URL.match(PurePath(path).as_posix()) is not None


def url_of(path: PurePath) -> str:
    """The URL that a path stands for."""
    return _URL.sub(r"\1://", path.as_posix(), count=1)


def state(path: Path) -> tuple[int, str]:
    """Size in bytes and what changes with the content (etag, time of change), as the server tells it.

    Raises:
        FileNotFoundError: There is no such file.
        RemoteError: The server cannot be asked.
    """
    with _asked(path) as (fs, name):
        told = fs.info(name)
        return int(told["size"] or 0), str(next((told[mark] for mark in _MARKS if mark in told), ""))


def find(folder: Path) -> list[Path]:
    """All files below a folder, sorted; the path itself where it is a file; none where there is nothing."""
    with _asked(folder) as (fs, name):
        found = fs.find(name)
        base = name.rstrip("/")
    inside = sorted(one.removeprefix(base).lstrip("/") for one in found)
    return [folder / one if one else folder for one in inside]


def read(path: Path, start: int | None = None, stop: int | None = None) -> bytes:
    """The bytes of a file, or those from ``start`` to ``stop`` alone.

    Raises:
        FileNotFoundError: There is no such file.
        RemoteError: The server cannot be asked.
    """
    with _asked(path) as (fs, name):
        return fs.cat_file(name, start=start, end=stop)


@contextmanager
def stream(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that is read once, from its beginning on.

    Raises:
        FileNotFoundError: There is no such file.
        RemoteError: The server cannot be asked.
    """
    with _asked(path) as (fs, name), fs.open(name, "rb", block_size=_AHEAD, cache_type="readahead") as file:
        yield file


@contextmanager
def _asked(path: Path) -> Iterator[tuple[Any, str]]:
    """The file system of a path and its name there; fsspec keeps one for each server and process."""
    url = url_of(path)
    scheme = url.partition(":")[0]
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise ImportError(f'{url} needs fsspec: pip install "knowclip[remote]"') from error
    try:
        fs, name = url_to_fs(url)
    except ImportError as error:
        raise ImportError(
            f"{url}: {error}; knowclip[remote] brings what reads s3://, for {scheme}:// install fsspec's own"
        ) from error
    except ValueError as error:
        raise ValueError(f"{url}: {error}") from error
    try:
        yield fs, name
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{url} does not exist") from error
    except (RemoteError, ValueError, TarError, EOFError):  # what is read is no tar file
        raise
    except Exception as error:  # each file system has its own kinds
        raise RemoteError(f"{url} cannot be read: {type(error).__name__}: {error}") from error
