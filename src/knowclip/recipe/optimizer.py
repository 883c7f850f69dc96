"""Sections ``optimizer`` and ``schedule``: AdamW, and its learning rate over the steps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from knowclip.recipe.section import Section


class OptimizerConfig(Section):
    """AdamW."""

    lr: PositiveFloat = 1e-5
    weight_decay: NonNegativeFloat = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    eps: PositiveFloat = 1e-6
    lr_multipliers: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    """Prefix of parameter names, as open_clip has them (``visual.``) -> factor on ``lr``."""


class ScheduleConfig(Section):
    """Linear warm-up, then a cosine, in optimiser steps."""

    warmup: NonNegativeInt = 0
    """Optimiser steps."""
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Where the cosine ends, as a share of ``lr``."""
