"""CLIP: nothing to choose but what stands beside it."""

from __future__ import annotations

from typing import ClassVar, Literal

from knowclip.recipe.data import DataConfig
from knowclip.recipe.methods.contrastive import ContrastiveSection


class ClipConfig(ContrastiveSection):
    """``methods/clip.py``."""

    name: Literal["clip"]
    implementation: ClassVar[str] = "knowclip.methods.clip:Clip"

    def check_data(self, data: DataConfig) -> None:
        """Refuse negatives."""
        if data.negatives.per_caption:
            raise ValueError(f"method {self.name} uses no negatives: set data.negatives.per_caption to 0")
