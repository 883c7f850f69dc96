"""The D x D map of the text embedding that tells captions from their own negatives, on cached embeddings.

LABCLIP (Koishigarina et al. 2025, arXiv:2502.03566) with our losses: nothing is encoded while the map is
fitted, so that a step costs two small matrix products.

Shape legend: n pairs, I images, T texts, N negatives a caption, B batch, D embedding width.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import nn

from knowclip.losses.contrastive import clip_loss, siglip_loss
from knowclip.losses.hard_negative import own_negative_loss
from knowclip.losses.masks import false_negatives
from knowclip.models.projection import LinearMap
from knowclip.training.selection import is_best
from knowclip.training.update import MAX_LOGIT_SCALE

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from knowclip.models.clip import DualEncoder

CHECK = 100
"""Steps between two measurements of the held-out pairs."""


@dataclass(frozen=True)
class EncodedPairs:
    """Image-caption pairs and their negatives as a model embeds them, every image and text once.

    ``negatives`` may hold any row where ``negative_mask`` is False. ``image_ids`` and ``caption_ids`` are
    content hashes, as a Batch has them.
    """

    image_features: Float[Tensor, "I D"]
    text_features: Float[Tensor, "T D"]
    images: Int[Tensor, " n"]
    """Row of each pair's image; ``captions`` and ``negatives`` likewise of the texts."""
    captions: Int[Tensor, " n"]
    negatives: Int[Tensor, "n N"]
    negative_mask: Bool[Tensor, "n N"]
    image_ids: Int[Tensor, " n"]
    caption_ids: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> EncodedPairs:
        """The same on a device."""
        return EncodedPairs(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class Alignment(nn.Module):
    """What is fitted: the map, and the temperature (of sigmoid models the bias too) that goes with it."""

    def __init__(self, model: DualEncoder) -> None:
        super().__init__()
        self.map = LinearMap(model.embed_dim).to(model.device)
        self.logit_scale = nn.Parameter(model.logit_scale.detach().float().clone())
        bias = model.logit_bias
        self.logit_bias = None if bias is None else nn.Parameter(bias.detach().float().clone())

    def loss(
        self, pairs: EncodedPairs, rows: Int[Tensor, " B"], *, own_negative_weight: float
    ) -> Float[Tensor, ""]:
        """The contrastive loss of a batch, and the choice between each caption and its own negatives."""
        common = {
            "image_features": pairs.image_features[pairs.images[rows]],
            "text_features": self.map(pairs.text_features[pairs.captions[rows]]),
            "logit_scale": self.logit_scale.exp(),
        }
        false = false_negatives(image_ids=pairs.image_ids[rows], caption_ids=pairs.caption_ids[rows])
        if self.logit_bias is None:
            loss = clip_loss(**common, false_negatives=false)
        else:
            loss = siglip_loss(**common, false_negatives=false, logit_bias=self.logit_bias)
        if not own_negative_weight:
            return loss
        mask = pairs.negative_mask[rows]
        filled = self.map(pairs.text_features[pairs.negatives[rows][mask]])
        negatives = filled.new_zeros(*mask.shape, filled.shape[-1]).index_put((mask,), filled)
        own = own_negative_loss(**common, negative_features=negatives, own_negatives=mask)
        return loss + own_negative_weight * own

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep the temperature where training keeps it: sigmoid models are published beyond."""
        if self.logit_bias is None:
            self.logit_scale.clamp_(0, MAX_LOGIT_SCALE)


@dataclass(frozen=True, slots=True)
class AlignSettings:
    """How a map is fitted.

    Args:
        steps: Of Adam, whose learning rate falls to 0 along a cosine.
        batch_size: Pairs a step, drawn anew without repetition; all of them where they are fewer.
        own_negative_weight: Of the choice among a caption's own negatives, beside the contrastive loss.
        lr: The first learning rate.
        seed: Of the batches.
    """

    steps: int = 1500
    batch_size: int = 1024
    own_negative_weight: float = 2.0
    lr: float = 1e-2
    seed: int = 0


@dataclass(frozen=True)
class Fitted:
    """The alignment of the best step (0: the identity, as the model came) and its score."""

    alignment: Alignment
    step: int
    score: float


def fit_alignment(
    model: DualEncoder,
    pairs: EncodedPairs,
    settings: AlignSettings,
    *,
    measure: Callable[[LinearMap], float],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Fitted:
    """Fit a map behind the text tower; the model itself stays as it is.

    Args:
        model: What encoded the pairs.
        pairs: To fit on, on the model's device.
        settings: Steps, batches, losses.
        measure: Score of a map on held-out pairs, the higher the better; the best step is kept, the earliest
            of equals.
        progress: Told how many steps are done of how many.

    Raises:
        ValueError: The loss is no longer finite.
    """
    steps, lr = settings.steps, settings.lr
    alignment = Alignment(model)
    optimizer = torch.optim.Adam(alignment.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(settings.seed)
    best = Fitted(copy.deepcopy(alignment), 0, measure(alignment.map))
    for step in range(1, steps + 1):
        rows = torch.randperm(len(pairs), generator=generator)[: settings.batch_size].to(model.device)
        loss = alignment.loss(pairs, rows, own_negative_weight=settings.own_negative_weight)
        if not math.isfinite(loss.item()):
            raise ValueError(f"the loss is {loss.item()} at step {step}: take a lower lr than {lr:g}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        alignment.clamp()
        if step % CHECK == 0 or step == steps:
            score = measure(alignment.map)
            if is_best(score, best.score):
                best = Fitted(copy.deepcopy(alignment), step, score)
        progress(step, steps)
    return best
