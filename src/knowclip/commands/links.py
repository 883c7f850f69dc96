"""What ``link-prediction`` and ``predict`` share: a model's name to its link scorers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knowclip.evaluation.link_scorers import LinkScorer


def link_scorers(model: str, *, device: str | None, cache: Path | None) -> dict[str, LinkScorer]:
    """Scorers of a model: ``plain``, and before it ``fusion`` where a method's weights lie beside it."""
    from knowclip.evaluation.link_scorers import FusionLinks, PlainClip
    from knowclip.evaluation.scoring import Scorer
    from knowclip.models.loading import load
    from knowclip.models.triplet_encoder import LinkPredictor

    scorers: dict[str, LinkScorer] = {}
    clip = None
    if (Path(model) / "method.json").is_file():
        from knowclip.build import load_method

        method = load_method(model).eval()
        clip = method.model.to(device) if device else method.model
        knowledge = getattr(method, "knowledge", None)
        if knowledge is not None and knowledge.triplets is not None:
            triplets = knowledge.triplets.to(clip.device)
            scorers["fusion"] = FusionLinks(LinkPredictor(clip, triplets), knowledge.vocabulary)
    scorers["plain"] = PlainClip(Scorer(clip or load(model, device=device), cache=cache))
    return scorers
