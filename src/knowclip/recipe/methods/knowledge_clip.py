"""Knowledge-CLIP's options."""

from __future__ import annotations

from typing import ClassVar, Literal

from knowclip.recipe.methods.knowledge_terms import KnowledgeConfig
from knowclip.recipe.methods.section import MethodSection


class KnowledgeClipConfig(KnowledgeConfig, MethodSection):
    """``methods/knowledge_clip.py``."""

    name: Literal["knowledge_clip"]
    implementation: ClassVar[str] = "knowclip.methods.knowledge_clip:KnowledgeClip"
    captions_as_triplets: bool = True
    """Pairs are triplets too: (image, image of, caption) or (caption, caption of, image)."""

    @property
    def knowledge_terms(self) -> KnowledgeConfig:
        """Its own keys."""
        return self

    @property
    def needs_pairs(self) -> bool:
        """Distillation is on pairs; the other terms do on triplets alone."""
        return bool(self.kd_weight)
