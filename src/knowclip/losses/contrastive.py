"""Contrastive losses between the images and the captions of a batch.

``image_features`` and ``text_features`` are L2-normalised, row ``i`` of one belongs to row ``i`` of the
other; ``logit_scale`` is the factor itself (``1 / tau``), not its logarithm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor


def clip_loss(
    *,
    image_features: Float[Tensor, "B D"],
    text_features: Float[Tensor, "B D"],
    logit_scale: Float[Tensor, ""],
    false_negatives: Bool[Tensor, "B B"] | None = None,
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE: pick the caption of each image, and the image of each caption, among the batch.

    ``-1/2B sum_i [log softmax_j(scale v_i.t_j)[i] + log softmax_j(scale v_j.t_i)[i]]``.
    Also known as InfoNCE, NT-Xent or the multiple-negatives ranking loss (Radford et al. 2021, figure 3; the
    ``L_ITC`` of S3). The rest of the batch are the negatives, so a larger batch is a harder question.

    Take it for weights that were trained with a softmax (no ``logit_bias``), :func:`siglip_loss` for those of
    a sigmoid, whose temperature was learned together with a bias. Random captions of a batch rarely differ in
    order or binding alone: :func:`~knowclip.losses.hard_negative.negclip_loss` adds captions that do,
    :func:`~knowclip.losses.hinge.batch_hard_loss` asks for the hardest of the batch only.

    Args:
        image_features: ``v``.
        text_features: ``t``.
        logit_scale: ``1 / tau``.
        false_negatives: Pairs left out of both softmaxes, ``[image, text]``, diagonal False
            (:func:`knowclip.losses.masks.false_negatives`).

    Example:
        >>> eye = torch.eye(2)
        >>> round(clip_loss(image_features=eye, text_features=eye, logit_scale=torch.tensor(1.0)).item(), 4)
        0.3133
    """
    logits = pair_logits(image_features, text_features, logit_scale, false_negatives)
    labels = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def pair_logits(
    image_features: Float[Tensor, "B D"],
    text_features: Float[Tensor, "B D"],
    logit_scale: Float[Tensor, ""],
    false_negatives: Bool[Tensor, "B B"] | None,
) -> Float[Tensor, "B B"]:
    """Logits of all pairs, ``-inf`` where a pair takes no part."""
    logits = logit_scale * image_features @ text_features.T
    return logits if false_negatives is None else logits.masked_fill(false_negatives, float("-inf"))


def siglip_loss(
    *,
    image_features: Float[Tensor, "B D"],
    text_features: Float[Tensor, "B D"],
    logit_scale: Float[Tensor, ""],
    logit_bias: Float[Tensor, ""],
    false_negatives: Bool[Tensor, "B B"] | None = None,
) -> Float[Tensor, ""]:
    """Sigmoid loss: is this caption of this image, yes or no, for every pair of the batch.

    ``-1/B sum_ij log sigmoid(z_ij (scale v_i.t_j + bias))``, ``z_ij`` = 1 on the diagonal and -1 off it
    (Zhai et al. 2023, algorithm 1). The loss of models that carry a ``logit_bias``; others take
    :func:`clip_loss`. Pairs do not compete, so each can be true or false on its own, and hard negatives are
    one more sum: :func:`~knowclip.losses.hard_negative.negative_siglip_loss`.

    Args:
        image_features: ``v``.
        text_features: ``t``.
        logit_scale: ``1 / tau``.
        logit_bias: Added to every logit; about -10 at the start of training.
        false_negatives: Pairs left out of the sum, ``[image, text]``, diagonal False.
    """
    logits = logit_scale * image_features @ text_features.T + logit_bias
    signs = 2 * torch.eye(len(logits), device=logits.device, dtype=logits.dtype) - 1
    terms = F.logsigmoid(signs * logits)
    if false_negatives is not None:
        terms = terms.masked_fill(false_negatives, 0)
    return -terms.sum() / len(logits)
