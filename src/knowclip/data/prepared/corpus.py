"""A captions file of any size -> units of work on disk, all captions of an image in one of them.

Captions are read once, as a stream, and dealt out by a hash of their image: COCO, for one, lists captions of
an image far apart. Memory holds what waits to be written, however long the corpus.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from knowclip.data.formats.registry import find, why_none
from knowclip.data.formats.rows import Row
from knowclip.knowledge.parsing.caption_texts import read_rows

Progress = Callable[[int], None]
"""Called with the number of records so far."""
_HELD = 64 * 2**20
"""Bytes that wait to be written to units, all together."""
_ALL = "all.jsonl"


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a captions file held: records read, those skipped by reason, and a hash of all that was kept."""

    read: int
    skipped: dict[str, int]
    content: str
    units: int


def deal(
    path: Path, folder: Path, *, column: str | None, unit: int, progress: Progress | None = None
) -> Corpus:
    """Read a corpus into ``folder``: units of about ``unit`` captions.

    Args:
        path: Captions in any format of ``data.formats``.
        folder: Empty; it gets a file a unit.
        column: Column of the captions, where the header leaves it open.
        unit: Captions that a unit has, about: images go to units by hash.
        progress: Told of the records read.

    Raises:
        ValueError: There is no caption in it, or it cannot be read.
    """
    skipped: Counter[str] = Counter()
    digest = hashlib.blake2b(digest_size=16)
    read = kept = 0
    with open(folder / _ALL, "wb") as file:
        for number, row, image, caption in read_rows(path, column=column, skipped=skipped):
            read = number
            kept += bool(caption)
            if caption or image:  # the k-th caption of an image counts empty ones too
                line = _line(number, row, image, caption)
                digest.update(line)
                file.write(line)
            if progress is not None:
                progress(number)
    if not kept:
        raise ValueError(f"{path} gives no caption {why_none(path, skipped)}")
    units = max(1, -(-kept // unit))
    _deal(folder, units)
    return Corpus(read, dict(skipped), digest.hexdigest(), units)


def unit_file(folder: Path, number: int) -> Path:
    """Where the records of a unit stand."""
    return folder / f"{number:05d}.jsonl"


def rows_of_unit(content: bytes) -> Iterator[Row]:
    """Records of a unit, in the order of the corpus."""
    for number, line in enumerate(content.splitlines(), start=1):
        key, image, caption, negatives = json.loads(line)
        yield Row(f"record {number}", image, caption, tuple(negatives), key)


def state_of(path: Path) -> list[list[object]] | None:
    """Name, size and time of change of the files of a corpus; None where no files tell whether it changed."""
    source = find(path, None, None, text=True).path
    if not source.exists():
        return None
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    base = source if source.is_dir() else source.parent
    stats = ((file.relative_to(base).as_posix(), file.stat()) for file in files)
    states = [[name, status.st_size, status.st_mtime_ns] for name, status in stats]
    if len(states) <= _NAMED:
        return states
    digest = hashlib.blake2b(json.dumps(states).encode(), digest_size=16).hexdigest()
    return [[f"{len(states)} files", digest, sum(state[1] for state in states)]]


_NAMED = 100
"""Files that are named one by one; a hash stands for more."""


def _line(number: int, row: Row, image: str | None, caption: str) -> bytes:
    key = None if image else str(number)
    return json.dumps([key, image, caption, row.negatives], ensure_ascii=False).encode() + b"\n"


def _deal(folder: Path, units: int) -> None:
    """Split the one file by a hash of what stands first of key and image: equal corpora give equal units."""
    held: list[list[bytes]] = [[] for _ in range(units)]
    size = 0
    with open(folder / _ALL, "rb") as file:
        for line in file:
            key, image, _, _ = json.loads(line)
            held[_number(image or key) % units].append(line)
            size += len(line) + 50  # of a bytes object and its place in the list
            if size > _HELD:
                _write(folder, held)
                size = 0
    _write(folder, held, last=True)
    (folder / _ALL).unlink()


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def _write(folder: Path, held: list[list[bytes]], *, last: bool = False) -> None:
    for number, lines in enumerate(held):
        if lines or last:  # a unit without any is one all the same
            with open(unit_file(folder, number), "ab") as file:
                file.writelines(lines)
            lines.clear()
