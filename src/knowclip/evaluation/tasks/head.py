"""Small heads over the features of one or two sides (image and text, or two sentences).

Shape legend: B batch, D embedding width, L tokens, W tower width, H hidden width, C outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor


class PooledHead(nn.Module):
    """Two-layer perceptron over pooled embeddings.

    Two sides are fused as ``[a, b, a * b, |a - b|]`` (InferSent, Conneau et al. 2017), each normalised by
    its own LayerNorm first.

    Args:
        widths: D of each side; two sides must be of one width.
        outputs: C.
        hidden: H.
        dropout: after the hidden layer.
    """

    def __init__(self, widths: list[int], *, outputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        if len(widths) not in (1, 2) or len(set(widths)) != 1:
            raise ValueError(f"sides of widths {widths}; expected one, or two of one width")
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths)
        fused = widths[0] * (4 if len(widths) == 2 else 1)
        self.layers = nn.Sequential(
            nn.Linear(fused, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, outputs)
        )

    def forward(self, *sides: Float[Tensor, "B D"]) -> Float[Tensor, "B C"]:
        """Logits."""
        normed = [norm(side) for norm, side in zip(self.norms, sides, strict=True)]
        if len(normed) == 2:
            a, b = normed
            normed += [a * b, (a - b).abs()]
        return self.layers(torch.cat(normed, dim=1))


class TokenHead(nn.Module):
    """Text tokens that look at image tokens: two Transformer decoder layers, read at a head token.

    Args:
        image_width: W of the image tower's tokens.
        text_width: W of the text tower's tokens.
        outputs: C.
        hidden: H, the head's own width, a multiple of 32.
        dropout: in the layers.
    """

    def __init__(
        self, image_width: int, text_width: int, *, outputs: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        if hidden % 32:
            raise ValueError(f"hidden={hidden}: the token head's width must be a multiple of 32 (its heads)")
        self.image = nn.Sequential(nn.LayerNorm(image_width), nn.Linear(image_width, hidden))
        self.text = nn.Sequential(nn.LayerNorm(text_width), nn.Linear(text_width, hidden))
        self.head = nn.Parameter(torch.randn(hidden) * hidden**-0.5)
        layer = nn.TransformerDecoderLayer(
            hidden, hidden // 32, 2 * hidden, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerDecoder(layer, 2, norm=nn.LayerNorm(hidden))
        self.output = nn.Linear(hidden, outputs)

    def forward(
        self,
        image: tuple[Float[Tensor, "B N W"], Bool[Tensor, "B N"]],
        text: tuple[Float[Tensor, "B L W"], Bool[Tensor, "B L"]],
    ) -> Float[Tensor, "B C"]:
        """Logits from (tokens, mask of real tokens) of both sides."""
        image_tokens, image_mask = image
        text_tokens, text_mask = text
        # first, where it is read whatever the length of the text
        head = self.head.expand(len(text_tokens), 1, -1)
        queries = torch.cat([head, self.text(text_tokens)], dim=1)
        padding = torch.cat([torch.zeros_like(text_mask[:, :1]), ~text_mask], dim=1)
        output = self.layers(
            queries,
            self.image(image_tokens),
            tgt_key_padding_mask=padding,
            memory_key_padding_mask=~image_mask,
        )
        return self.output(output[:, 0])
