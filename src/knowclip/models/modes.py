"""Eval mode for a while, of a module or of its BatchNorm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in eval mode, then each of its parts back in the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def batch_norm_at_rest(module: nn.Module) -> Iterator[None]:
    """Within it every BatchNorm normalises by its running statistics and leaves them as they are."""
    running = [
        part
        for part in module.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.training
    ]
    for part in running:
        part.training = False
    try:
        yield
    finally:
        for part in running:
            part.training = True
