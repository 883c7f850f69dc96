"""Features by item: in memory for one model, and on disk by content, for every later process.

The folder holds append-only ``.npz`` shards. A key is the hash of what was encoded (text, or image bytes and
box), the folder's name the hash of what encoded it, so nothing can go stale and nothing is ever overwritten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowclip.storage.atomic import atomic_file
from knowclip.storage.pixels import READING
from knowclip.types import ImageRef

Features = NDArray[np.float32]

SHARD = 2048
"""Items encoded between two writes: what an interrupted run may lose."""


class FeatureCache:
    """Features ``[D]`` by item.

    Args:
        folder: of the shards; None keeps features in memory only.
        content_key: hash of an item's content; OSError where it cannot be read.
    """

    def __init__(self, folder: Path | None, content_key: Callable[[Any], str]) -> None:
        self.folder = folder
        self.content_key = content_key
        self.memory: dict[Hashable, Features] = {}
        self.disk: dict[str, Features] = {}
        for shard in sorted(folder.glob("*.npz")) if folder else ():
            with np.load(shard) as arrays:
                self.disk.update(zip(arrays["keys"].tolist(), arrays["features"], strict=True))

    def add(
        self,
        items: Sequence[Any],
        encode: Callable[[list[Any]], dict[Any, Features]],
        batch_size: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Encode the items not known yet; what fails to encode is simply absent.

        ``progress`` is told how many of the items are known, of how many, as they are encoded.

        Raises:
            ValueError: the model gives NaN or infinite features.
        """
        unknown = [item for item in items if item not in self.memory]
        keys: dict[Hashable, str] = {}
        if self.folder:
            keys = {item: self._key_or_blank(item) for item in unknown}
            self.memory.update({item: self.disk[key] for item, key in keys.items() if key in self.disk})
            unknown = [item for item in unknown if item not in self.memory]
        known = len(items) - len(unknown)
        for start in range(0, len(unknown), max(SHARD, batch_size)):
            shard = unknown[start : start + max(SHARD, batch_size)]
            encoded: dict[Hashable, Features] = {}
            for first in range(0, len(shard), batch_size):
                encoded |= encode(shard[first : first + batch_size])
                if progress is not None:
                    progress(known + min(start + first + batch_size, len(unknown)), len(items))
            _refuse_diverged(encoded)
            self.memory.update(encoded)
            if self.folder and encoded:
                self._write([keys[item] for item in encoded], np.stack(list(encoded.values())))

    def rows(self, items: Sequence[Hashable]) -> Features:
        """``[len(items), D]``; zeros for items that could not be encoded."""
        width = next((len(row) for row in self.memory.values()), 0)
        absent = np.zeros(width, dtype=np.float32)
        rows = [self.memory.get(item, absent) for item in items]
        return np.stack(rows) if rows else np.zeros((0, width), dtype=np.float32)

    def _key_or_blank(self, item: Any) -> str:
        try:
            return self.content_key(item)
        except OSError:
            return ""  # unreadable: encoding it will fail too, and say so

    def _write(self, keys: list[str], features: Features) -> None:
        assert self.folder is not None
        with atomic_file(self.folder / f"{digest(*keys)}.npz") as path, path.open("wb") as file:
            np.savez(file, keys=np.array(keys), features=features)
        self.disk.update(zip(keys, features, strict=True))


def text_key(text: str) -> str:
    """Hash of a text."""
    return digest(text)


def image_key(ref: ImageRef) -> str:
    """Hash of an image file's bytes, of the region of it, and of how it is read."""
    status = ref.path.stat()
    return digest(_file_digest(ref.path, status.st_mtime_ns, status.st_size), repr(ref.box), READING)


def digest(*parts: str) -> str:
    """Hash of several strings."""
    # a separator that texts do not hold: ("ab", "c") is not ("a", "bc")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@lru_cache(maxsize=1 << 16)
def _file_digest(path: Path, modified: int, size: int) -> str:
    """Hash of a file, read once for all the regions of it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _refuse_diverged(encoded: dict[Hashable, Features]) -> None:
    broken = [item for item, row in encoded.items() if not np.isfinite(row).all()]
    if broken:
        raise ValueError(
            f"the model gives NaN or infinite features for {len(broken)} of {len(encoded)} inputs, first "
            f"{broken[0]!r}; its weights have diverged: evaluate an earlier checkpoint"
        )
