"""A model as commands that measure ask it: its towers alone, with their KEE, through the fusion encoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from knowclip.evaluation.links.prediction import Modality
    from knowclip.evaluation.links.scorers import LinkScorer
    from knowclip.evaluation.scoring import Encoder, Scorer
    from knowclip.methods.method import Method
    from knowclip.models.clip import DualEncoder


WITH_KEE = " with KEE"
"""What the row of a model's KEE is called, after the name of the model."""
SMALL_BATCH = 64
"""Images or texts at once on a processor."""


@dataclass(frozen=True)
class Loaded:
    """A CLIP, and the method around it where one's weights were saved beside it."""

    clip: DualEncoder
    method: Method | None

    def with_kee(self) -> DualEncoder:
        """The CLIP as ``knowclip.load`` gives it: with its KEE, if it was trained with one."""
        from knowclip.models.with_knowledge import KnowledgeDualEncoder

        enhanced = None if self.method is None else self.method.with_knowledge()
        if enhanced is None:
            return self.clip
        return KnowledgeDualEncoder(self.clip, enhanced.encoder, parser=enhanced.parser).eval()

    def link_scorers(self, *, cache: Path | None = None) -> dict[str, LinkScorer]:
        """``plain``, and before it ``fusion``, if there is a fusion encoder."""
        from knowclip.build.validation import fusion_links
        from knowclip.evaluation.links.scorers import PlainClip
        from knowclip.evaluation.scoring import Scorer

        found: dict[str, LinkScorer] = {}
        fusion = None if self.method is None else fusion_links(self.method)
        if fusion is not None:
            found["fusion"] = fusion
        return found | {"plain": PlainClip(Scorer(self.clip, cache=cache))}


def scorers(
    model: Encoder, *, cache: Path | None = None, allow_missing: bool = False
) -> Iterator[tuple[str, Scorer]]:
    """A suffix for the name, and the scorer: of the towers, and with their KEE if it is a CLIP with one."""
    from knowclip.evaluation.scoring import Scorer
    from knowclip.models.clip import DualEncoder

    enhanced = model.with_knowledge() if isinstance(model, DualEncoder) else None
    clip = model if enhanced is None else enhanced.model
    # where larger batches are no faster, small ones tell sooner how far it is, and how long it takes
    on_processor = str(getattr(clip, "device", "")) == "cpu"
    sizes = {"batch_size": SMALL_BATCH} if on_processor else {}
    scorer = Scorer(clip, cache=cache, max_missing=1.0 if allow_missing else 0.01, **sizes)
    yield "", scorer
    if enhanced is not None:
        yield WITH_KEE, scorer.with_texts_of(enhanced)


def load_model(name: str | Path, *, device: str | torch.device | None = None) -> Loaded:
    """Load a checkpoint, of a run's folder the best, or anything else ``models.loading.load`` knows."""
    from knowclip.build.method import load_method, method_folder
    from knowclip.models.loading.load import load

    if (folder := method_folder(name)) is not None:
        method = load_method(folder)
        method = method.to(device) if device else method
        return Loaded(method.model, method)
    return Loaded(load(name, device=device), None)


def frequency(graph: Path, modality: Modality) -> LinkScorer:
    """The baseline that counts, of the train part of a graph that 'knowclip graph split' split."""
    from knowclip.evaluation.links.frequency import Frequency
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

    if not (graph / "train").is_dir():
        raise ValueError(f"{graph} has no folder 'train' to count in: give what 'knowclip graph split' made")
    return Frequency(KnowledgeGraph(graph / "train"), modality=modality)
