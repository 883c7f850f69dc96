"""Sections ``optimizer`` and ``schedule``: AdamW, and its learning rate over the steps."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat

from knowclip.recipe.section import Section


class OptimizerConfig(Section):
    """AdamW."""

    lr: PositiveFloat = 1e-5
    """The learning rate after the warm-up."""
    weight_decay: NonNegativeFloat = 0.1
    """Of matrices; biases, norms, positions and temperatures have none."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decays of the running means of the gradient and of its square."""
    eps: PositiveFloat = 1e-6
    """Added to the root of the latter."""
    lr_multipliers: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    """Prefix of parameter names, as open_clip has them (``visual.``) -> factor on ``lr``."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the learning rate from each layer of a tower to the one before it; the head has ``lr``."""


def _steps_or_share(warmup: float) -> int | float:
    if warmup < 1:
        return warmup
    if warmup % 1:
        raise ValueError(f"{warmup:g} is neither a whole number of optimiser steps nor a share below 1")
    return int(warmup)


class ScheduleConfig(Section):
    """Linear warm-up, then a cosine, in optimiser steps."""

    warmup: Annotated[int | float, Field(ge=0), AfterValidator(_steps_or_share)] = 0
    """Optimiser steps; below 1 the share of the run's steps, so that a short run has a short one."""
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Where the cosine ends, as a share of ``lr``."""
