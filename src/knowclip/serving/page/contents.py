"""What a page shows: loaded models, an index, a graph, stored runs. No client names any of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from knowclip.serving.limits import Limits

if TYPE_CHECKING:
    from knowclip.evaluation.store import Run
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
    from knowclip.models.clip import DualEncoder
    from knowclip.search.index import Index


@dataclass(frozen=True)
class Contents:
    """Given on the command line; a tab whose part is missing says how to give it."""

    models: Mapping[str, DualEncoder]
    index: Index | None = None
    graph: KnowledgeGraph | None = None
    runs: Mapping[str, Run] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    @property
    def shorter(self) -> int:
        """Pixels of the shorter side of what the largest model reads."""
        return max(max(model.image_size) for model in self.models.values())
