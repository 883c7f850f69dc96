"""Folders and files that are either the old ones or the new ones, never half of each.

What is guaranteed when the process is killed, the disk is full or the machine stops at any moment:

- ``atomic_file``: the path holds the complete old bytes or the complete new ones.
- ``atomic_folder``: a new folder appears complete or not at all. An existing folder is exchanged for the new
  one in one step of the file system (Linux ``renameat2``, ``RENAME_EXCHANGE``), so that there is no moment
  without it. Where the system cannot exchange (macOS, Windows, some network file systems) it takes two
  renames; between them the complete old folder stands beside it as ``.NAME.previous``, and ``recover``
  (called by the next ``atomic_folder`` and before a checkpoint is loaded) puts it back.

Files get the rights that the umask grants to new ones, whatever the habit of the library that writes them.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path to write to; on success it becomes ``path``, on any error it is removed.

    Raises:
        OSError: As the writer raised it (for example ENOSPC); ``path`` is then as it was.
    """
    dest = Path(path)
    dest.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(dest)
    temporary.touch()
    usual = stat.S_IMODE(temporary.stat().st_mode)
    temporary.unlink()
    try:
        yield temporary
        _open_to_umask(temporary, usual)
        _sync(temporary)
        os.replace(temporary, dest)
        _sync(dest.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(
    path: str | os.PathLike[str], *, durable: bool = True, former: Path | None = None
) -> Iterator[Path]:
    """Give an empty folder to write into; on success it becomes ``path``, on any error it is removed.

    Remains of processes that were killed while they wrote the same folder on this machine are removed first.
    An existing folder takes the place of ``former``; None: it is removed. A process that is killed between
    the exchange and this move keeps the new one alone.
    ``durable=False`` leaves the flushing to the system: for thousands of files that can be made again, where
    losing them to a power failure costs less than a flush of each.

    Raises:
        OSError: As the writer raised it (for example ENOSPC); ``path`` is then as it was.
        ValueError: If ``path`` is a file.
    """
    dest = Path(path)
    if dest.is_file():
        raise ValueError(
            f"{dest} is a file, and a folder is to be written there: remove it or choose another path"
        )
    dest.parent.mkdir(parents=True, exist_ok=True)
    recover(dest)
    temporary = _temporary(dest)
    temporary.mkdir()
    usual = stat.S_IMODE(temporary.stat().st_mode)
    try:
        yield temporary
        for entry in (*temporary.rglob("*"), temporary):
            _open_to_umask(entry, usual)
            if durable:
                _sync(entry)
        _put(temporary, dest)
        if former is not None and temporary.exists():
            shutil.rmtree(former, ignore_errors=True)
            temporary.rename(former)
        _sync(dest.parent)
    finally:  # holds the new folder after a failure, the old one after an exchange, nothing otherwise
        shutil.rmtree(temporary, ignore_errors=True)


def recover(path: str | os.PathLike[str]) -> None:
    """Put back a folder whose replacement was interrupted between two renames; does nothing otherwise."""
    dest = Path(path)
    if not dest.exists():
        with suppress(FileNotFoundError):
            _previous(dest).rename(dest)


def _put(new: Path, dest: Path) -> None:
    """Move ``new`` to ``dest``; an existing folder ends up at ``new``."""
    if not dest.exists():
        new.rename(dest)
    elif not _exchange(new, dest):
        previous = _previous(dest)
        shutil.rmtree(previous, ignore_errors=True)
        dest.rename(previous)
        try:
            new.rename(dest)
        except OSError:
            recover(dest)
            raise
        try:
            previous.rename(new)
        except OSError:  # the new one stands: as after an exchange, what cannot be kept is removed
            shutil.rmtree(previous, ignore_errors=True)
            raise


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two paths in one step; False where the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    arguments = (_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    return renameat2(*arguments) == 0


def _temporary(dest: Path) -> Path:
    """Name a path beside ``dest`` after this process, and remove what dead processes left there."""
    mine = f".{dest.name}.{socket.gethostname()}."
    for leftover in dest.parent.iterdir():
        if leftover.name.startswith(mine) and is_abandoned(leftover):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    return dest.with_name(f"{mine}{os.getpid()}.tmp")


def is_abandoned(path: Path) -> bool:
    """Whether a path is what a process of this machine had begun to write and did not live to finish."""
    before, _, pid = path.name.removesuffix(".tmp").rpartition(".")
    ours = path.name.startswith(".") and before.endswith(f".{socket.gethostname()}")
    return ours and path.name.endswith(".tmp") and not _is_alive(pid)


def _is_alive(pid: str) -> bool:
    if pid == str(os.getpid()):
        return False  # this process does not write one path twice at a time: it is a leftover of a reused id
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True


def _previous(dest: Path) -> Path:
    return dest.with_name(f".{dest.name}.previous")


def _open_to_umask(path: Path, usual: int) -> None:
    """Give a file the rights that the umask grants: safetensors, for one, writes for its owner alone."""
    if path.is_symlink():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    wanted = mode | (usual if path.is_dir() else usual & 0o666)
    if mode != wanted:
        path.chmod(wanted)


def _sync(path: Path) -> None:
    """Force to disk what was written, so that a rename never becomes durable before its contents."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
