"""Section ``output``: where results go."""

from __future__ import annotations

from pathlib import Path

from knowclip.recipe.section import Section


class OutputConfig(Section):
    """Where results go."""

    folder: Path
    """The run's folder."""
    wandb: str | None = None
    """Project on Weights & Biases."""
