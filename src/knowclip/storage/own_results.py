"""A folder of results: what knowclip wrote there is added to and replaced, a person's own files never are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from knowclip.storage.own_folder import NAMED, another, refusal

GENERATOR = '<meta name="generator" content="knowclip">'
"""In the head of a page: whose it is, from the moment that it is there."""
HEAD = 2000
"""Characters of a page that tell it."""
_PAGE = ("report.html", "report.md", "results.json", "plots", "seeds.json")
_RECORDS = {
    "results.json": ("methods", _PAGE),
    "diagnosis.json": ("ladders", ("diagnosis.json", "ladder.png")),
    "swaps.json": ("readers_saw", ("swaps.json",)),
}
"""File that a command writes -> a key by which it is known, and what lies beside it."""
_ITEMS = ("swaps.jsonl", "absent.json")
"""Names that no one else gives; ``swaps`` writes the first before its record."""


def refuse_foreign(folder: Path, told: str, *, marks: frozenset[str]) -> None:
    """Refuse a folder in which, or in a folder of which, anything lies but results and pages of knowclip.

    Args:
        folder: Need not be there.
        told: How a person knows it, as in ``--out runs/mine``.
        marks: Files by which a folder in it is known to be another command's, and is not looked into.

    Raises:
        ValueError: Naming the first of the others.
    """
    if folder.is_dir():
        found = [*islice(_foreign(folder, marks), NAMED + 1)]
        if found:
            names = [path.relative_to(folder).as_posix() for path in found]
            way = another(folder, "results")
            raise refusal(f"{told} is no folder of results: it", names, replaced=False, way=way)


def _foreign(folder: Path, marks: frozenset[str]) -> Iterator[Path]:
    """What knowclip did not write, as far as names and marks tell, hidden files aside."""
    written = _written(folder)
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name in written:
            continue
        if entry.is_dir():
            if not any((entry / mark).is_file() for mark in marks):
                yield from _foreign(entry, marks)
        elif not (entry.name in _ITEMS or entry.match("*@*.parquet")):
            yield entry


def _written(folder: Path) -> set[str]:
    """Names in a folder that the records there, or its page, tell to be knowclip's."""
    found: set[str] = set()
    for name, (key, beside) in _RECORDS.items():
        try:
            told = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(told, dict) and key in told:
            found |= {*beside}
    return found | ({*_PAGE} - {"results.json"} if _is_page(folder / "report.html") else set())


def _is_page(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return GENERATOR in file.read(HEAD)
    except OSError:
        return False
