"""CLIP: images and captions of a batch, nothing else (Radford et al. 2021; SigLIP: Zhai et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knowclip.losses.blocks import ranked_first
from knowclip.losses.contrastive import clip_loss, siglip_loss
from knowclip.losses.masks import false_negatives
from knowclip.methods.method import Losses, Method, Report
from knowclip.types import Batch, Features

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor


class Clip(Method):
    """Plain contrastive training; hard negatives of the batch are left aside.

    Softmax (:func:`~knowclip.losses.contrastive.clip_loss`), or the sigmoid loss for models with a
    ``logit_bias``. Deviation from the papers: captions of the same image and equal captions are no negatives.

    Choose it to fine-tune on pairs alone, and as the control beside the others: what more training on the
    same pairs does by itself.

    Args:
        model: The towers to train.
    """

    def encode(self, batch: Batch) -> Features:
        """Encode images and captions, once each."""
        return Features(
            image_features=self.encode_images(batch),
            text_features=self.encode_texts(batch.texts),
            image_ids=batch.image_ids,
            caption_ids=batch.caption_ids,
            logit_scale=self.model.logit_scale.exp(),
            logit_bias=self.model.logit_bias,
        )

    def losses(self, features: Features) -> tuple[Losses, Report]:
        """Give ``contrastive_loss``."""
        false = false_negatives(image_ids=features.image_ids, caption_ids=features.caption_ids)
        pairs = {
            "image_features": features.image_features,
            "text_features": features.text_features,
            "logit_scale": features.logit_scale,
            "false_negatives": false,
        }
        if features.logit_bias is None:
            loss = clip_loss(**pairs)
        else:
            loss = siglip_loss(**pairs, logit_bias=features.logit_bias)
        return {"contrastive_loss": loss}, batch_report(features, false)


def batch_report(features: Features, false: Bool[Tensor, "B B"]) -> Report:
    """Numbers every contrastive run wants to see.

    ``image_to_text_accuracy`` is the share of images whose caption ranks first in the batch,
    ``false_negatives`` the share of pairs that were masked, ``logit_scale`` is ``1 / tau``.
    """
    # strictly the nearest, so a tied batch (a constant tower) scores 0
    right, _ = ranked_first(features.image_features, features.text_features, false)
    return {
        "image_to_text_accuracy": right.float().mean().item(),
        "false_negatives": false.float().mean().item(),
        "logit_scale": features.logit_scale.item(),
    }
