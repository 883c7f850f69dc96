"""Options of Knowledge-CLIP's terms, which the joint method has too, and of their fusion encoder."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from knowclip.recipe.section import Section


class FusionConfig(Section):
    """``models/fusion.py``: Knowledge-CLIP's fusion encoder; the paper's size."""

    width: PositiveInt = 1024
    layers: PositiveInt = 4
    heads: PositiveInt = 16
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Stochastic depth of the last layer; the others have less."""


class KnowledgeConfig(Section):
    """``methods/knowledge_terms.py``: Knowledge-CLIP's terms; a weight of 0 leaves one out."""

    e2e_weight: NonNegativeFloat = 1.0
    """Entity-entity: the tail of (head, relation), among those of the step."""
    e2r_weight: NonNegativeFloat = 1.0
    """Entity-relation: the relation of (head, tail)."""
    g2e_weight: NonNegativeFloat = 1.0
    """Graph-entity: an entity and what its neighbours say of it."""
    kd_weight: NonNegativeFloat = 1.0
    """Distillation from the model it starts from."""
    sentence_weight: NonNegativeFloat = 0.0
    """The control, "knowledge graph as captions": a head, crop or text, and the sentence "h r t"."""
    teacher: str | None = None
    """Model to distil from, in place of the one it starts from."""
    head_side: bool = False
    """Entity-entity for heads too."""
    graph_layers: PositiveInt = 2
    """Layers of propagation, and hops of the neighbourhood."""
    fusion: FusionConfig = FusionConfig()

    @model_validator(mode="after")
    def _has_effect(self) -> KnowledgeConfig:
        if self.teacher is not None and not self.kd_weight:
            raise ValueError("kd_weight=0 distils from no teacher: leave teacher out")
        if self.head_side and not self.e2e_weight:
            raise ValueError("head_side is a side of E2E: leave it out with e2e_weight=0")
        return self

    @property
    def hops(self) -> int:
        """Layers of the neighbourhood that G2E reads; 0 without it."""
        return self.graph_layers if self.g2e_weight else 0

    @property
    def fuses(self) -> bool:
        """Whether any term needs the fusion encoder."""
        return bool(self.e2e_weight or self.e2r_weight or self.g2e_weight)

    @property
    def reads_graph(self) -> bool:
        """Whether any term learns from triplets."""
        return self.fuses or bool(self.sentence_weight)
