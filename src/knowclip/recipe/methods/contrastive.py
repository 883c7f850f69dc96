"""What the sections of the contrastive methods share: the terms, each null where it is off."""

from __future__ import annotations

from typing import Any

from knowclip.recipe.methods.section import MethodSection
from knowclip.recipe.methods.terms import DistillationConfig, ReadoutConfig, SubgraphsConfig


class ContrastiveSection(MethodSection):
    """Options of a contrastive method, and of the terms that may stand beside its own."""

    distillation: DistillationConfig | None = None
    """Null: the towers may forget."""
    subgraphs: SubgraphsConfig | None = None
    """Null: whole captions are all texts."""
    readout: ReadoutConfig | None = None
    """Null: nothing is read out of the embeddings."""

    def arguments(self) -> dict[str, Any]:
        """Those of the method alone: terms are built by themselves."""
        return {key: value for key, value in super().arguments().items() if key not in TERMS}

    @property
    def reads_graphs(self) -> bool:
        """The method or a term of it."""
        return super().reads_graphs or self.readout is not None

    @property
    def subgraph_texts(self) -> SubgraphsConfig | None:
        """Those of the term."""
        return self.subgraphs

    @property
    def object_prompt(self) -> str | None:
        """Of the distillation."""
        terms = self.distillation
        return terms.prompt if terms is not None and terms.objects_weight else None


TERMS = tuple(ContrastiveSection.__annotations__)
"""Keys of the sections that are no arguments of a method."""
