"""What ``link-prediction`` and ``predict`` share: a model's name to its link scorers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knowclip.evaluation.link_scorers import LinkScorer


def link_scorers(model: str, *, device: str | None, cache: Path | None) -> dict[str, LinkScorer]:
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
