"""The best linear map between the towers: how far the cosine is from what both embeddings hold in common.

Shape legend: n questions, D embedding width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from knowclip.evaluation.diagnosis.fitting import Fit, Split
from knowclip.models.projection import LinearMap

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

SCALE = 100.0
"""CLIP's largest temperature: the two cosines differ little."""
STEPS, CHECK = 500, 50
BATCH = 1024
"""With half of it the map of the demo's roles never left the identity."""
RATES = (1e-3, 1e-2)
"""Of Adam: at the low one some maps never leave the identity, at the high one others lose what it had."""


def margins(
    images: Float[Tensor, "n D"],
    captions: Float[Tensor, "n D"],
    swaps: Float[Tensor, "n D"],
    mapped: LinearMap | None = None,
) -> Float[Tensor, " n"]:
    """Cosine with the caption minus cosine with its swap, of normalised embeddings, mapped or as they are."""
    if mapped is not None:
        captions, swaps = mapped(captions), mapped(swaps)
    return (images * (captions - swaps)).sum(1)


def best_map(
    images: Float[Tensor, "n D"],
    captions: Float[Tensor, "n D"],
    swaps: Float[Tensor, "n D"],
    split: Split,
    *,
    seed: int,
) -> LinearMap:
    """The map that tells most held-out captions from their swaps, fitted by a softmax over {caption, swap}.

    Of every learning rate and step the one that is most often right on ``split.held``, the identity included.
    """
    held = [features[split.held] for features in (images, captions, swaps)]
    best = LinearMap(images.shape[1])
    score = _accuracy(best, *held)
    for lr in RATES:
        fitted = _fitted([images, captions, swaps], held, split.rows, lr=lr, seed=seed)
        if fitted.best > score:
            score, best = fitted.best, fitted.chosen()
    return best


def _fitted(
    features: Sequence[Float[Tensor, "n D"]],
    held: Sequence[Float[Tensor, "m D"]],
    rows: Int[Tensor, " k"],
    *,
    lr: float,
    seed: int,
) -> Fit[LinearMap]:
    """A map fitted at one rate."""
    mapped = LinearMap(features[0].shape[1])

    def loss(rows: Int[Tensor, " B"]) -> Tensor:
        images, captions, swaps = (part[rows] for part in features)
        return F.softplus(-SCALE * margins(images, captions, swaps, mapped)).mean()

    def score() -> float:
        return _accuracy(mapped, *held)

    fit = Fit(mapped, loss, score, rows, lr=lr, steps=STEPS, batch=BATCH, seed=seed)
    # no patience: accuracy stands still for hundreds of steps before it rises
    fit.go_on(until=STEPS, check=CHECK, patience=None)
    return fit


@torch.no_grad()
def _accuracy(
    mapped: LinearMap,
    images: Float[Tensor, "n D"],
    captions: Float[Tensor, "n D"],
    swaps: Float[Tensor, "n D"],
) -> float:
    return float((margins(images, captions, swaps, mapped) > 0).float().mean())
