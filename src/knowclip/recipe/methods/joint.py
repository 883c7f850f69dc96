"""Options of Structure-CLIP and Knowledge-CLIP in one training."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from knowclip.recipe.methods.knowledge_terms import KnowledgeConfig
from knowclip.recipe.methods.structure_clip import StructureClipConfig


class JointConfig(StructureClipConfig):
    """``methods/joint.py``: structure_clip's options, and those of Knowledge-CLIP's terms."""

    name: Literal["joint"]
    implementation: ClassVar[str] = "knowclip.methods.joint:Joint"
    knowledge: KnowledgeConfig = KnowledgeConfig()

    @model_validator(mode="after")
    def _distils_pairs_once(self) -> JointConfig:
        if self.distillation is not None and self.distillation.pairs_weight:
            raise ValueError(
                "joint distils on pairs by knowledge.kd_weight: leave distillation.pairs_weight out"
            )
        return self

    @property
    def knowledge_terms(self) -> KnowledgeConfig:
        """Those of ``knowledge``."""
        return self.knowledge
