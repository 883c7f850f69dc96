"""Section ``output``: where results go."""

from __future__ import annotations

from pathlib import Path

from pydantic import PositiveInt

from knowclip.recipe.section import Section


class OutputConfig(Section):
    """Where results go."""

    folder: Path
    """The run's folder."""
    keep_last: PositiveInt = 1
    """Checkpoints to resume from: ``last``, and before it ``last-STEP``, for the day when it is damaged."""
    wandb: str | None = None
    """Project on Weights & Biases."""
