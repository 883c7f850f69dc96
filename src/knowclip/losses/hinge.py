"""Hinge losses: a positive must beat its negatives by a margin, and is left alone once it does.

Unlike the softmaxes of :mod:`knowclip.losses.contrastive` they know no temperature, and pairs that are told
apart well enough have no gradient at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from knowclip.losses.blocks import summed

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor


def hinge_loss(
    *,
    image_features: Float[Tensor, "B D"],
    text_features: Float[Tensor, "B D"],
    negative_features: Float[Tensor, "B N D"],
    own_negatives: Bool[Tensor, "B N"],
    margin: float,
) -> Float[Tensor, ""]:
    """Structure-CLIP's loss on semantic negatives (S3): each caption beats its own by a margin.

    ``mean_in max(0, gamma - v_i.t_i + v_i.t_in-)``, over captions and those of their negatives that are
    false; 0 where there is none. The paper has one negative a caption.

    Take it beside a contrastive loss, as the paper does, to move the towers no further than the margin.
    :func:`~knowclip.losses.hard_negative.own_negative_loss` is the softmax of the same choice, and never
    rests; :func:`~knowclip.losses.hard_negative.negclip_loss` puts the negatives into the contrastive softmax
    instead.

    Args:
        image_features: ``v``.
        text_features: ``t``.
        negative_features: ``t-``.
        own_negatives: Filled slots whose text is false of their own image.
        margin: ``gamma``, in units of cosine; 0.1 in the authors' code.

    Example:
        >>> eye = torch.eye(2)
        >>> own = torch.ones(2, 1, dtype=torch.bool)
        >>> inputs = {"image_features": eye, "text_features": eye, "own_negatives": own, "margin": 0.1}
        >>> round(hinge_loss(**inputs, negative_features=eye[:, None]).item(), 4)
        0.1
    """
    positive = (image_features * text_features).sum(dim=-1, keepdim=True)
    negative = torch.einsum("bd,bnd->bn", image_features, negative_features)
    costs = (margin - positive + negative).relu().masked_fill(~own_negatives, 0)
    # min=1: a batch without a usable negative gives 0, not 0 / 0
    return costs.sum() / own_negatives.sum().clamp(min=1)


def batch_hard_loss(
    *,
    image_features: Float[Tensor, "B D"],
    text_features: Float[Tensor, "B D"],
    false_negatives: Bool[Tensor, "B B"],
    margin: float,
    mean_of_images: bool = False,
) -> Float[Tensor, ""]:
    """What the released Structure-CLIP trains on in place of InfoNCE (S3): the hardest of the batch.

    ``mean_i [m + max_j v_i.t~_j - v_i.t~_i]+ + [m + max_j v_j.t~_i - v_i.t~_i]+``, ``j != i``. Also known as
    VSE++ or max-of-hinges (Faghri et al. 2018). A batch of one gives 0.

    Take it to repeat the released code; :func:`~knowclip.losses.contrastive.clip_loss` is the paper's, and
    learns from every pair of the batch at once. A false negative that is not masked is likely to be the
    hardest here, and then takes the whole gradient of its row.

    Args:
        image_features: ``v``.
        text_features: ``t~``, of any length.
        false_negatives: Pairs left out, ``[image, text]``, diagonal False.
        margin: ``m``; 0.2 in the authors' code.
        mean_of_images: In the second term the mean over all ``v_j.t~_i``, the positive among them, in place
            of the hardest: what the authors' code begins with, for a hundred steps.
    """
    size = len(image_features)

    def costs(queries: Tensor, candidates: Tensor, left_out: Tensor, *, mean: bool, rows: slice) -> Tensor:
        # products, not cosines: the released code does not renormalise its t~
        scores = queries[rows] @ candidates.T
        positive = scores.diagonal(rows.start)
        if mean:
            other = scores.masked_fill(left_out[rows], 0).sum(dim=1) / (~left_out[rows]).sum(dim=1)
        else:
            skipped = left_out[rows].clone()
            skipped.diagonal(rows.start).fill_(True)
            other = scores.masked_fill(skipped, float("-inf")).amax(dim=1)
        return (margin + other - positive).relu().sum()

    def of_images(rows: slice) -> Tensor:
        return costs(image_features, text_features, false_negatives, mean=False, rows=rows)

    def of_texts(rows: slice) -> Tensor:
        return costs(text_features, image_features, false_negatives.T, mean=mean_of_images, rows=rows)

    total = summed(of_images, rows=size, columns=size) + summed(of_texts, rows=size, columns=size)
    return total / size
