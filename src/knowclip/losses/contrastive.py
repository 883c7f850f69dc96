"""Contrastive losses between the images and the captions of a batch.

``image_features`` and ``text_features`` are L2-normalised, row ``i`` of one belongs to row ``i`` of the
other; ``logit_scale`` is the factor itself (``1 / tau``), not its logarithm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from knowclip.losses.blocks import summed

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
    image_to_text, text_to_image = choices(image_features, text_features, logit_scale, false_negatives)
    return (image_to_text + text_to_image) / (2 * len(image_features))


def choices(
    image_features: Float[Tensor, "B D"],
    text_features: Float[Tensor, "B D"],
    logit_scale: Float[Tensor, ""],
    left_out: Bool[Tensor, "B B"] | None,
    *,
    further_texts: Float[Tensor, "M D"] | None = None,
    further_left_out: Bool[Tensor, "B M"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropies of choosing the text of each image, and the image of each text, summed over the batch.

    Args:
        image_features: ``v``.
        text_features: ``t``.
        logit_scale: ``1 / tau``.
        left_out: Pairs that take no part, ``[image, text]``.
        further_texts: Texts that images choose against too, and that choose no image.
        further_left_out: Of those.
    """
    size = len(image_features)

    def of_images(rows: slice) -> Tensor:
        logits = pair_logits(image_features[rows], text_features, logit_scale, _rows(left_out, rows))
        if further_texts is not None:
            skipped = _rows(further_left_out, rows)
            further = pair_logits(image_features[rows], further_texts, logit_scale, skipped)
            logits = torch.cat([logits, further], dim=1)
        return _own_column(logits, rows)

    def of_texts(rows: slice) -> Tensor:
        skipped = None if left_out is None else left_out.T[rows]
        return _own_column(pair_logits(text_features[rows], image_features, logit_scale, skipped), rows)

    columns = size if further_texts is None else size + len(further_texts)
    return summed(of_images, rows=size, columns=columns), summed(of_texts, rows=size, columns=size)


def _own_column(logits: Float[Tensor, "b M"], rows: slice) -> Float[Tensor, ""]:
    labels = torch.arange(rows.start, rows.stop, device=logits.device)
    return F.cross_entropy(logits, labels, reduction="sum")


def _rows(mask: Bool[Tensor, "B M"] | None, rows: slice) -> Bool[Tensor, "b M"] | None:
    return None if mask is None else mask[rows]


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
    size = len(image_features)

    def of_images(rows: slice) -> Tensor:
        logits = logit_scale * image_features[rows] @ text_features.T + logit_bias
        signs = torch.full_like(logits, -1)
        signs.diagonal(rows.start).fill_(1)
        terms = F.logsigmoid(signs * logits)
        if false_negatives is not None:
            terms = terms.masked_fill(false_negatives[rows], 0)
        return terms.sum()

    return -summed(of_images, rows=size, columns=size) / size
