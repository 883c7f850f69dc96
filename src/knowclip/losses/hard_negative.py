"""Losses on hard-negative captions: the same image, almost the same words, another meaning.

Slots are ``[B, N]``: N negatives per caption, masked where a caption has fewer. A masked slot takes no
part, but must hold a finite embedding (zeros). A caption without a negative adds nothing, and a batch
without any gives 0 (``negclip_loss``: the plain InfoNCE). Features are L2-normalised and ``logit_scale``
is ``1 / tau``, as in :mod:`knowclip.losses.contrastive`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from knowclip.losses.blocks import summed
from knowclip.losses.contrastive import choices

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor


def negclip_loss(
    *,
    image_features: Float[Tensor, "B D"],
    text_features: Float[Tensor, "B D"],
    negative_features: Float[Tensor, "B N D"],
    logit_scale: Float[Tensor, ""],
    usable_negatives: Bool[Tensor, "B B N"],
    false_negatives: Bool[Tensor, "B B"] | None = None,
) -> Float[Tensor, ""]:
    """InfoNCE in which each image also chooses against the hard negatives of *all* captions of the batch.

    The image-to-text softmax has ``B + B N`` columns, the text-to-image softmax B (Yuksekgonul et al. 2023,
    NegCLIP). With no usable negative it equals :func:`~knowclip.losses.contrastive.clip_loss`, whose place it
    takes; for models with a ``logit_bias`` :func:`negative_siglip_loss` does. A caption's own negative is one
    column of many here; :func:`own_negative_loss` and :func:`~knowclip.losses.hinge.hinge_loss` give it a
    term of its own. NegCLIP's second part, batches of look-alike images, is a matter of sampling, not of the
    loss.

    Args:
        image_features: ``v``.
        text_features: ``t``.
        negative_features: ``t-``.
        logit_scale: ``1 / tau``.
        usable_negatives: ``[image, caption, slot]``: this negative is false of this image
            (:func:`knowclip.losses.masks.usable_negatives`).
        false_negatives: Captions left out, ``[image, text]``, diagonal False.
    """
    # negatives have no image of their own, so they ask for none
    image_to_text, text_to_image = choices(
        image_features,
        text_features,
        logit_scale,
        false_negatives,
        further_texts=negative_features.flatten(0, 1),
        further_left_out=~usable_negatives.flatten(1),
    )
    return (image_to_text + text_to_image) / (2 * len(image_features))


def own_negative_loss(
    *,
    image_features: Float[Tensor, "B D"],
    text_features: Float[Tensor, "B D"],
    negative_features: Float[Tensor, "B N D"],
    logit_scale: Float[Tensor, ""],
    own_negatives: Bool[Tensor, "B N"],
) -> Float[Tensor, ""]:
    """Each image chooses between its caption and that caption's own negatives: a softmax of ``1 + N``.

    ``mean_i -log softmax(scale [v_i.t_i, v_i.t_i1-, .. v_i.t_iN-])[0]`` over captions with a negative.
    Ours. Nothing but the meaning tells these apart, so relations are learned much sooner than from the
    ``B + B N`` columns of :func:`negclip_loss`, where most of the gradient goes to other pictures.

    Take it beside a contrastive loss, which alone keeps other pictures apart. It is the softmax of the choice
    that :func:`~knowclip.losses.hinge.hinge_loss` makes by a margin: the negatives of a caption share it, so
    that the hardest counts most, and a choice that is right goes on being sharpened.

    Args:
        image_features: ``v``.
        text_features: ``t``.
        negative_features: ``t-``.
        logit_scale: ``1 / tau``.
        own_negatives: Filled slots whose text is false of their own image.
    """
    logits = own_logits(
        image_features=image_features,
        text_features=text_features,
        negative_features=negative_features,
        logit_scale=logit_scale,
        own_negatives=own_negatives,
    )
    # a row without negatives is a softmax of one: loss and gradient exactly 0
    losses = logits.logsumexp(dim=1) - logits[:, 0]
    return losses.sum() / own_negatives.any(dim=1).sum().clamp(min=1)


def own_logits(
    *,
    image_features: Float[Tensor, "B D"],
    text_features: Float[Tensor, "B D"],
    negative_features: Float[Tensor, "B N D"],
    logit_scale: Float[Tensor, ""],
    own_negatives: Bool[Tensor, "B N"],
) -> Float[Tensor, "B 1+N"]:
    """Logits of each image with its caption (column 0) and the caption's negatives; ``-inf`` where none."""
    positive = logit_scale * (image_features * text_features).sum(dim=-1, keepdim=True)
    negative = logit_scale * torch.einsum("bd,bnd->bn", image_features, negative_features)
    # masked after scaling: 0 * -inf would turn the gradient of logit_scale into NaN
    return torch.cat([positive, negative.masked_fill(~own_negatives, float("-inf"))], dim=1)


def negative_siglip_loss(
    *,
    image_features: Float[Tensor, "B D"],
    negative_features: Float[Tensor, "B N D"],
    logit_scale: Float[Tensor, ""],
    logit_bias: Float[Tensor, ""],
    usable_negatives: Bool[Tensor, "B B N"],
) -> Float[Tensor, ""]:
    """Sigmoid loss of the hard-negative pairs, all labelled "no".

    ``-1/B sum_ijn log sigmoid(-(scale v_i.t_jn- + bias))``. The sigmoid loss is a sum over pairs, so
    :func:`~knowclip.losses.contrastive.siglip_loss` plus this is NegCLIP for models with a ``logit_bias``
    (ours); for those without it is :func:`negclip_loss`.

    Args:
        image_features: ``v``.
        negative_features: ``t-``.
        logit_scale: ``1 / tau``.
        logit_bias: Added to every logit.
        usable_negatives: ``[image, caption, slot]``: this negative is false of this image.
    """
    negatives, unusable = negative_features.flatten(0, 1), ~usable_negatives.flatten(1)

    def of_images(rows: slice) -> Tensor:
        logits = logit_scale * image_features[rows] @ negatives.T + logit_bias
        return F.logsigmoid(-logits).masked_fill(unusable[rows], 0).sum()

    total = summed(of_images, rows=len(image_features), columns=len(negatives))
    return -total / len(image_features)
