"""Whose a folder is: each command that keeps one for itself writes a file by which it is known."""

from __future__ import annotations

from pathlib import Path

OTHERS = {
    "recipe.yaml": "a training",
    "open_clip_config.json": "a checkpoint",
    "knowclip_config.json": "a checkpoint",
    "onnx_config.json": "an ONNX export",
    "photos.db": "an index of photos",
    "prepared.json": "prepared captions",
    "graph.json": "a knowledge graph",
}
"""File -> whose folder it tells."""


def other_folder(path: Path) -> str | None:
    """Whose folder it is, with the file that tells; None where none of ``OTHERS`` lies in it."""
    told = (f"the folder of {what} ({mark})" for mark, what in OTHERS.items() if (path / mark).is_file())
    return next(told, None)
