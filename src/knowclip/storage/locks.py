"""One process at a time in a folder: the operating system holds the lock, so none outlives its process."""

from __future__ import annotations

import os
import socket
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

LOCK = ".lock"
_HELD: weakref.WeakSet[IO[str]] = weakref.WeakSet()
_LENT: weakref.WeakSet[IO[str]] = weakref.WeakSet()


@contextmanager
def locked(folder: Path, *, doing: str, lend: bool = False) -> Iterator[None]:
    """Hold the lock of a folder, which is made if need be.

    A lock file that a killed process left behind is no lock. Where the file system knows no locks, nothing is
    held.

    Args:
        folder: The second process that asks is refused, on this machine at least.
        doing: What the holder does there, for the message.
        lend: Whether what this process does meanwhile may take the lock again, as its own part of the work.

    Raises:
        ValueError: Another process holds it; it is named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    if not lend and _is_lent(path):
        yield
        return
    with _taken(path, doing) as file:
        _HELD.add(file)
        if lend:
            _LENT.add(file)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file
                path.unlink()


def _is_lent(path: Path) -> bool:
    """Whether this process holds the lock that this file is, for parts of its work too."""
    return path.exists() and any(
        os.path.samestat(os.fstat(file.fileno()), path.stat()) for file in _LENT if not file.closed
    )


def _taken(path: Path, doing: str) -> IO[str]:
    """Open and lock a file; again, if its holder removed it in between."""
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            _lock(file)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise ValueError(
                f"{path.parent} is in use: {holder} is {doing} there. Wait for it or stop it, or choose "
                "another folder"
            ) from error
        except OSError as error:  # some network file systems
            print(f"{path.parent} cannot be locked ({error}): start nothing else in it", file=sys.stderr)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _lock(file: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(1 << 20)  # a byte beyond the text, which others may go on reading
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except PermissionError as error:
            raise BlockingIOError from error
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _let_go() -> None:
    """In a forked child: a process that loads data must not keep the lock of a killed trainer."""
    for file in list(_HELD):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
