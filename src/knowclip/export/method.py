"""A method's own weights beside its CLIP, so that evaluation can build the method again.

The folder stays a drop-in CLIP (``export.open_clip``). A method with weights of its own (a fusion encoder, a
knowledge encoder) adds ``method.safetensors``, all its tensors that are not the CLIP's, and ``method.json``:
``{"name": its recipe name, "package": a plug-in's, "settings": Method.settings()}``.
``build.method.load_method`` reads them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from knowclip.export.open_clip import MODEL_FILE, save_pretrained
from knowclip.methods.method import Method
from knowclip.models.loading.weight_files import read_content, read_json
from knowclip.plugins import names, origin
from knowclip.recipe.methods.registry import METHODS
from knowclip.storage.atomic import atomic_folder

WEIGHTS, SETTINGS = "method.safetensors", "method.json"


def save_method(method: Method, folder: str | Path, *, name: str) -> None:
    """Write a checkpoint folder, whole or not at all.

    Args:
        method: Trained, or not.
        folder: An older one is replaced.
        name: The method's name in recipes.
    """
    with atomic_folder(Path(folder)) as temporary:
        save_pretrained(method.model, temporary)
        if own := own_tensors(method):
            save_file(own, temporary / WEIGHTS, metadata={"format": "pt"})
            kept = {"name": name, "package": origin("method", name), "settings": method.settings()}
            text = json.dumps(kept, indent=2, ensure_ascii=False)
            (temporary / SETTINGS).write_text(text + "\n", encoding="utf-8")


def own_tensors(method: nn.Module) -> dict[str, Tensor]:
    """Copies, on the CPU, of a method's tensors without those of its ``model``, nor of terms beside it."""
    return {
        name: tensor.detach().cpu().clone()
        for name, tensor in method.state_dict().items()
        if not name.startswith(("model.", "terms."))
    }


def read_settings(folder: Path) -> tuple[str, dict[str, Any]]:
    """Name and settings of the method that a checkpoint folder keeps.

    Raises:
        ValueError: There is none: it holds a CLIP alone; or one of a package that is not installed.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise ValueError(
            f"{folder} has no {SETTINGS}: it is a CLIP alone, without a method's own weights; give a run's "
            "best or last folder of a method that has some (knowledge_clip, structure_clip, joint)"
        )
    found = read_json(path)
    if found["name"] not in names("method", METHODS):
        package = found.get("package") or "another package"
        raise ValueError(
            f"{path} is of the method {found['name']!r} of {package}, which is "
            f"not installed: install it, or load the CLIP alone from {folder / MODEL_FILE}"
        )
    return found["name"], found["settings"]


def load_own_tensors(method: nn.Module, folder: Path) -> None:
    """Fill in a method's own tensors.

    Raises:
        ValueError: The file cannot be read, or has other tensors than the method.
    """
    weights = read_content(folder / WEIGHTS)
    result = method.load_state_dict(weights, strict=False)
    missing = [name for name in result.missing_keys if not name.startswith("model.")]
    if missing or result.unexpected_keys:
        unknown = ", ".join(result.unexpected_keys) or "none"
        raise ValueError(
            f"{folder / WEIGHTS} does not fit {type(method).__name__}: missing "
            f"{', '.join(missing) or 'none'}; unknown {unknown}; was it written by another version?"
        )
