"""Options of Knowledge-CLIP's terms, which the joint method has too, and of their fusion encoder."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from knowclip.recipe.section import Section


class FusionConfig(Section):
    """``models/fusion.py``: Knowledge-CLIP's fusion encoder; the paper's size."""

    width: PositiveInt = 1024
    """Of its tokens."""
    layers: PositiveInt = 4
    """Of its Transformer."""
    heads: PositiveInt = 16
    """Of attention; the width is a multiple of them."""
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
    pooled_weight: NonNegativeFloat = 0.0
    """Ours, for the towers that are kept: "head relation" and tail, as they embed them."""
    self_negatives: bool = False
    """Of the pooled term: "head relation" is told from the head itself, too."""
    teacher: str | None = None
    """Model to distil from, in place of the one it starts from."""
    head_side: bool = False
    """Entity-entity, and the pooled term, for heads too."""
    graph_layers: PositiveInt = 2
    """Layers of propagation, and hops of the neighbourhood."""
    fusion: FusionConfig = FusionConfig()

    @model_validator(mode="after")
    def _has_effect(self) -> KnowledgeConfig:
        if self.teacher is not None and not self.kd_weight:
            raise ValueError("kd_weight=0 distils from no teacher: leave teacher out")
        if self.head_side and not (self.e2e_weight or self.pooled_weight):
            raise ValueError(
                "head_side is a side of E2E and of the pooled term: leave it out with e2e_weight=0 and "
                "pooled_weight=0"
            )
        if self.self_negatives and not self.pooled_weight:
            raise ValueError("self_negatives are the pooled term's: leave them out with pooled_weight=0")
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
    def learns_beside_towers(self) -> bool:
        """Whether it has parameters of its own: a fusion encoder, or the pooled term's temperature."""
        return self.fuses or bool(self.pooled_weight)

    @property
    def pooled_sides(self) -> tuple[str, ...]:
        """Ends of triplets that the pooled term asks for."""
        sides = ("tail", "head") if self.head_side else ("tail",)
        return sides if self.pooled_weight else ()

    @property
    def reads_graph(self) -> bool:
        """Whether any term learns from triplets."""
        return self.fuses or bool(self.sentence_weight or self.pooled_weight)
