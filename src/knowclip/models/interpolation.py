"""WiSE-FT: a model on the line between a base and what was fine-tuned from it (Wortsman et al., CVPR 2022).

``theta(alpha) = (1 - alpha) theta_base + alpha theta_tuned``, over all weights, the log temperature
included. The embeddings of the two ends are exact; in between, models that were fine-tuned with a small step
keep much of what tuning taught and get back much of what it cost.
"""

from __future__ import annotations

from copy import deepcopy

import torch

from knowclip.models import preprocessing
from knowclip.models.clip import DualEncoder


def interpolate(base: DualEncoder, tuned: DualEncoder, alpha: float) -> DualEncoder:
    """Make the model at ``alpha``: 0 is the base, 1 the tuned model.

    Raises:
        ValueError: the two are no base and descendant: architecture, activation, preprocessing or vocabulary
            differ; or ``alpha`` lies outside 0..1.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha lies between 0 (the base) and 1 (the tuned model), got {alpha:g}")
    refuse_strangers(base, tuned)
    ends = base.model.state_dict(), tuned.model.state_dict()
    model = deepcopy(tuned)
    model.model.load_state_dict({key: _between(ends[0][key], ends[1][key], alpha) for key in ends[0]})
    return model.eval()


def refuse_strangers(base: DualEncoder, tuned: DualEncoder) -> None:
    """Raise ValueError where one model cannot have been fine-tuned from the other, saying what differs."""
    first, second = base.model.state_dict(), tuned.model.state_dict()
    shapes = [
        f"{key}: {tuple(first[key].shape) if key in first else 'absent'} against "
        f"{tuple(second[key].shape) if key in second else 'absent'}"
        for key in dict.fromkeys([*first, *second])
        if key not in first or key not in second or first[key].shape != second[key].shape
    ]
    differing = [f"{len(shapes)} weights ({shapes[0]})"] if shapes else []
    # no weight shows the activation, yet a mean of both activations is a model of neither
    if bool(base.config.get("quick_gelu")) != bool(tuned.config.get("quick_gelu")):
        differing.append("the activation (quick_gelu)")
    pixels = base.model.visual.preprocess_cfg, tuned.model.visual.preprocess_cfg
    if not preprocessing.same(*pixels):
        differing.append(
            f"preprocessing ({preprocessing.told(pixels[0])} against {preprocessing.told(pixels[1])})"
        )
    probe = ["a photo of the small red horse, riding 2 dogs"]
    if not differing and not torch.equal(base.tokenizer(probe), tuned.tokenizer(probe)):
        differing.append("the tokenizer")
    if differing:
        raise ValueError(
            f"the two models differ in {' and '.join(differing)}: weights can only be interpolated between a "
            "base and a model that was fine-tuned from it"
        )


def _between(base: torch.Tensor, tuned: torch.Tensor, alpha: float) -> torch.Tensor:
    """Weighted mean of two weights, on the CPU: a device may lack float64. Counters are the tuned model's."""
    if not base.is_floating_point():
        return tuned
    return ((1 - alpha) * base.cpu().double() + alpha * tuned.cpu().double()).to(tuned.dtype)
