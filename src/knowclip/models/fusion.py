"""Knowledge-CLIP's fusion encoder (K3) and graph propagation (K6), over the towers' tokens.

Shape legend: E entities, L tokens of an entity, N tokens of all entities, Q relations, M masked triplets,
P tokens of a triplet, W fusion width, n nodes, e edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from timm.models.vision_transformer import Block
from torch import nn

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

MASKED = -1
"""In place of an element of a triplet: the element is masked."""

_HEAD, _RELATION, _TAIL = 1, 2, 3
"""Rows of the role encodings; row 0, zeros, is nothing's role."""


@dataclass(frozen=True, slots=True)
class Entities:
    """Tokens of E entities at fusion width, one after the other: no padding, whatever their lengths."""

    tokens: Float[Tensor, "N W"]
    start: Int[Tensor, " E"]
    length: Int[Tensor, " E"]


class FusionEncoder(nn.Module):
    """A Transformer over ``[<head>, x^h + P_h, xbar^r + P_r, x^t + P_t]`` (K3).

    A masked element is one zero vector, without role, whatever the element's length: else its length would
    tell what is masked. ``P`` are vectors of the role alone, since the towers' tokens know their positions
    already; so the order within a sequence is immaterial, and the relation's slot stands second. [ours, both]

    Args:
        text_width: Of the text tower's tokens.
        image_width: Of the image tower's tokens.
        relation_width: Of pooled texts.
        width: W; the paper has 1024.
        layers: Depth; the paper has 4.
        heads: Attention heads.
        drop_path: Highest rate of stochastic depth, rising linearly with depth; the paper has 0.1.

    Raises:
        ValueError: ``width`` is no multiple of ``heads``.
    """

    def __init__(
        self,
        *,
        text_width: int,
        image_width: int,
        relation_width: int,
        width: int,
        layers: int,
        heads: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"fusion width {width} is no multiple of its {heads} heads")
        self.text_projection = _projection(text_width, width)
        self.image_projection = _projection(image_width, width)
        self.relation_projection = _projection(relation_width, width)
        self.head_token = nn.Parameter(0.02 * torch.randn(1, width))
        self.roles = nn.Parameter(0.02 * torch.randn(3, width))
        rates = torch.linspace(0, drop_path, layers).tolist()
        # timm's Block has no bias of queries, keys and values unless asked; CLIP's towers have it
        self.blocks = nn.ModuleList(Block(width, heads, qkv_bias=True, drop_path=rate) for rate in rates)
        self.norm = nn.LayerNorm(width)

    def entities(
        self,
        *,
        text_tokens: Float[Tensor, "X L Wt"] | None,
        text_mask: Bool[Tensor, "X L"] | None,
        image_tokens: Float[Tensor, "V L Wi"] | None,
    ) -> Entities:
        """Bring texts, then images, to fusion width; padding is dropped. Either may be None."""
        tokens, lengths = [], []
        if text_tokens is not None and text_mask is not None:
            tokens.append(self.text_projection(text_tokens[text_mask]))
            lengths.append(text_mask.sum(dim=1))
        if image_tokens is not None:
            tokens.append(self.image_projection(image_tokens.flatten(0, 1)))
            lengths.append(
                torch.full((len(image_tokens),), image_tokens.shape[1], device=image_tokens.device)
            )
        length = torch.cat(lengths)
        return Entities(torch.cat(tokens), length.cumsum(0) - length, length)

    def forward(
        self,
        entities: Entities,
        relations: Float[Tensor, "Q Wr"],
        triplets: Int[Tensor, "M 3"],
    ) -> tuple[Float[Tensor, "M W"], Float[Tensor, "M W"]]:
        """Return ``Y`` and ``R`` of each triplet: the outputs at ``<head>`` and at the relation's slot.

        All maskings go in one call. Equal rows are computed once, and rows of like length together.

        Args:
            entities: As :meth:`entities` gives them.
            relations: Pooled, as the text tower gives them.
            triplets: Rows of ``entities``, ``relations``, ``entities``; ``MASKED`` for a masked element.
        """
        rows, inverse = triplets.unique(dim=0, return_inverse=True)
        zero = torch.zeros_like(self.head_token)
        table = torch.cat([zero, self.head_token, self.relation_projection(relations), entities.tokens])
        roles = torch.cat([zero, self.roles])
        places, outputs = [], []
        for group in _groups(_lengths(entities, rows)):
            index, role, real = _layout(entities, rows[group], relations=len(relations))
            outputs.append(self._encode(table[index] + roles[role], real))
            places.append(group)
        # float32: cosines of autocast outputs are compared in losses and ranks
        both = torch.cat(outputs).float()[torch.cat(places).argsort()][inverse]
        return both[:, 0], both[:, 1]

    def _encode(self, x: Float[Tensor, "M P W"], real: Bool[Tensor, "M P"]) -> Float[Tensor, "M 2 W"]:
        mask = None if real.all() else real[:, None, None, :]
        for block in self.blocks:
            x = block(x, attn_mask=mask)
        return self.norm(x[:, :2])


