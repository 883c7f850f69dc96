"""Weights from files: safetensors and ``.pt`` as NegCLIP, CE-CLIP and open_clip's trainer publish them.

Files are read with ``weights_only=True``: a pickle that holds more than tensors and plain values is refused.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import open_clip
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")

_PREFERRED = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
    "pytorch_model.bin",
)


def find_weights(folder: Path) -> Path:
    """Return the file of weights of a checkpoint folder.

    Raises:
        ValueError: If there is none, or several of which none has open_clip's name.
    """
    for name in _PREFERRED:
        if (folder / name).is_file():
            return folder / name
    files = [path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES]
    if len(files) != 1:
        found = ", ".join(path.name for path in files) or "none"
        raise ValueError(f"{folder}: expected {_PREFERRED[0]} or one file of weights, found {found}")
    return files[0]


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict: bare, or under ``state_dict`` beside optimizer and epoch; ``module.`` is taken off.

    Raises:
        ValueError: If the file is broken, holds more than tensors, or no state dict.
    """
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, SafetensorError) as error:
        raise ValueError(f"{path}: {_explain(error)}") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not state or not all(torch.is_tensor(t) for t in state.values()):
        keys = f" with keys {list(content)[:8]}" if isinstance(content, dict) else ""
        raise ValueError(
            f"{path}: expected a state dict of tensors, bare or under 'state_dict', "
            f"got a {type(content).__name__}{keys}"
        )
    return {key.removeprefix("module."): tensor for key, tensor in state.items()}


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a whole open_clip model in place, with the conversions of ``open_clip.load_checkpoint``.

    Raises:
        ValueError: If the file cannot be read, or parameters are missing, left over or of another shape.
    """
    read_state_dict(path)  # for its errors: open_clip's own do not name the file or the cause
    try:
        open_clip.load_checkpoint(model, str(path))
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"{path} holds no weights of this architecture: {error}") from error


def refuse_not_finite(model: nn.Module, origin: str) -> None:
    """Raise ValueError naming the tensors that hold NaN or infinity."""
    broken = [
        key for key, t in model.state_dict().items() if t.is_floating_point() and not t.isfinite().all()
    ]
    if broken:
        raise ValueError(
            f"{origin}: {len(broken)} tensors hold NaN or infinity ({', '.join(broken[:3])}...): "
            "the training that wrote them diverged; take an earlier checkpoint"
        )


def _explain(error: Exception) -> str:
    text = str(error)
    if "TorchScript" in text:
        return (
            "a TorchScript archive, not a state dict: save its state_dict() first, or load a pretrained tag"
        )
    if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in text:
        return (
            "the pickle holds objects beyond tensors; to load them would run whatever code it names. "
            "If you trust it, load it with torch.load(..., weights_only=False) yourself and save its "
            f"state_dict alone. ({text.strip().splitlines()[0]} {_forbidden(text)})"
        )
    return (
        f"no readable checkpoint ({text.strip().splitlines()[0] if text.strip() else type(error).__name__})"
    )


def _forbidden(text: str) -> str:
    """Return the line of torch's message that names the object."""
    return next((line.strip() for line in text.splitlines() if "GLOBAL" in line), "")
