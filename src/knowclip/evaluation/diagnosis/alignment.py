"""The best linear map between the towers: how far the cosine is from what both embeddings hold in common.

Shape legend: n questions, D embedding width.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from knowclip.evaluation.diagnosis.fitting import Split
from knowclip.models.projection import LinearMap

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

SCALE = 100.0
"""CLIP's largest temperature: the two cosines differ little."""
STEPS, CHECK, PATIENCE = 1000, 50, 6
BATCH = 1024
LR = 1e-3


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

    Selected by its accuracy on ``split.held``, every few steps, the identity included.
    """
    torch.manual_seed(seed)
    mapped = LinearMap(images.shape[1])
    optimizer = torch.optim.Adam(mapped.parameters(), lr=LR)
    held = [features[split.held] for features in (images, captions, swaps)]
    best, state, waited = _accuracy(mapped, *held), copy.deepcopy(mapped.state_dict()), 0
    for step in range(1, STEPS + 1):
        rows = split.rows[torch.randint(len(split.rows), (min(BATCH, len(split.rows)),))]
        loss = F.softplus(-SCALE * margins(images[rows], captions[rows], swaps[rows], mapped)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % CHECK == 0:
            score = _accuracy(mapped, *held)
            waited = 0 if score > best else waited + 1
            if score > best:
                best, state = score, copy.deepcopy(mapped.state_dict())
            if waited == PATIENCE:
                break
    mapped.load_state_dict(state)
    return mapped


@torch.no_grad()
def _accuracy(
    mapped: LinearMap,
    images: Float[Tensor, "n D"],
    captions: Float[Tensor, "n D"],
    swaps: Float[Tensor, "n D"],
) -> float:
    return float((margins(images, captions, swaps, mapped) > 0).float().mean())
