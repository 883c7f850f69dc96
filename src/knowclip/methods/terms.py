"""What a recipe adds to a method: further features of a batch, and losses on them.

A term is a mechanism of its own beside the method's losses: none of them knows it. It is part of the method
while that trains; what it has learned for itself is thrown away with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from knowclip.knowledge.parsing.triple_phrases import PhraseIds
    from knowclip.models.clip import DualEncoder
    from knowclip.types import Batch, Features


class Term(nn.Module, ABC):
    """A mechanism that is switched on and off by a recipe, whatever the method."""

    @property
    def phrase_ids(self) -> PhraseIds | None:
        """Turns phrases of triples into token ids, where it reads the triples of captions."""
        return None

    @abstractmethod
    def features(self, model: DualEncoder, batch: Batch, features: Features) -> dict[str, Tensor]:
        """Fields of :class:`~knowclip.types.Features` beyond those that the method has filled in."""

    @abstractmethod
    def losses(self, features: Features) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Weighted scalar terms (keys end in ``_loss``), and detached numbers for the log."""


def encoded(model: DualEncoder, texts: Int[Tensor, "M L"]) -> Float[Tensor, "M D"]:
    """L2-normalised embeddings of texts in float32; of none, which towers do not take, none."""
    if not len(texts):
        return torch.zeros(0, model.embed_dim, device=model.device)
    return model.encode_text(texts, normalize=True).float()
