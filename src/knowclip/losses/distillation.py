"""Folding: the text tower alone learns to say what it says with the help of the knowledge encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from knowclip.losses.hard_negative import own_logits

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor


def folding_loss(
    *, text_features: Float[Tensor, "M D"], teacher_text_features: Float[Tensor, "M D"]
) -> Float[Tensor, ""]:
    """Pull the plain embedding of each text towards its embedding with the KEE, which stands still.

    ``mean_i 1 - cos(t_i, t~_i)``: ours, the papers have no such term. A text without triples has ``t = t~``
    and adds 0.

    It asks for the whole embedding and needs no batch, but most of an embedding is the same with the KEE
    and without: at the KEE's lambda of 0.2 (S4) it never exceeds about 0.02. Where only what tells
    captions apart is to be taken over, :func:`own_folding_loss` compares choices between a caption and
    its own negatives (``method.fold="own"``),
    :func:`~knowclip.losses.knowledge_distillation.distillation_loss` softmaxes over a batch
    (``method.fold="similarities"``).

    Args:
        text_features: ``t``.
        teacher_text_features: ``t~``, without gradient.

    Example:
        >>> eye = torch.eye(2)
        >>> folding_loss(text_features=eye, teacher_text_features=eye.flip(0)).item()
        1.0
    """
    return 1 - F.cosine_similarity(text_features, teacher_text_features, dim=-1).mean()


def own_folding_loss(
    *,
    image_features: Float[Tensor, "B D"],
    text_features: Float[Tensor, "B D"],
    negative_features: Float[Tensor, "B N D"],
    teacher_text_features: Float[Tensor, "B D"],
    teacher_negative_features: Float[Tensor, "B N D"],
    logit_scale: Float[Tensor, ""],
    own_negatives: Bool[Tensor, "B N"],
) -> Float[Tensor, ""]:
    """Choose between a caption and its own negatives as the text tower with the KEE does, which stands still.

    ``mean_i KL(softmax(scale v_i.{t~_i, t~_i1-, ..}) || softmax(scale v_i.{t_i, t_i1-, ..}))`` over captions
    with a negative: CORE's listwise distillation (2609.04083) with the KEE as teacher. A caption and its
    swap share almost all of their direction, so :func:`folding_loss` hardly feels what tells them apart;
    this feels nothing else.

    Args:
        image_features: ``v``, without gradient where only texts are to learn.
        text_features: ``t``.
        negative_features: ``t-``.
        teacher_text_features: ``t~``, without gradient.
        teacher_negative_features: ``t~-``, without gradient.
        logit_scale: ``1 / tau``.
        own_negatives: Filled slots whose text is false of their own image.
    """
    shared = {
        "image_features": image_features,
        "logit_scale": logit_scale,
        "own_negatives": own_negatives,
    }
    student = own_logits(**shared, text_features=text_features, negative_features=negative_features)
    teacher = own_logits(
        **shared, text_features=teacher_text_features, negative_features=teacher_negative_features
    )
    chosen, log_chosen = teacher.softmax(dim=1), teacher.log_softmax(dim=1)
    # a masked slot is -inf on both sides, whose difference is NaN: it has no share in either choice
    filled = torch.cat([torch.ones_like(own_negatives[:, :1]), own_negatives], dim=1)
    divergence = (log_chosen - student.log_softmax(dim=1)).masked_fill(~filled, 0.0)
    return (chosen * divergence).sum() / own_negatives.any(dim=1).sum().clamp(min=1)
