"""Names that a pickle of weights may hold beside tensors: making one of these values does nothing else.

Trainers save numbers, arguments and random states beside the weights. ``torch.load(weights_only=True)`` knows
some of them; these are the others that checkpoints of this field hold. None runs code that the file brings.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch

_PATHS = {"PosixPath": PurePosixPath, "PurePosixPath": PurePosixPath,
          "WindowsPath": PureWindowsPath, "PureWindowsPath": PureWindowsPath}  # fmt: skip
_HYPERPARAMETERS = ("pytorch_lightning.utilities.parsing", "lightning.pytorch.utilities.parsing",
                    "lightning.fabric.utilities.data", "lightning_fabric.utilities.data")  # fmt: skip
"""Modules of Lightning's ``AttributeDict``, which is a dict."""


@contextmanager
def harmless_only() -> Iterator[None]:
    """While entered, ``torch.load(weights_only=True)`` knows ``harmless`` names and its own, and no others.

    Other libraries add theirs for the whole process: a ``defaultdict`` of theirs would stand for ours.
    """
    others = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with torch.serialization.safe_globals(harmless()):
            yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(others)


def harmless() -> list[Any]:
    """Names that a pickle may hold beside tensors: making one of these values does nothing else."""
    kinds = "?bhilqBHILQefdgFDG"
    dtypes = {type(np.dtype(code)) for code in kinds} | {type(np.dtype(code)) for code in "SUMm"}
    multiarray = np._core.multiarray if hasattr(np, "_core") else np.core.multiarray
    numbers = [
        (getattr(multiarray, name), f"numpy.{package}.multiarray.{name}")
        for name in ("scalar", "_reconstruct")
        for package in ("core", "_core")  # NumPy 1 and 2 write different names
    ]
    paths = [
        (pure, f"{module}.{name}")
        for module in ("pathlib", "pathlib._local")
        for name, pure in _PATHS.items()
    ]
    mappings = [(dict, f"{module}.AttributeDict") for module in _HYPERPARAMETERS]
    plain = [dict, list, int, float, frozenset, slice, range]
    arguments = [argparse.Namespace, torch.torch_version.TorchVersion]
    defaults = (_without_default, "collections.defaultdict")
    return [*numbers, np.ndarray, np.dtype, *dtypes, *paths, *mappings, defaults, *plain, *arguments]


def _without_default(*factory: Any) -> dict[Any, Any]:
    """A ``defaultdict`` as the plain mapping that is filled next: its factory is never asked."""
    return {}
