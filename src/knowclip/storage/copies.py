"""Local copies of the shards at URLs that are read now: the last few, whatever the data set's size."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from knowclip.storage import remote
from knowclip.storage.atomic import atomic_file
from knowclip.storage.members import open_file, place_of, shard_of
from knowclip.storage.shard_index import file_key

_STALE = 600
"""Seconds after which a copy that was begun is taken for abandoned: its process was killed."""


@dataclass(frozen=True, slots=True)
class ShardCopies:
    """Opens images in shards at URLs, of which whole shards are fetched; others as ``open_file`` does.

    Any number of processes share the folder. While one fetches a shard the others read their images from the
    server, so nothing waits; what is read is the same.

    Args:
        folder: Of the copies; ``index-*`` and what else lies there is left alone.
        most: Copies that are kept, those used last.
    """

    folder: Path
    most: int

    def __call__(self, path: Path) -> IO[bytes]:
        """Open an image; as ``open_file``."""
        shard = shard_of(path)
        if shard is None or not remote.is_remote(shard):
            return open_file(path)
        offset, size = place_of(shard, path)
        copy = self.folder / f"copy-{_name(shard)}.tar"
        with suppress(FileNotFoundError):  # not there yet, or another process needed its place
            return _part(copy, offset, size)
        if self._fetch(shard, copy):
            with suppress(FileNotFoundError):
                return _part(copy, offset, size)
        return open_file(path)

    def _fetch(self, shard: Path, copy: Path) -> bool:
        """Copy a shard, unless another process is at it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        claim = copy.with_suffix(".claim")
        if not _claimed(claim):
            return False
        try:
            if not copy.is_file():
                with atomic_file(copy) as temporary, remote.stream(shard) as file:
                    with open(temporary, "wb") as out:
                        shutil.copyfileobj(file, out, 2**20)
                self._remove_old(copy)
        finally:
            claim.unlink(missing_ok=True)
        return True

    def _remove_old(self, kept: Path) -> None:
        used = []
        for copy in self.folder.glob("copy-*.tar"):
            with suppress(FileNotFoundError):
                used.append((copy != kept, -copy.stat().st_mtime, copy))
        for _, _, copy in sorted(used)[self.most :]:
            copy.unlink(missing_ok=True)


def _part(copy: Path, offset: int, size: int) -> IO[bytes]:
    with open(copy, "rb") as file:
        file.seek(offset)
        content = file.read(size)
    if time.time() - copy.stat().st_mtime > 1:
        with suppress(FileNotFoundError):
            os.utime(copy)  # used now
    return io.BytesIO(content)


def _claimed(claim: Path) -> bool:
    """Take the right to make a copy; False where another process has it."""
    with suppress(FileNotFoundError):
        if time.time() - claim.stat().st_mtime > _STALE:
            claim.unlink(missing_ok=True)
    try:
        os.close(os.open(claim, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def _name(shard: Path) -> str:
    return hashlib.blake2b(" ".join(file_key(shard)).encode(), digest_size=12).hexdigest()
