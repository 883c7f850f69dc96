"""Section ``output``: where results go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import PositiveInt, field_validator

from knowclip.recipe.section import Section


class OutputConfig(Section):
    """Where results go."""

    folder: Path
    """The run's folder."""
    keep_last: PositiveInt = 1
    """Checkpoints to resume from: ``last``, and before it ``last-STEP``, for the day when it is damaged."""
    wandb: str | None = None
    """Project on Weights & Biases."""

    @field_validator("wandb", mode="before")
    @classmethod
    def _name_of_a_project(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, str):
            raise ValueError(
                f"got {value!r}; give the name of the project to log to, as in output.wandb=my-clips, or null"
            )
        return value
