"""Structure-CLIP and Knowledge-CLIP at once: ``L_ITC + L_hinge + L_E2E + L_E2R + L_G2E + L_KD`` (ours)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from knowclip.methods.knowledge_terms import KnowledgeTerms
from knowclip.methods.method import Losses, Report
from knowclip.methods.structure_clip import StructureClip
from knowclip.types import Batch, KnowledgeFeatures

if TYPE_CHECKING:
    from knowclip.models.clip import DualEncoder


class Joint(StructureClip):
    """Scene graphs of captions and a knowledge graph train one model; every term has its weight.

    The pairs learn by Structure-CLIP's terms and are no triplets besides, so each is encoded once.

    Choose it where captions with negatives and a graph are both to hand; either alone trains faster as
    :class:`~knowclip.methods.structure_clip.StructureClip` or
    :class:`~knowclip.methods.knowledge_clip.KnowledgeClip`, the controls beside it.

    Args:
        model: The towers to train.
        knowledge: Of :class:`~knowclip.methods.knowledge_terms.KnowledgeTerms`.
        structure: Of :class:`~knowclip.methods.structure_clip.StructureClip`.
    """

    def __init__(self, model: DualEncoder, *, knowledge: Mapping[str, Any], **structure: Any) -> None:
        super().__init__(model, **structure)
        self.knowledge = KnowledgeTerms(model, **knowledge)

    def settings(self) -> dict[str, Any]:
        """Those of both."""
        return super().settings() | {"knowledge": self.knowledge.settings()}

    def encode(self, batch: Batch) -> KnowledgeFeatures:
        """Encode the pairs as Structure-CLIP does, then the triplets."""
        pairs = super().encode(batch)
        plain = {field.name: getattr(pairs, field.name) for field in dataclasses.fields(pairs)}
        return KnowledgeFeatures(**plain | self.knowledge.features(self.model, batch, None))

    def losses(self, features: KnowledgeFeatures) -> tuple[Losses, Report]:
        """Give the terms of both, those with a weight."""
        losses, report = super().losses(features)
        more_losses, more_report = self.knowledge.losses(features)
        return losses | more_losses, report | more_report
