"""Triplets for the towers alone: what plain CLIP is asked for an end of each, and how it embeds the ends.

Shape legend: T triplets of the graph, E its distinct entities, texts then images, D embedding width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from knowclip.models.clip import DualEncoder
from knowclip.models.triplet_encoder import INITIAL_LOGIT_SCALE
from knowclip.types import GraphBatch

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor


class PooledTriplets(nn.Module):
    """The pooled term's side of a step, and its temperature; nothing else that a user would have to keep.

    CLIP's own temperature stays that of images and captions: words are nearer to words than to images.

    Args:
        heads: Ask for heads too.
        self_negatives: Tell each query from the end that it says itself.
    """

    def __init__(self, *, heads: bool, self_negatives: bool) -> None:
        super().__init__()
        self.heads = heads
        self.self_negatives = self_negatives
        self.logit_scale = nn.Parameter(torch.tensor(INITIAL_LOGIT_SCALE))

    def features(
        self, model: DualEncoder, graph: GraphBatch, entities: Float[Tensor, "E D"] | None
    ) -> dict[str, Tensor]:
        """What :class:`~knowclip.types.KnowledgeFeatures` calls ``pooled_...``, and its masks.

        Args:
            model: The towers.
            graph: With phrases.
            entities: Its entities as the towers embed them, where they were encoded already.
        """
        if entities is None:
            entities = _embedded(model, graph)
        entities = F.normalize(entities.float(), dim=-1)
        heads, _, tails = graph.triplets.unbind(dim=1)
        given = entities[heads], heads >= len(graph.texts)
        features = {
            "pooled_tails": entities[tails],
            "pooled_tail_queries": _queries(model, graph.tail_phrases, *given),
            "known_tails": graph.known_tails,
            "related_tails": graph.related_tails,
            "pooled_logit_scale": self.logit_scale.exp(),
        }
        if self.self_negatives:
            features |= {"pooled_heads": entities[heads], "pooled_loops": heads == tails}
        if self.heads:
            given = entities[tails], tails >= len(graph.texts)
            features |= {
                "pooled_heads": entities[heads],
                "pooled_head_queries": _queries(model, graph.head_phrases, *given),
                "known_heads": graph.known_heads,
                "related_heads": graph.related_heads,
            }
        return features


def _embedded(model: DualEncoder, graph: GraphBatch) -> Float[Tensor, "E D"]:
    parts = [model.encode_text(graph.texts)] if len(graph.texts) else []
    if graph.images is not None and len(graph.images):
        parts.append(model.encode_image(graph.images))
    return torch.cat([part.float() for part in parts])


def _queries(
    model: DualEncoder,
    phrases: Int[Tensor, "T L"],
    given: Float[Tensor, "T D"],
    is_image: Bool[Tensor, " T"],
) -> Float[Tensor, "T D"]:
    """Phrases as they are embedded, each distinct one once; beside an image the sum of the two, of norm 1."""
    distinct, place = phrases.unique(dim=0, return_inverse=True)
    said = model.encode_text(distinct, normalize=True).float()[place]
    return torch.where(is_image[:, None], F.normalize(said + given, dim=-1), said)
