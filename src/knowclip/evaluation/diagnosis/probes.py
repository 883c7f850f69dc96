"""Small readers that are asked who has what: linear in a pooled embedding, or pooling tokens by attention.

Shape legend: B batch, K holders asked of a vector, H holders, P properties, R rank, D embedding width,
L tokens, W their width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from knowclip.evaluation.diagnosis.features import Asked

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

RANK = 8
"""Numbers in which a holder's properties are told apart. Fewer than there are properties: a pair never seen
is then read by what the holder's other properties and the property's other holders taught."""
FEW_HOLDERS = 200
"""Up to here one product with the maps of all holders costs less than taking a map for each question."""
FLOOR = 1e-4
"""Share of the largest variance below which a direction is taken for noise when features are whitened."""


class Whitening:
    """Takes the mean away and gives every direction of the training features variance 1.

    Linear, so a linear probe stays one; without it the few directions in which an embedding varies most are
    all that a probe learns in reasonable time, and binding lies in small ones.

    Args:
        features: of the training part, ``[k, D]``.
    """

    def __init__(self, features: Float[Tensor, "k D"]) -> None:
        self.mean = features.mean(0)
        centred = (features - self.mean).double()
        variances, directions = torch.linalg.eigh(centred.T @ centred / max(1, len(features) - 1))
        kept = variances > FLOOR * variances.max().clamp_min(1e-12)
        self.matrix = (directions[:, kept] / variances[kept].sqrt()).float()

    def __call__(self, features: Float[Tensor, "... D"]) -> Float[Tensor, "... K"]:
        """``[..., D]`` to ``[..., K]``, K directions that vary."""
        return (features - self.mean) @ self.matrix


class Read(nn.Module):
    """What a vector says of holder h having property p: ``f_p . (U_h x)``, linear in x.

    A question's logit is what it says of caption minus swap, so that no bias takes part and a vector that is
    always the same answers by what is common alone.

    Args:
        width: D of the vectors.
        holders: H.
        properties: P.
    """

    def __init__(self, width: int, *, holders: int, properties: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(holders, RANK, width) * 0.1 * width**-0.5)
        self.codes = nn.Parameter(torch.randn(properties, RANK))

    def of(self, vectors: Float[Tensor, "B D"], holders: Int[Tensor, "B K"]) -> Float[Tensor, "B K {RANK}"]:
        """``U_h x`` of each vector and its K holders."""
        if len(self.maps) > FEW_HOLDERS:
            return torch.einsum("bkrd,bd->bkr", self.maps[holders], vectors)
        every = (vectors @ self.maps.flatten(0, 1).T).view(-1, *self.maps.shape[:2])
        return every[torch.arange(len(vectors))[:, None], holders]

    def forward(self, said: Float[Tensor, "B 2 {RANK}"], asked: Asked) -> Float[Tensor, " B"]:
        """Logits of B questions, of what is said of their two holders."""
        first, second = self.codes[asked.properties].unbind(1)
        return ((said[:, 0] - said[:, 1]) * (first - second)).sum(1)


class PooledProbe(nn.Module):
    """Linear probe of a pooled embedding."""

    def __init__(self, width: int, *, holders: int, properties: int) -> None:
        super().__init__()
        self.read = Read(width, holders=holders, properties=properties)

    def forward(self, pooled: Float[Tensor, "B D"], asked: Asked) -> Float[Tensor, " B"]:
        """Logits of B questions: positive, the caption; negative, its swap."""
        return self.read(self.read.of(pooled, asked.holders), asked)


class TokenProbe(nn.Module):
    """Looks for each holder among the tokens, by attention with a query of its own, and reads it there.

    Args:
        width: W of the tokens.
        places: L, where the order of the tokens is a place in the picture, which the probe may know; 0 where
            it is a place in a text, which the tokens must hold themselves.
        holders: H.
        properties: P.
    """

    def __init__(self, width: int, *, places: int, holders: int, properties: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(holders, width) * 0.1 * width**-0.5)
        self.places = nn.Parameter(torch.zeros(places, width))
        self.read = Read(width, holders=holders, properties=properties)

    def forward(
        self, tokens: tuple[Float[Tensor, "B L W"], Bool[Tensor, "B L"]], asked: Asked
    ) -> Float[Tensor, " B"]:
        """Logits of B questions."""
        values, mask = tokens
        if len(self.places):
            values = values + self.places[: values.shape[1]]
        found = self._found(values, mask, asked.holders).flatten(0, 1)
        said = self.read.of(found, asked.holders.flatten()[:, None])
        return self.read(said.view(len(values), 2, -1), asked)

    def _found(
        self, values: Float[Tensor, "B L W"], mask: Bool[Tensor, "B L"], holders: Int[Tensor, "B 2"]
    ) -> Float[Tensor, "B 2 W"]:
        """What stands where each of the two holders is; both in one pass over the tokens, which are many."""
        scores = self.queries[holders] @ values.mT
        return scores.masked_fill(~mask[:, None], float("-inf")).softmax(2) @ values
