"""Sections ``optimizer`` and ``schedule`` -> AdamW, and its learning rate over the steps."""

from __future__ import annotations

from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from knowclip.methods.method import Method
from knowclip.models.towers import output_distances
from knowclip.recipe.optimizer import OptimizerConfig, ScheduleConfig
from knowclip.training.optim import adamw, warmup_cosine


def build_optimizer(config: OptimizerConfig, method: Method) -> AdamW:
    """Build AdamW over a method; its parameters are named as in open_clip, whatever wraps the model."""
    named = ((name.removeprefix("model.model."), p) for name, p in method.named_parameters())
    distances = output_distances(method.model.model) if config.layer_decay < 1 else None
    return adamw(named, distances=distances, **config.model_dump())


def build_scheduler(config: ScheduleConfig, optimizer: Optimizer, *, steps: int) -> LambdaLR:
    """Build the learning rate's course over the run's optimiser steps."""
    return warmup_cosine(optimizer, steps=steps, **config.model_dump())
