"""What Knowledge-CLIP learns beside the towers, and how a trained one is asked (K2, K3, K5, K6).

Shape legend: E entities, Q relation phrases, M triplets, W fusion width, D embedding width, R relations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from knowclip.models.clip import DualEncoder
from knowclip.models.fusion import MASKED, Entities, FusionEncoder, GraphPropagation, relation_classifier
from knowclip.models.modes import evaluating
from knowclip.types import ImageRef

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

INITIAL_LOGIT_SCALE = math.log(1 / 0.07)
"""CLIP's own start."""


class TripletEncoder(nn.Module):
    """Fusion encoder, relation classifier, graph propagation and the temperatures of their losses.

    Args:
        model: The towers, whose widths it takes; not kept.
        relations: R, size of the relation vocabulary; None without E2R.
        graph_layers: L of G2E; None without G2E.
        contrastive: With E2E.
        fusion: ``width``, ``layers``, ``heads``, ``drop_path`` of the fusion encoder.
    """

    def __init__(
        self,
        model: DualEncoder,
        *,
        relations: int | None,
        graph_layers: int | None,
        contrastive: bool,
        fusion: dict[str, Any],
    ) -> None:
        super().__init__()
        image_width, text_width = token_widths(model)
        self.fusion = FusionEncoder(
            text_width=text_width, image_width=image_width, relation_width=model.embed_dim, **fusion
        )
        width = fusion["width"]
        self.classifier = None if relations is None else relation_classifier(width, relations)
        self.propagation = (
            None if graph_layers is None else GraphPropagation(width=width, layers=graph_layers)
        )
        scale = torch.tensor(INITIAL_LOGIT_SCALE)
        self.e2e_logit_scale = nn.Parameter(scale.clone()) if contrastive else None
        self.g2e_logit_scale = None if graph_layers is None else nn.Parameter(scale.clone())


@dataclass(frozen=True)
class LinkPredictor:
    """Asks a trained model for missing elements of triplets; nothing here takes part in training.

    Entities may be texts, images, regions, mixed at will; relations are phrases. Scores of tails are
    ``tail_queries(...) @ tail_candidates(...).T``, cosines. Put the method in eval mode first.

    Args:
        model: The towers.
        triplets: What was trained beside them (``KnowledgeClip.knowledge.triplets``).
    """

    model: DualEncoder
    triplets: TripletEncoder

    @torch.no_grad()
    def encode_entities(self, entities: Sequence[str | ImageRef]) -> Entities:
        """Tokens of every entity, in the order given."""
        is_image = torch.tensor([isinstance(entity, ImageRef) for entity in entities])
        texts = [entity for entity in entities if isinstance(entity, str)]
        images = [entity for entity in entities if isinstance(entity, ImageRef)]
        _, tokens, mask = self.model.encode_text_tokens(texts) if texts else (None, None, None)
        pixels = self.model.encode_image_tokens(images)[1] if images else None
        found = self.triplets.fusion.entities(text_tokens=tokens, text_mask=mask, image_tokens=pixels)
        # the argsort of an argsort is its inverse: texts come first in found
        order = is_image.int().argsort(stable=True).argsort().to(found.start.device)
        return Entities(found.tokens, found.start[order], found.length[order])

    @torch.no_grad()
    def encode_relations(self, phrases: Sequence[str]) -> Float[Tensor, "Q D"]:
        """Relations, pooled."""
        return self.model.encode_text(phrases)

    def tail_queries(
        self,
        entities: Entities,
        relations: Float[Tensor, "Q D"],
        *,
        heads: Int[Tensor, " M"],
        relation: Int[Tensor, " M"],
    ) -> Float[Tensor, "M W"]:
        """``Y(h, r, -)``: what stands at the other end of ``relation`` from ``heads``, L2-normalised."""
        return self._outputs(entities, relations, heads, relation, None)[0]

    def head_queries(
        self,
        entities: Entities,
        relations: Float[Tensor, "Q D"],
        *,
        relation: Int[Tensor, " M"],
        tails: Int[Tensor, " M"],
    ) -> Float[Tensor, "M W"]:
        """``Y(-, r, t)``; learnt with ``method.head_side``."""
        return self._outputs(entities, relations, None, relation, tails)[0]

    def tail_candidates(self, entities: Entities) -> Float[Tensor, "E W"]:
        """``Y(-, -, t)`` of every entity."""
        return self._outputs(entities, None, None, None, _all(entities))[0]

    def head_candidates(self, entities: Entities) -> Float[Tensor, "E W"]:
        """``Y(h, -, -)`` of every entity; learnt with ``method.head_side``."""
        return self._outputs(entities, None, _all(entities), None, None)[0]

    @torch.no_grad()
    def relation_logits(
        self, entities: Entities, *, heads: Int[Tensor, " M"], tails: Int[Tensor, " M"]
    ) -> Float[Tensor, "M R"]:
        """K5's logits over the relation vocabulary.

        Raises:
            ValueError: The model was trained without E2R.
        """
        if self.triplets.classifier is None:
            raise ValueError("this model has no relation classifier: it was trained with method.e2r_weight=0")
        return self.triplets.classifier(self._outputs(entities, None, heads, None, tails)[1])

    @torch.no_grad()
    def _outputs(
        self,
        entities: Entities,
        relations: Tensor | None,
        heads: Tensor | None,
        relation: Tensor | None,
        tails: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        rows = masked_rows(heads, relation, tails)
        if relations is None:
            relations = entities.tokens.new_zeros(0, self.model.embed_dim)
        outputs, relation_outputs = self.triplets.fusion(entities, relations, rows.to(entities.start.device))
        return F.normalize(outputs, dim=-1), relation_outputs


def masked_rows(
    heads: Int[Tensor, " M"] | None, relations: Int[Tensor, " M"] | None, tails: Int[Tensor, " M"] | None
) -> Int[Tensor, "M 3"]:
    """Triplets for the fusion encoder; None masks an element."""
    columns = (heads, relations, tails)
    shape = next(column for column in columns if column is not None)
    masked = torch.full_like(shape, MASKED)
    return torch.stack([masked if column is None else column for column in columns], dim=1)


@torch.no_grad()
def token_widths(model: DualEncoder) -> tuple[int, int]:
    """Widths of the image and the text tower's tokens, found by encoding one of each."""
    pixels = torch.zeros(1, 3, *model.image_size, device=model.device)
    with evaluating(model):
        return model.encode_image_tokens(pixels)[1].shape[-1], model.encode_text_tokens(["a"])[1].shape[-1]


def _all(entities: Entities) -> Int[Tensor, " E"]:
    return torch.arange(len(entities.start), device=entities.start.device)
