"""What a person may have meant by a path that is not there."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

_LIKE = 0.55
"""How alike two names are at least (difflib's ratio): ``mni`` and ``mine`` are, in a folder that has both."""


def nearest(path: Path) -> tuple[Path, str, Path | None]:
    """The nearest folder there is above a path that is not there, what it lacks, and what it has instead."""
    parent = next((p for p in path.parents if p.is_dir()), Path("."))
    below = path.relative_to(parent).parts[0] if path.parent != path else path.name
    near = get_close_matches(below, [entry.name for entry in parent.iterdir()], n=1, cutoff=_LIKE)
    return parent, below, parent / near[0] if near else None