class GraphPropagation(nn.Module):
    """``G^l(t) = mean over triplets (h, r, t) ending in t of W^l R(h, -, t) * G^{l-1}(h)`` (K6).

    The product is elementwise [ours]. A node in which no triplet ends keeps what it has. Written with
    ``index_add``: PyTorch Geometric's ``scatter`` is the same sum behind one more dependency.

    Args:
        width: W.
        layers: L, how far knowledge travels; unrecovered from the paper, 2 here.
    """

    def __init__(self, *, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))

    def forward(
        self,
        entity_features: Float[Tensor, "n W"],
        edge_features: Float[Tensor, "e W"],
        edges: Int[Tensor, "e 2"],
    ) -> Float[Tensor, "n W"]:
        """Return ``G^L`` of every node.

        Args:
            entity_features: ``G^0(x) = Y(-, -, x)``.
            edge_features: ``R(h, -, t)``.
            edges: Head and tail node of each.
        """
        heads, tails = edges.unbind(dim=1)
        count = torch.bincount(tails, minlength=len(entity_features))[:, None]
        features = entity_features
        for layer in self.layers:
            messages = layer(edge_features) * features[heads]
            # one type for both, as index_add wants: under autocast the linear layer gives half precision
            total = torch.zeros_like(features).index_add(0, tails, messages.to(features.dtype))
            features = torch.where(count > 0, total / count.clamp(min=1), features)
        return features


def relation_classifier(width: int, relations: int) -> nn.Sequential:
    """K5's MLP of two layers, from ``R(h, -, t)`` to logits over the relation vocabulary.

    Raises:
        ValueError: The vocabulary is empty.
    """
    if relations < 1:
        raise ValueError("the relation vocabulary is empty: E2R (K5) needs a graph with a relation")
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, relations))


def joined(first: Entities, second: Entities) -> Entities:
    """The entities of both, numbered on."""
    return Entities(
        torch.cat([first.tokens, second.tokens]),
        torch.cat([first.start, second.start + len(first.tokens)]),
        torch.cat([first.length, second.length]),
    )


def _projection(width: int, fusion_width: int) -> nn.Sequential:
    """Towers differ in scale (a ResNet's tokens come without a norm), so each is normalised first."""
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, fusion_width))


def _lengths(entities: Entities, triplets: Int[Tensor, "M 3"]) -> Int[Tensor, " M"]:
    head, tail = (_length(entities, triplets[:, column]) for column in (0, 2))
    return 2 + head + tail


def _length(entities: Entities, rows: Int[Tensor, " M"]) -> Int[Tensor, " M"]:
    return torch.where(rows == MASKED, 1, entities.length[rows.clamp(min=0)])


def _groups(lengths: Int[Tensor, " M"]) -> list[Int[Tensor, " m"]]:
    """Rows by length, no row more than half padding: a word beside an image would be almost all padding."""
    # of one octave the longest is less than twice the shortest
    octave = lengths.float().log2().ceil()
    return [(octave == value).nonzero().flatten() for value in octave.unique()]


def _layout(
    entities: Entities, triplets: Int[Tensor, "M 3"], *, relations: int
) -> tuple[Int[Tensor, "M P"], Int[Tensor, "M P"], Bool[Tensor, "M P"]]:
    """Which row of the token table stands where, in which role, and which places are real.

    The table holds a zero vector, ``<head>``, the relations, the entities' tokens. Places: ``<head>``, the
    relation, the head's tokens, the tail's tokens, padding.
    """
    head, relation, tail = (triplets[:, [column]] for column in range(3))
    head_length, tail_length = (_length(entities, rows.squeeze(1))[:, None] for rows in (head, tail))
    place = torch.arange(2 + int((head_length + tail_length).max()), device=triplets.device)[None]
    in_head = (place >= 2) & (place < 2 + head_length)
    in_tail = (place >= 2 + head_length) & (place < 2 + head_length + tail_length)
    first = 2 + relations

    def tokens(rows: Tensor, offset: Tensor) -> Tensor:
        return torch.where(rows == MASKED, 0, first + entities.start[rows.clamp(min=0)] + offset)

    index = torch.zeros_like(place).repeat(len(triplets), 1)
    index = torch.where(place == 0, 1, index)
    index = torch.where(place == 1, torch.where(relation == MASKED, 0, 2 + relation), index)
    index = torch.where(in_head, tokens(head, place - 2), index)
    index = torch.where(in_tail, tokens(tail, place - 2 - head_length), index)
    role = torch.zeros_like(index)
    role = torch.where((place == 1) & (relation != MASKED), _RELATION, role)
    role = torch.where(in_head & (head != MASKED), _HEAD, role)
    role = torch.where(in_tail & (tail != MASKED), _TAIL, role)
    return index, role, place < 2 + head_length + tail_length
