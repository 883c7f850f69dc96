"""Where the members of tar shards stand, from their headers: remembered, and of shards at URLs kept on disk.

A shard at a URL is read once from end to end, which its captions need anyway: they stand between the images.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from knowclip.storage import parquet, remote
from knowclip.storage.atomic import atomic_file
from knowclip.storage.caches import cache_folder

TEXTS = (".txt", ".json")
"""Endings of members whose content is kept with the index of a shard at a URL."""
FOLDER = "remote"
"""In the cache folder: indexes of shards at URLs, and copies of them."""


class Index(NamedTuple):
    """Members of a shard: name -> offset and size, names that were replaced, contents of texts (at URLs)."""

    members: dict[str, tuple[int, int]]
    repeated: list[str]
    texts: dict[str, bytes]


class Places:
    """Offsets and sizes of a shard's members in 24 bytes each, found by a hash of their names."""

    def __init__(self, members: dict[str, tuple[int, int]]) -> None:
        hashes = np.array([_hash(name) for name in members], dtype=np.uint64)
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        self._places = np.array(list(members.values()), dtype=np.int64).reshape(-1, 2)[order]

    def get(self, name: str) -> tuple[int, int] | None:
        """Offset and size of a member; None if there is none of this name."""
        wanted = np.uint64(_hash(name))
        at = int(np.searchsorted(self._hashes, wanted))
        if at == len(self._hashes) or self._hashes[at] != wanted:
            return None
        offset, size = self._places[at].tolist()
        return offset, size


def index(shard: Path) -> Index:
    """All there is to know of a shard's members; the last few shards are remembered.

    ``./name`` is ``name``, as a path would have it. Of members of one name the last counts, as it does for
    ``tar -x``.

    Raises:
        ValueError: It is no tar file, is compressed, or cut short.
    """
    return _index(*file_key(shard))


def places(shard: Path) -> Places:
    """Where a shard's members stand, for as many shards as a data set has."""
    return _places(*file_key(shard))


def file_key(path: Path) -> tuple[str, str]:
    """What a file is remembered by: another one may take its place, or its name in another folder."""
    if remote.is_remote(path):
        return path.as_posix(), _remote_state(path.as_posix())
    status = os.stat(path)
    return os.path.abspath(path), f"{status.st_mtime_ns} {status.st_size}"


@lru_cache(maxsize=65536)
def _remote_state(path: str) -> str:
    """Asked once in the life of a process: what lies at URLs is taken not to change while it is read."""
    size, mark = remote.state(Path(path))
    return f"{mark} {size}"


@lru_cache(maxsize=65536)
def _places(path: str, state: str) -> Places:
    return Places(_index(path, state).members)


@lru_cache(maxsize=16)
def _index(path: str, state: str) -> Index:
    shard = Path(path)
    if not remote.is_remote(shard):
        with _whole(shard), tarfile.open(shard, "r:") as tar:
            return _scanned(tar, texts=False)
    digest = hashlib.blake2b(f"{path} {state}".encode(), digest_size=12).hexdigest()
    kept = cache_folder() / FOLDER / f"index-{digest}.parquet"
    if not kept.is_file():
        with _whole(shard), remote.stream(shard) as file:
            _write(kept, _from(file))
    return _read(kept)


def _from(file: IO[bytes]) -> Index:
    with tarfile.open(fileobj=file, mode="r|") as tar:
        return _scanned(tar, texts=True)


@contextmanager
def _whole(shard: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        name = remote.url_of(shard) if remote.is_remote(shard) else shard
        raise ValueError(f"{name} is not a whole, uncompressed tar file: {error}") from error


def _scanned(tar: tarfile.TarFile, *, texts: bool) -> Index:
    found = Index({}, [], {})
    for member in tar:
        if not member.isfile():
            continue
        name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
        if name in found.members:
            found.repeated.append(name)
        found.members[name] = member.offset_data, member.size
        if texts and name.lower().endswith(TEXTS):
            content = tar.extractfile(member)
            assert content is not None
            found.texts[name] = content.read()
        tar.members = []  # type: ignore[attr-defined]  # tarfile keeps them all
    return found


def _write(path: Path, found: Index) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = {
        "name": [name.encode("utf-8", "surrogateescape") for name in found.members],
        "offset": [offset for offset, _ in found.members.values()],
        "size": [size for _, size in found.members.values()],
        "text": pa.array([found.texts.get(name) for name in found.members], pa.binary()),
        "repeated": [found.repeated.count(name) for name in found.members] if found.repeated else None,
    }
    with atomic_file(path) as temporary:
        parquet.write_table(pa.table({k: v for k, v in columns.items() if v is not None}), temporary)


def _read(path: Path) -> Index:
    with parquet.whole(path):
        from pyarrow.parquet import read_table

        columns = read_table(path).to_pydict()
    names = [name.decode("utf-8", "surrogateescape") for name in columns["name"]]
    members = dict(zip(names, zip(columns["offset"], columns["size"], strict=True), strict=True))
    again = zip(names, columns.get("repeated", []), strict=False)
    texts = {name: text for name, text in zip(names, columns["text"], strict=True) if text is not None}
    return Index(members, [name for name, times in again for _ in range(times)], texts)


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest())
