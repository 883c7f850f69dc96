"""The moving average of the weights (EMA), which is validated, selected and saved in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class WeightAverage:
    """``average = decay * average + (1 - decay) * weights`` after each optimiser step (Polyak averaging).

    It begins with the weights of the first step. Frozen parameters are not copied. Statistics of BatchNorm
    are averaged as the weights are. Make it after Accelerate has prepared the method, whose tensors it holds.

    Args:
        method: What is trained.
        decay: Share of the average that stays in each step.
    """

    def __init__(self, method: nn.Module, *, decay: float) -> None:
        self._live = _learned(method)
        # buffers too: by default they are copied, and other statistics would meet the averaged weights
        self._average = AveragedModel(self._live, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)

    def update(self) -> None:
        """Take in the weights of a step."""
        self._average.update_parameters(self._live)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the method has the averaged weights, after it its own again."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state_dict(self) -> dict[str, Any]:
        """The average and its number of steps; not while it is applied."""
        return self._average.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state of :meth:`state_dict`."""
        self._average.load_state_dict(state)

    @torch.no_grad()
    def _swap(self) -> None:
        mine, live = self._average.module.state_dict(), self._live.state_dict()
        for name, value in live.items():
            kept = value.clone()
            value.copy_(mine[name])
            mine[name].copy_(kept)


def _learned(method: nn.Module) -> nn.Module:
    """What training changes, under its names (modules allow no dot in a name): the method's own tensors."""
    learned = nn.Module()
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            learned.register_parameter(name.replace(".", "/"), parameter)
    for prefix, part in method.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            for name, value in part.named_buffers(prefix, recurse=False):
                if value.is_floating_point():  # the count of batches is no statistic
                    learned.register_buffer(name.replace(".", "/"), value)
    return learned
