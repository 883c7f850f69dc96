"""A folder that a command has for itself: what else lies in it would be replaced, or mixed with its files."""

from __future__ import annotations

from pathlib import Path

NAMED = 3
"""Files that a refusal names."""
WAY = "choose another folder, or empty this one"


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
        more = ", ..." if len(others) > NAMED else ""
        raise ValueError(
            f"{told or folder} holds other files{', which would be replaced' if replaced else ''} "
            f"({', '.join(others[:NAMED])}{more}): {WAY}"
        )
