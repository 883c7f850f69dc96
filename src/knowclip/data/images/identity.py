"""Image files as bytes: what tells whether two of them are one, and whether one is still what it was."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from typing import NamedTuple, TypeVar

from knowclip.storage.members import file_state, open_file

_CHUNK = 1000
_THREADS = 16
"""For the latency of network file systems; on a local disk the processor is the limit."""
_END = 4096
"""Bytes looked at from both ends of a file."""
_SAMPLED = 20_000
"""Files of a set whose ends are looked at, evenly spread; of the others the size alone."""

T = TypeVar("T")
U = TypeVar("U")


class FileState(NamedTuple):
    """Where a file stands and how many bytes it has; -1 each where there is none."""

    device: int
    inode: int
    size: int


class ImageFiles:
    """The state of every file of some images, looked at once."""

    def __init__(self, paths: Iterable[Path]) -> None:
        distinct = list(dict.fromkeys(paths))
        states = _mapped(lambda path: FileState(*file_state(path)), distinct)
        self.states = dict(zip(distinct, states, strict=True))

    def among(self, paths: Iterable[Path]) -> ImageFiles:
        """Some of them, which are not looked at again."""
        part = copy(self)
        part.states = {path: self.states[path] for path in paths}
        return part

    def contents(self) -> dict[Path, int]:
        """A 63-bit hash of each file's size and, for a sample of them, of its first and last 4 kB."""
        paths = list(self.states)
        stride = -(-len(paths) // _SAMPLED) or 1
        sampled = dict(zip(paths[::stride], _mapped(_ends, paths[::stride]), strict=True))
        return {
            path: _hash(str(state.size).encode() + sampled.get(path, b""))
            for path, state in self.states.items()
        }

    def shared_with(self, others: ImageFiles) -> dict[Path, Path]:
        """Files that are also among ``others``: the same place on disk, or the same bytes elsewhere.

        Bytes are compared only where sizes are equal: first both ends of the files, then all of them.
        """
        places = {state[:2]: path for path, state in others.states.items() if state.size >= 0}
        found = {path: places[state[:2]] for path, state in self.states.items() if state[:2] in places}
        left = {path: state.size for path, state in self.states.items() if path not in found}
        theirs = {path: state.size for path, state in others.states.items()}
        for look in (None, _ends, _digest):
            left, theirs = (self._seen(part, look) for part in (left, theirs))
            common = set(left.values()) & set(theirs.values()) - {-1}
            left, theirs = (
                {path: key for path, key in part.items() if key in common} for part in (left, theirs)
            )
        by_content = {key: path for path, key in theirs.items()}
        return found | {path: by_content[key] for path, key in left.items()}

    @staticmethod
    def _seen(keys: dict[Path, U], look: Callable[[Path], bytes] | None) -> dict[Path, U | tuple[U, bytes]]:
        if look is None:
            return dict(keys)
        looked = zip(keys.items(), _mapped(look, list(keys)), strict=True)
        return {path: (key, content) for (path, key), content in looked}


def _mapped(function: Callable[[Path], T], paths: Sequence[Path]) -> list[T]:
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        done = pool.map(lambda chunk: [*map(function, chunk)], chunks)
        return [value for values in done for value in values]


def _ends(path: Path) -> bytes:
    """The first and the last bytes of a file; nothing where it cannot be read."""
    try:
        with open_file(path) as file:
            first = file.read(_END)
            file.seek(-min(_END, file.seek(0, os.SEEK_END)), os.SEEK_END)
            return first + file.read()
    except (OSError, ValueError):
        return b""


def _digest(path: Path) -> bytes:
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError):
        return b""


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") >> 1
