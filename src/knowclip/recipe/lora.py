"""Section ``model.lora``: low-rank adapters in place of the towers' own weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from knowclip.recipe.section import Section


class LoraConfig(Section):
    """LoRA on every trainable linear layer of both towers, attention included; all else is frozen.

    Temperature, bias and what a method adds beside the towers learn as ever; locked towers and layers get
    none. Checkpoints hold plain weights, every update merged.
    """

    r: PositiveInt = 8
    """Rank of each update."""
    alpha: PositiveFloat = 16
    """Updates count ``alpha / r``-fold."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of an adapter's inputs, in training."""
    dora: bool = False
    """Norms of the weights learn apart from their directions."""
    rslora: bool = False
    """``alpha / sqrt(r)`` in place of ``alpha / r``."""
    targets: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Parts of names of layers (``attn``, ``mlp.c_fc``), convolutions too; null: all linear layers."""
    train: tuple[str, ...] = ()
    """Prefixes of names of parameters that learn whole, such as ``visual.head.`` and ``text.proj.``."""
