"""One linear map behind the text tower, and its fold into the projection that the tower ends with.

Shape legend: M texts, D embedding width, W tower width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from open_clip.hf_model import HFTextEncoder
from torch import nn
from torch.nn import functional as F

from knowclip.models.text_length import text_tower

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from knowclip.models.clip import DualEncoder


class LinearMap(nn.Module):
    """A D x D map of the text embedding, the identity at first (LABCLIP, Koishigarina et al. 2025)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(width))

    def forward(self, texts: Float[Tensor, "M D"]) -> Float[Tensor, "M D"]:
        """Mapped texts, of length 1; their own length is of no account."""
        return F.normalize(texts @ self.matrix, dim=-1)


def text_projection(model: DualEncoder) -> nn.Parameter | nn.Linear:
    """Return the last linear step of the text tower: a matrix ``[W, D]`` or a layer, with or without bias.

    Raises:
        ValueError: The tower ends without one, so that nothing behind it can be folded.
    """
    tower = text_tower(model.model)
    last = tower.proj if isinstance(tower, HFTextEncoder) else tower.text_projection
    if isinstance(last, nn.Sequential):
        last = last[-1]
    if isinstance(last, nn.Parameter | nn.Linear):
        return last
    raise ValueError(
        f"the text tower ({type(tower).__name__}) ends without a linear projection, so that no map can be "
        "folded into its weights: take a model whose text_cfg has one (proj_type or hf_proj_type 'linear')"
    )


@torch.no_grad()
def fold_text_map(model: DualEncoder, matrix: Float[Tensor, "D D"]) -> None:
    """Change the text tower so that it embeds ``t @ matrix`` where it embedded ``t``; nothing is added to it.

    Exact but for rounding: products are made in double precision and rounded once to the weights' own.

    Args:
        model: Changed in place.
        matrix: As ``LinearMap.matrix``.

    Raises:
        ValueError: The tower has no projection, or the map is of another width.
    """
    projection = text_projection(model)
    if matrix.shape != (model.embed_dim, model.embed_dim):
        raise ValueError(f"embeddings are {model.embed_dim} wide, and the map is {list(matrix.shape)}")
    exact = matrix.cpu().double()  # not on the device: mps has no doubles
    if isinstance(projection, nn.Parameter):
        projection.copy_(projection.cpu().double() @ exact)
        return
    projection.weight.copy_(exact.T @ projection.weight.cpu().double())
    if projection.bias is not None:
        projection.bias.copy_(projection.bias.cpu().double() @ exact)
