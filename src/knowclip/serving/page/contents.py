"""What a page shows: loaded models, an index, a graph, stored runs. No client names any of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from knowclip.serving.limits import Limits

if TYPE_CHECKING:
    from knowclip.evaluation.runs import Run
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
    from knowclip.models.clip import DualEncoder
    from knowclip.search.index import Index

Part = TypeVar("Part")


@dataclass(frozen=True)
class Contents:
    """Given on the command line; a tab whose part is missing says how to give it.

    All of it may still be opening while the page is up already; a tab waits for its own (:func:`opened`).
    ``folders`` are those from which pictures that runs and the graph name are shown; from anywhere, if None.
    """

    models: Mapping[str, DualEncoder | Future[DualEncoder]]
    index: Index | Future[Index] | None = None
    graph: KnowledgeGraph | Future[KnowledgeGraph] | None = None
    runs: Mapping[str, Run] | Future[Mapping[str, Run]] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    folders: tuple[Path, ...] | None = None

    @property
    def loaded(self) -> dict[str, DualEncoder]:
        """The models, waited for."""
        return {name: opened(model) for name, model in self.models.items()}

    @property
    def shorter(self) -> int:
        """Pixels of the shorter side of what the largest model reads."""
        return max(max(model.image_size) for model in self.loaded.values())

    def shows(self, picture: Path) -> bool:
        """Whether a picture that a run or the graph names lies where pictures may be shown from."""
        return self.folders is None or is_within(picture, self.folders)


def is_within(path: Path, folders: Iterable[Path]) -> bool:
    """Whether a path lies in one of the folders, links followed: one that leads out of it lies outside."""
    place = path.resolve()
    return any(place.is_relative_to(folder.resolve()) for folder in folders)


def opened(part: Part | Future[Part]) -> Part:
    """A part, waited for where it is still opening."""
    return part.result() if isinstance(part, Future) else part
