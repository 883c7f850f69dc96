"""NegCLIP's options."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat

from knowclip.recipe.data import DataConfig
from knowclip.recipe.methods.contrastive import ContrastiveSection


class NegClipConfig(ContrastiveSection):
    """``methods/negclip.py``."""

    name: Literal["negclip"]
    implementation: ClassVar[str] = "knowclip.methods.negclip:NegClip"
    own_negative_weight: NonNegativeFloat = 0.0
    """Weight of the choice between a caption and its own negatives; 0 is NegCLIP as published."""

    def check_data(self, data: DataConfig) -> None:
        """Ask for negatives."""
        if not data.negatives.per_caption:
            raise ValueError(
                f"method {self.name} learns from negatives: set data.negatives.per_caption to 1 or more"
            )
