"""A model's file of weights, recognised without loading the model: to load one takes seconds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from knowclip.preflight.models import MODELS, open_clip_architectures, own_architectures, shipped_models

FILE = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"
_LENGTH = 8
"""Bytes before the header of a safetensors file: its length."""


def weights_of(model: str | Path) -> list[str] | None:
    """SHA-256 of what tensors a checkpoint has, by name, type and shape, and of their numbers.

    Of two models with the same tensors, other numbers are other weights. None where this says nothing: no
    ``open_clip_model.safetensors``, as of an architecture, another library's checkpoint, or a hub's.
    """
    folder = next((folder for folder in _folders(model) if (folder / FILE).is_file()), None)
    if folder is None:
        return None
    with (folder / FILE).open("rb") as file:
        try:
            header = json.loads(file.read(int.from_bytes(file.read(_LENGTH), "little")))
            header.pop("__metadata__", None)  # who wrote it, and when: no weights
        except (ValueError, AttributeError, TypeError, OverflowError, MemoryError):
            return None  # broken: told by what loads it
        tensors = hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
        return [tensors, hashlib.file_digest(file, "sha256").hexdigest()]


def width_of(model: str | Path) -> int | None:
    """D of a checkpoint, as its configuration says; None where there is none of open_clip's."""
    for folder in _folders(model):
        try:
            width = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["model_cfg"]["embed_dim"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not there, or broken: told by what loads it
        return width if isinstance(width, int) else None
    return None


def _folders(model: str | Path) -> list[Path]:
    """Where ``models.loading`` finds the weights of a name or path: a shipped model, a folder, a run."""
    if model in (*own_architectures(), *open_clip_architectures()):
        return []
    folder = MODELS / "shipped" / model if model in shipped_models() else Path(model)
    return [folder, folder / "best"]
