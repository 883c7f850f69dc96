"""Steps whose loss or gradient is not finite: none changes the model, each is told by its examples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from knowclip.types import Batch

_NAMED = 8
"""Examples that a message names; the log has all."""


class RunningStatistics:
    """BatchNorm's running statistics as they are now: a forward alone moves them, and NaN stays in them.

    Args:
        module: In training mode; parts in eval mode, whose statistics stand still, are left out.
    """

    def __init__(self, module: nn.Module) -> None:
        self._kept: list[tuple[Tensor, Tensor]] = [
            (buffer, buffer.clone())
            for part in module.modules()
            if isinstance(part, _NormBase) and part.training
            for buffer in part.buffers(recurse=False)
        ]

    def restore(self) -> None:
        """Put them back."""
        with torch.no_grad():
            for buffer, kept in self._kept:
                buffer.copy_(kept)


def is_finite(numbers: Mapping[str, float], *, accelerator: Accelerator) -> bool:
    """Whether ``loss`` and ``grad_norm`` are finite on every process: all take a step, or none does."""
    finite = math.isfinite(numbers["loss"]) and math.isfinite(numbers["grad_norm"])
    if accelerator.num_processes == 1:
        return finite
    flag = torch.tensor(float(not finite), device=accelerator.device)
    return not accelerator.reduce(flag, "sum").item()


def examples_of(batch: Batch) -> dict[str, list[str]]:
    """Keys of the pairs and of the triplets of a step, of all processes; every process must call it."""
    mine = (list(batch.keys), list(batch.graph.keys) if batch.graph else [])
    pairs, triplets = zip(*gather_object([mine]), strict=True)
    return {"keys": [*chain(*pairs)], "triplets": [*chain(*triplets)]}


def shown(numbers: Mapping[str, float], examples: Mapping[str, list[str]]) -> str:
    """``(loss nan, ...; batch: key, key and 6 more)``."""
    values = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
    keys = "; ".join(
        ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        for names in examples.values()
        if names
    )
    return f"({values}; batch: {keys})"
