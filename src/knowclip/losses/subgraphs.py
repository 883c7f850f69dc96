"""Several true texts an image, parts of its captions' graphs, against false ones (MosaiCLIP).

Shape legend: B images, S texts, D embedding width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor


def subgraph_loss(
    *,
    image_features: Float[Tensor, "B D"],
    subgraph_features: Float[Tensor, "S D"],
    logit_scale: Float[Tensor, ""],
    positives: Bool[Tensor, "B S"],
    false_texts: Bool[Tensor, "B S"],
    false_images: Bool[Tensor, "B S"],
    shared: bool,
) -> Float[Tensor, ""]:
    """Each image chooses each of its sub-graphs among false ones, and each of these its image.

    ``-1/2B' sum_i 1/|P(i)| sum_{k in P(i)} [log softmax_{j in F(i) or P(i)}(s v_i.u_j)[k]
    + log softmax_{n in {i} or G(k)}(s v_n.u_k)[i]]`` over the B' images with a positive; F(i) are the texts
    that are false of image i, G(k) the images that text k is false of (Singh et al. 2023, MosaiCLIP, whose
    columns are all texts of the batch). As we understand the paper. [ours]: what is known to be true of an
    image is none of its negatives; a mean over images in place of a sum, text to image too; and, with
    ``shared`` False, each positive against the false texts alone: in one softmax the positives of an image
    take its probability from each other, so that "a dog" is pushed away where the whole is said as well.

    Beside :func:`~knowclip.losses.hard_negative.negclip_loss`, which has whole captions: short texts leave
    nothing but nouns, attributes and relations to tell true from false by. Images without a positive add
    nothing, and a batch without any gives 0.

    Args:
        image_features: ``v``, L2-normalised.
        subgraph_features: ``u``, L2-normalised, each distinct text once.
        logit_scale: ``s = 1 / tau``.
        positives: ``[image, text]``: P.
        false_texts: ``[image, text]``: F, disjoint from ``positives``.
        false_images: ``[image, text]``: G, likewise.
        shared: Whether the positives of an image are in one softmax, as in the paper.
    """
    logits = logit_scale * image_features @ subgraph_features.T
    # all of it in log space; a row of -inf alone (nothing false) would give NaN gradients, 0 = log 1 none
    texts = _alternatives(logits, false_texts | positives if shared else false_texts, dim=1)
    images = _alternatives(logits, false_images, dim=0)
    to_text = texts - logits if shared else torch.logaddexp(texts, logits) - logits
    costs = (to_text + torch.logaddexp(images, logits) - logits).masked_fill(~positives, 0.0)
    counts = positives.sum(dim=1)
    per_image = costs.sum(dim=1) / counts.clamp(min=1)
    return per_image.sum() / (2 * (counts > 0).sum().clamp(min=1))


def _alternatives(
    logits: Float[Tensor, "B S"], mask: Bool[Tensor, "B S"], *, dim: int
) -> Float[Tensor, "B S"]:
    """Logarithm of the sum of exponentials of what is in the mask, along an axis, which is kept."""
    none = torch.finfo(logits.dtype).min / 2
    return logits.masked_fill(~mask, none).logsumexp(dim=dim, keepdim=True)
