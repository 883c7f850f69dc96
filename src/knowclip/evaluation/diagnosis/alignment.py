"""The best linear map between the towers: how far the cosine is from what both embeddings hold in common.

Shape legend: n questions, D embedding width.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from knowclip.evaluation.diagnosis.fitting import Split
from knowclip.models.projection import LinearMap

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

SCALE = 100.0
"""CLIP's largest temperature: the two cosines differ little."""
STEPS, CHECK = 1000, 50
BATCH = 1024
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
    mapped = LinearMap(images.shape[1])
    best, chosen = _accuracy(mapped, *held), copy.deepcopy(mapped.state_dict())
    for lr in RATES:
        torch.manual_seed(seed)
        score, state = _fit_one([images, captions, swaps], held, split.rows, lr=lr)
        if score > best:
            best, chosen = score, state
    mapped.load_state_dict(chosen)
    return mapped


def _fit_one(
    fitted: Sequence[Float[Tensor, "n D"]],
    held: Sequence[Float[Tensor, "m D"]],
    chosen: Int[Tensor, " k"],
    *,
    lr: float,
) -> tuple[float, dict[str, Tensor]]:
    """The best accuracy on ``held`` at one rate, and the map that has it."""
    mapped = LinearMap(fitted[0].shape[1])
    optimizer = torch.optim.Adam(mapped.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    best, state = -1.0, copy.deepcopy(mapped.state_dict())
    for step in range(1, STEPS + 1):
        rows = chosen[torch.randint(len(chosen), (min(BATCH, len(chosen)),))]
        images, captions, swaps = (part[rows] for part in fitted)
        loss = F.softplus(-SCALE * margins(images, captions, swaps, mapped)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        # no patience: accuracy stands still for hundreds of steps before it rises
        if step % CHECK == 0 and (score := _accuracy(mapped, *held)) > best:
            best, state = score, copy.deepcopy(mapped.state_dict())
    return best, state


@torch.no_grad()
def _accuracy(
    mapped: LinearMap,
    images: Float[Tensor, "n D"],
    captions: Float[Tensor, "n D"],
    swaps: Float[Tensor, "n D"],
) -> float:
    return float((margins(images, captions, swaps, mapped) > 0).float().mean())
