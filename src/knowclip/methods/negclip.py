"""NegCLIP: hard-negative captions in the image-to-text softmax (Yuksekgonul et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from knowclip.losses.contrastive import siglip_loss
from knowclip.losses.hard_negative import negative_siglip_loss, negclip_loss, own_logits, own_negative_loss
from knowclip.losses.masks import false_negatives, usable_negatives
from knowclip.methods.clip import batch_report
from knowclip.methods.method import Losses, Method, Report
from knowclip.types import Batch, Features

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from knowclip.models.clip import DualEncoder


class NegClip(Method):
    """Contrastive training against the hard negatives of all captions of the batch.

    Deviations from the paper: false negatives are masked, a negative that is a caption of another image of
    the batch among them; a caption may have several negatives; there are no hard-negative images.

    Choose it where captions have negatives and the towers alone are to learn from them, with
    ``own_negative_weight`` where relations come too slowly.
    :class:`~knowclip.methods.structure_clip.StructureClip` has a hinge on them instead, and an encoder of the
    captions' triples.

    Args:
        model: The towers to train.
        own_negative_weight: Weight of the extra choice between a caption and its own negatives
            (:func:`~knowclip.losses.hard_negative.own_negative_loss`); 0, the paper's method, leaves it out.
    """

    def __init__(self, model: DualEncoder, *, own_negative_weight: float) -> None:
        super().__init__(model)
        self.own_negative_weight = own_negative_weight

    def encode(self, batch: Batch) -> Features:
        """Encode images once, and captions and filled negative slots in one text forward."""
        tokens = torch.cat([batch.texts, batch.negatives[batch.negative_mask]])
        text_features, filled = self.encode_texts(tokens).split(
            [len(batch.texts), len(tokens) - len(batch.texts)]
        )
        # zeros: masked slots enter products, whose gradient would be 0 * NaN with what lies in memory
        empty = filled.new_zeros(*batch.negative_mask.shape, filled.shape[-1])
        return Features(
            image_features=self.encode_images(batch),
            text_features=text_features,
            negative_features=empty.index_put((batch.negative_mask,), filled),
            negative_mask=batch.negative_mask,
            image_ids=batch.image_ids,
            caption_ids=batch.caption_ids,
            negative_ids=batch.negative_ids,
            logit_scale=self.model.logit_scale.exp(),
            logit_bias=self.model.logit_bias,
        )

    def losses(self, features: Features) -> tuple[Losses, Report]:
        """Give ``contrastive_loss`` and, where it has a weight, ``own_negative_loss``."""
        false, usable, own = masks(features)
        losses = {"contrastive_loss": contrastive_loss(features, false, usable)}
        if self.own_negative_weight:
            loss = own_negative_loss(**own_choice(features, own), logit_scale=features.logit_scale)
            losses["own_negative_loss"] = self.own_negative_weight * loss
        return losses, batch_report(features, false) | own_report(features, own)


def masks(features: Features) -> tuple[Bool[Tensor, "B B"], Bool[Tensor, "B B N"], Bool[Tensor, "B N"]]:
    """False negatives among the captions, usable negatives of each image, and usable ones of its own."""
    ids = {"image_ids": features.image_ids, "caption_ids": features.caption_ids}
    usable = usable_negatives(**ids, negative_ids=features.negative_ids, negative_mask=features.negative_mask)
    rows = torch.arange(len(usable), device=usable.device)
    return false_negatives(**ids), usable, usable[rows, rows]


def own_choice(features: Features, own_negatives: Bool[Tensor, "B N"]) -> dict[str, Tensor]:
    """What the losses between a caption and its own negatives take."""
    return {
        "image_features": features.image_features,
        "text_features": features.text_features,
        "negative_features": features.negative_features,
        "own_negatives": own_negatives,
    }


def contrastive_loss(features: Features, false: Bool[Tensor, "B B"], usable: Bool[Tensor, "B B N"]) -> Tensor:
    """Softmax over captions and negatives, or the sigmoid loss on both for models with a ``logit_bias``."""
    common = {"image_features": features.image_features, "logit_scale": features.logit_scale}
    texts = {"text_features": features.text_features, "false_negatives": false}
    negatives = {"negative_features": features.negative_features, "usable_negatives": usable}
    if features.logit_bias is None:
        return negclip_loss(**common, **texts, **negatives)
    bias = {"logit_bias": features.logit_bias}
    return siglip_loss(**common, **texts, **bias) + negative_siglip_loss(**common, **negatives, **bias)


@torch.no_grad()
def own_report(features: Features, own_negatives: Bool[Tensor, "B N"]) -> Report:
    """Share of captions with a negative, and how many of those beat all of theirs (strict ``>``)."""
    logits = own_logits(**own_choice(features, own_negatives), logit_scale=features.logit_scale)
    has_negative = own_negatives.any(dim=1)
    report = {"captions_with_negative": has_negative.float().mean().item()}
    if has_negative.any():
        correct = (logits[:, :1] > logits[:, 1:]).all(dim=1)
        report["own_negative_accuracy"] = correct[has_negative].float().mean().item()
    return report
