"""What ``link-prediction``, ``predict`` and ``ablate`` share: a model's link scorers, and the baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knowclip.evaluation.link_prediction import Modality
    from knowclip.evaluation.link_scorers import LinkScorer


def link_scorers(
    model: str, *, device: str | None = None, cache: Path | None = None
) -> dict[str, LinkScorer]:
    """Scorers of a model: ``plain``, and before it ``fusion`` where a method's weights lie beside it."""
    from knowclip.evaluation.link_scorers import PlainClip
    from knowclip.evaluation.scoring import Scorer
    from knowclip.models.loading import load

    scorers: dict[str, LinkScorer] = {}
    clip = None
    if (Path(model) / "method.json").is_file():
        from knowclip.build import fusion_links, load_method

        method = load_method(model).eval()
        method = method.to(device) if device else method
        clip = method.model
        if (fusion := fusion_links(method)) is not None:
            scorers["fusion"] = fusion
    scorers["plain"] = PlainClip(Scorer(clip or load(model, device=device), cache=cache))
    return scorers


def frequency(graph: Path, modality: Modality) -> LinkScorer:
    """The baseline that counts, of the train part of a graph that 'knowclip graph split' split."""
    from knowclip.evaluation.link_frequency import Frequency
    from knowclip.knowledge.graph import KnowledgeGraph

    if not (graph / "train").is_dir():
        raise ValueError(f"{graph} has no folder 'train' to count in: give what 'knowclip graph split' made")
    return Frequency(KnowledgeGraph(graph / "train"), modality=modality)
