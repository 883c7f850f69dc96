"""Files that may be members of a tar shard (``a.tar/name``) or cells of an Arrow table, here or at URLs."""

from __future__ import annotations

import hashlib
import io
import os
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from knowclip.storage import remote
from knowclip.storage.parquet import whole
from knowclip.storage.shard_index import file_key, index, places


def exists(path: Path) -> bool:
    """Whether there is such a file, or such a member of a shard."""
    if os.path.isfile(path):
        return True
    shard = shard_of(path)
    if shard is None:
        return remote.is_remote(path) and bool(remote.find(path))
    if shard.suffix == ".arrow":
        return _arrow_cell(shard, path) is not None
    return places(shard).get(_member(shard, path)) is not None


def open_file(path: Path) -> IO[bytes]:
    """Open a file, or the member ``shard.tar/name`` or ``data.arrow/column/row`` without reading the others.

    Raises:
        OSError: There is no such file or member; a server cannot be asked (``remote.RemoteError``).
        ValueError: The shard is no tar file, or cut short.
    """
    shard = shard_of(path)
    if shard is None:
        return io.BytesIO(remote.read(path)) if remote.is_remote(path) else open(path, "rb")
    if shard.suffix == ".arrow":
        if (cell := _arrow_cell(shard, path)) is None:
            raise FileNotFoundError(f"{shard} has no image {path.relative_to(shard)}")
        return io.BytesIO(cell)
    offset, size = place_of(shard, path)
    if remote.is_remote(shard):
        return io.BytesIO(remote.read(shard, offset, offset + size))
    with open(shard, "rb") as file:
        file.seek(offset)
        return io.BytesIO(file.read(size))


def place_of(shard: Path, path: Path) -> tuple[int, int]:
    """Offset and size of the member ``path`` of a tar shard.

    Raises:
        FileNotFoundError: There is none.
    """
    found = places(shard).get(_member(shard, path))
    if found is None:
        raise FileNotFoundError(f"{shard} has no member {_member(shard, path)}")
    return found


def read_text_member(shard: Path, name: str) -> bytes:
    """The content of a caption's member; of a shard at a URL it came with the index."""
    text = index(shard).texts.get(name)
    if text is not None:
        return text
    with open_file(shard / name) as file:
        return file.read()


def file_state(path: Path) -> tuple[int, int, int]:
    """Device, place on it (inode; in a shard the member too) and size in bytes; -1 each if there is none."""
    shard = shard_of(path)
    try:
        if remote.is_remote(path):
            size = remote.state(path)[0] if shard is None else place_of(shard, path)[1]
            return _REMOTE, _place(0, path), size
        if shard is None:
            status = os.stat(path)
            return status.st_dev, status.st_ino, status.st_size
        size = _member_size(shard, path)
    except (FileNotFoundError, ValueError):
        return -1, -1, -1
    status = os.stat(shard)
    return (-1, -1, -1) if size < 0 else (status.st_dev, _place(status.st_ino, path.relative_to(shard)), size)


_REMOTE = -2
"""Stands for the device of a URL."""


def last_change(path: Path) -> tuple[int, int] | None:
    """Size and time of modification of a file, of a member those of its shard; None if there is none."""
    if remote.is_remote(path):
        size, mark = remote.state(shard_of(path) or path)
        return size, _place(0, Path(mark))
    for place in (path, shard_of(path)):
        try:
            status = os.stat(place) if place is not None else None
        except OSError:
            continue
        return None if status is None else (status.st_size, status.st_mtime_ns)
    return None


def _member_size(shard: Path, path: Path) -> int:
    if shard.suffix == ".arrow":
        return len(_arrow_cell(shard, path) or b"") or -1
    return (places(shard).get(_member(shard, path)) or (0, -1))[1]


def _member(shard: Path, path: Path) -> str:
    return path.relative_to(shard).as_posix()


def _place(inode: int, member: Path) -> int:
    name = f"{inode} {member.as_posix()}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=7).digest(), "big")


def shard_of(path: Path) -> Path | None:
    """The shard that a path is in; None of a file of its own."""
    found = next((parent for parent in path.parents if parent.suffix in (".tar", ".arrow")), None)
    return found if found is not None and (remote.is_remote(found) or found.is_file()) else None


def arrow_table(path: Path) -> Any:
    """A table of Hugging Face ``datasets``, mapped into memory; remembered.

    Raises:
        ValueError: It is no Arrow file, or cut short.
    """
    return _arrow_table(*file_key(path))


@lru_cache(maxsize=256)
def _arrow_table(path: str, state: str) -> Any:
    with whole(Path(path)):
        import pyarrow

        source = pyarrow.memory_map(path)
        try:
            table = pyarrow.ipc.open_stream(source).read_all()
        except pyarrow.ArrowInvalid:
            table = pyarrow.ipc.open_file(source).read_all()
        table.validate(full=True)  # pyarrow believes any offsets, and reads beyond the file's end
        return table


def _arrow_cell(shard: Path, path: Path) -> bytes | None:
    """The bytes of an image that lies in a table: ``data.arrow/column/row``."""
    column, _, row = path.relative_to(shard).as_posix().rpartition("/")
    table = arrow_table(shard)
    if column not in table.column_names or not row.isdecimal() or int(row) >= len(table):
        return None
    cell = table.column(column)[int(row)].as_py()
    return cell.get("bytes") if isinstance(cell, dict) else cell
