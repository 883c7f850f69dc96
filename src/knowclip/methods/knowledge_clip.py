"""Knowledge-CLIP: triplets of knowledge graphs, and distillation (Pan et al., NeurIPS 2022).

As we understand the paper (arXiv 2210.08901); no public code of it is known. ``docs/paper_map.md`` leads from
its equations, K1..K9, to functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from knowclip.methods.knowledge_terms import KnowledgeTerms
from knowclip.methods.method import Losses, Method, Report
from knowclip.types import Batch, KnowledgeFeatures

if TYPE_CHECKING:
    from torch import Tensor

    from knowclip.models.clip import DualEncoder
    from knowclip.models.fusion import Entities


class KnowledgeClip(Method):
    """``L = L_E2E + L_E2R + L_G2E + L_KD`` (K8).

    Deviations, all ours: E2E and G2E both ways and with known truths masked; a head side; neighbourhoods
    sampled; weights; a pair joins as one triplet, "image of" or "caption of". A step may hold no pairs.

    Choose it for a knowledge graph to learn from or to complete. Its pairs have no contrastive loss of the
    towers' own, only distillation and E2E, and no hard negatives: :class:`~knowclip.methods.joint.Joint` has
    both.

    Args:
        model: The towers to train.
        knowledge: Of :class:`~knowclip.methods.knowledge_terms.KnowledgeTerms`.
    """

    def __init__(self, model: DualEncoder, **knowledge: Any) -> None:
        super().__init__(model)
        self.knowledge = KnowledgeTerms(model, **knowledge)

    def settings(self) -> dict[str, Any]:
        """All arguments but the towers."""
        return self.knowledge.settings()

    def encode(self, batch: Batch) -> KnowledgeFeatures:
        """Encode the pairs, with their tokens where they join as triplets, and the triplets."""
        pooled, pairs = self._pairs(batch)
        return KnowledgeFeatures(
            **pooled,
            image_ids=batch.image_ids,
            caption_ids=batch.caption_ids,
            logit_scale=self.model.logit_scale.exp(),
            logit_bias=self.model.logit_bias,
            **self.knowledge.features(self.model, batch, pairs),
        )

    def losses(self, features: KnowledgeFeatures) -> tuple[Losses, Report]:
        """Give ``e2e_loss``, ``e2r_loss``, ``g2e_loss``, ``kd_loss`` and the others, those with a weight."""
        losses, report = self.knowledge.losses(features)
        return losses, report | {"logit_scale": features.logit_scale.item()}

    def _pairs(self, batch: Batch) -> tuple[dict[str, Tensor], Entities | None]:
        """Embeddings of the pairs; and captions, then images, as entities of the fusion encoder."""
        if not batch.keys:
            none = torch.zeros(0, self.model.embed_dim, device=batch.image_ids.device)
            return {"image_features": none, "text_features": none}, None
        if not self.knowledge.pairs_join:
            images, texts = self.encode_images(batch), self.encode_texts(batch.texts)
            return {"image_features": images, "text_features": texts}, None
        if batch.images is not None:
            images, image_tokens = self.model.encode_image_tokens(batch.images)
        else:
            images, image_tokens = self.model.encode_trunk_tokens(batch.trunk_features)
        texts, text_tokens, text_mask = self.model.encode_text_tokens(batch.texts)
        pairs = self.knowledge.triplets.fusion.entities(
            text_tokens=text_tokens, text_mask=text_mask, image_tokens=image_tokens
        )
        pooled = {"image_features": images, "text_features": texts}
        return {name: F.normalize(value, dim=-1).float() for name, value in pooled.items()}, pairs
