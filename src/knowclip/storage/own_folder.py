"""A folder that a command has for itself: what else lies in it would be replaced, or mixed with its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

NAMED = 3
"""Files that a refusal names."""


def refuse_others(
    folder: Path, told: str = "", *, ours: tuple[str, ...] = (), replaced: bool = False
) -> None:
    """Refuse a folder in which anything lies but what is ours.

    Args:
        folder: Need not be there.
        told: How a person knows it, as in ``--out runs/mine``; the folder by default.
        ours: Beginnings of the names that may lie there: hidden files, or what a stopped command left.
        replaced: Whether the folder is written anew, and the others would be gone.

    Raises:
        ValueError: Naming the first of the others.
    """
    if not folder.is_dir():
        return
    others = sorted(entry.name for entry in folder.iterdir() if not (ours and entry.name.startswith(ours)))
    if others:
        raise refusal(told or str(folder), others, replaced=replaced, way=another(folder))


def refuse_unrecorded(folder: Path, told: str, *, mark: str) -> None:
    """Refuse a folder that is to be replaced, and holds a file that its mark does not name.

    Args:
        folder: Need not be there.
        told: As :func:`refuse_others`.
        mark: JSON file that the command writes there last, with :func:`files_of` the folder as ``files``.

    Raises:
        ValueError: Naming the first of the others; all are, where there is no mark.
    """
    if others := sorted({*files_of(folder)} - {mark, *_recorded(folder / mark)}):
        raise refusal(told, others, replaced=True, way=another(folder))


def files_of(folder: Path) -> list[str]:
    """Every file in a folder and below it, relative to it; none where there is no folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def _recorded(mark: Path) -> list[str]:
    try:
        return [str(name) for name in json.loads(mark.read_text(encoding="utf-8"))["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def another(folder: Path, ending: str = "new") -> str:
    """What to do where a folder is taken: never to empty it, it may hold a person's photos."""
    return f"choose another folder, such as {folder.parent / f'{folder.absolute().name}-{ending}'}"


def refusal(told: str, others: Sequence[str], *, replaced: bool, way: str) -> ValueError:
    """The error that names the first of the files that are not ours, and what to do."""
    more = ", ..." if len(others) > NAMED else ""
    return ValueError(
        f"{told} holds other files{', which would be replaced' if replaced else ''} "
        f"({', '.join(others[:NAMED])}{more}): {way}"
    )
