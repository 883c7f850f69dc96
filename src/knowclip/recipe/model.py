"""Section ``model``: what to train."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from knowclip.recipe.lora import LoraConfig
from knowclip.recipe.section import Section


class ModelConfig(Section):
    """What to train: an architecture and weights, or a checkpoint."""

    name: str
    """Architecture, checkpoint file or folder, or ``hf-hub:`` name (``models.loading.load``)."""
    pretrained: str | None = None
    """Pretrained tag or file of weights for an architecture's name; ``random`` for fresh ones."""
    activation: Literal["gelu", "quick_gelu"] | None = None
    """For weights that do not say which they need."""
    preprocess: str | None = None
    """For a bare file of weights: the pretrained tag whose preprocessing it was trained with."""
    lock_image: bool = False
    """Freeze the image trunk and keep it in eval mode."""
    trunk_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on the cached features of a locked trunk."""
    freeze_batch_norm: bool = False
    """Leave BatchNorm's running statistics as they are: else crops of regions shift those of whole images."""
    unlocked_text_layers: NonNegativeInt | None = None
    """Train only so many of the text tower's last layers, and its head; the whole tower when null."""
    lock_text: bool = False
    """Freeze the whole text tower, its head included, and keep it in eval mode."""
    text_cache: NonNegativeFloat = 0.0
    """GB of memory for what locked text layers give, each distinct text's once; 0: none. They then have no
    dropout."""
    lora: LoraConfig | None = None
    """Adapters that learn in place of the weights; null: none."""
