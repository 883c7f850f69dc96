"""From the gradients of a step to new weights: averaged, unscaled, measured, clipped, taken."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.optim import Optimizer

from knowclip.methods.method import Method

if TYPE_CHECKING:
    from knowclip.training.sharding import Shards

MAX_LOGIT_SCALE = math.log(100)
"""CLIP's own ceiling: no cosine counts more than a hundredfold (Radford et al. 2021)."""


class Update:
    """Takes the steps of a run.

    Args:
        method: What is trained.
        optimizer: Over its parameters, whole or this process's part of it.
        clip_grad: Largest global norm of the gradient, or None.
        scaler: Of float16, whose small gradients would vanish; None in other precisions.
        shards: Where parameters are cut; None: each process has them whole.
    """

    def __init__(
        self,
        method: Method,
        optimizer: Optimizer,
        *,
        clip_grad: float | None,
        scaler: torch.amp.GradScaler | None,
        shards: Shards | None,
    ) -> None:
        self.method = method
        self.optimizer = optimizer
        self.limit = math.inf if clip_grad is None else clip_grad
        self.scaler = scaler
        self.shards = shards

    def clip(self) -> float:
        """Clip the gradient of all processes to the limit; return its global norm before."""
        if self.shards is not None:
            self.shards.reduce_gradients()
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self.shards is not None:
            norm = self.shards.gradient_norm()
        else:
            norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        nn.utils.clip_grads_with_norm_(parameters, self.limit, norm)
        return norm.item()

    def step(self) -> None:
        """Take the step."""
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.optimizer.zero_grad()
        self._clamp_logit_scale()

    def skip(self) -> None:
        """Leave the weights as they are; float16 may have overflowed, so a scaler lowers its scale."""
        if self.scaler is not None:
            self.scaler.update()
        self.optimizer.zero_grad()

    @torch.no_grad()
    def _clamp_logit_scale(self) -> None:
        """Keep temperatures where CLIP keeps its own; sigmoid models are published beyond it."""
        model = self.method.model
        for name, parameter in self.method.named_parameters():
            if name.endswith("logit_scale") and (
                parameter is not model.logit_scale or model.logit_bias is None
            ):
                parameter.clamp_(0, MAX_LOGIT_SCALE)
