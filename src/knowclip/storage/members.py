"""Files that may be members of a tar shard (``shard.tar/name``) or cells of an Arrow table."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from functools import lru_cache
from pathlib import Path
from typing import IO, Any


def exists(path: Path) -> bool:
    """Whether there is such a file, or such a member of a shard."""
    if os.path.isfile(path):
        return True
    shard = _shard(path)
    if shard is None:
        return False
    if shard.suffix == ".arrow":
        return _arrow_cell(shard, path) is not None
    return path.relative_to(shard).as_posix() in tar_members(shard)


def open_file(path: Path) -> IO[bytes]:
    """Open a file, or the member ``shard.tar/name`` or ``data.arrow/column/row`` without reading the others.

    Raises:
        OSError: There is no such file or member.
        ValueError: The shard is no tar file, or cut short.
    """
    shard = _shard(path)
    if shard is None:
        return open(path, "rb")
    if shard.suffix == ".arrow":
        if (cell := _arrow_cell(shard, path)) is None:
            raise FileNotFoundError(f"{shard} has no image {path.relative_to(shard)}")
        return io.BytesIO(cell)
    name = path.relative_to(shard).as_posix()
    if name not in (members := tar_members(shard)):
        raise FileNotFoundError(f"{shard} has no member {name}")
    offset, size = members[name]
    with open(shard, "rb") as file:
        file.seek(offset)
        return io.BytesIO(file.read(size))


def file_state(path: Path) -> tuple[int, int, int]:
    """Device, place on it (inode; in a shard the member too) and size in bytes; -1 each if there is none."""
    try:
        status = os.stat(path)
        return status.st_dev, status.st_ino, status.st_size
    except OSError:
        shard = _shard(path)
    try:
        if shard is None:
            return -1, -1, -1
        size = _member_size(shard, path)
    except ValueError:
        return -1, -1, -1
    status = os.stat(shard)
    return (-1, -1, -1) if size < 0 else (status.st_dev, _place(status.st_ino, path.relative_to(shard)), size)


def last_change(path: Path) -> tuple[int, int] | None:
    """Size and time of modification of a file, of a member those of its shard; None if there is none."""
    for place in (path, _shard(path)):
        try:
            status = os.stat(place) if place is not None else None
        except OSError:
            continue
        return None if status is None else (status.st_size, status.st_mtime_ns)
    return None


def _member_size(shard: Path, path: Path) -> int:
    if shard.suffix == ".arrow":
        return len(_arrow_cell(shard, path) or b"") or -1
    return tar_members(shard).get(path.relative_to(shard).as_posix(), (0, -1))[1]


def _place(inode: int, member: Path) -> int:
    name = f"{inode} {member.as_posix()}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=7).digest(), "big")


def _shard(path: Path) -> Path | None:
    found = next((parent for parent in path.parents if parent.suffix in (".tar", ".arrow")), None)
    return found if found is not None and found.is_file() else None


def tar_members(shard: Path) -> dict[str, tuple[int, int]]:
    """Name -> offset and size of each file in a tar shard, from its headers alone; remembered.

    ``./name`` is ``name``, as a path would have it. Of members of one name the last counts, as it does for
    ``tar -x``.

    Raises:
        ValueError: It is no tar file, is compressed, or cut short.
    """
    return _tar_index(*_state(shard))[0]


def tar_repeated(shard: Path) -> list[str]:
    """Names of the members that a later one of the same name replaces, once for each."""
    return _tar_index(*_state(shard))[1]


def _state(path: Path) -> tuple[str, int, int]:
    """What a file is remembered by: another one may take its place, or its name in another folder."""
    status = os.stat(path)
    return os.path.abspath(path), status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4096)
def _tar_index(shard: str, changed: int, size: int) -> tuple[dict[str, tuple[int, int]], list[str]]:
    members: dict[str, tuple[int, int]] = {}
    repeated = []
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
                if name in members:
                    repeated.append(name)
                members[name] = member.offset_data, member.size
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{shard} is not a whole, uncompressed tar file: {error}") from error
    return members, repeated


def arrow_table(path: Path) -> Any:
    """A table of Hugging Face ``datasets``, mapped into memory; remembered.

    Raises:
        ValueError: It is no Arrow file, or cut short.
    """
    return _arrow_table(*_state(path))


@lru_cache(maxsize=256)
def _arrow_table(path: str, changed: int, size: int) -> Any:
    import pyarrow

    try:
        source = pyarrow.memory_map(path)
        try:
            return pyarrow.ipc.open_stream(source).read_all()
        except pyarrow.ArrowInvalid:
            return pyarrow.ipc.open_file(source).read_all()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path} is not a whole Arrow file: {error}") from error


def _arrow_cell(shard: Path, path: Path) -> bytes | None:
    """The bytes of an image that lies in a table: ``data.arrow/column/row``."""
    column, _, row = path.relative_to(shard).as_posix().rpartition("/")
    table = arrow_table(shard)
    if column not in table.column_names or not row.isdecimal() or int(row) >= len(table):
        return None
    cell = table.column(column)[int(row)].as_py()
    return cell.get("bytes") if isinstance(cell, dict) else cell
