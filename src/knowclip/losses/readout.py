"""What an embedding must hold: the tails of its triples, told from it by a small head.

Shape legend: k triples, U distinct tails, d width of the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor


def readout_loss(
    *,
    query_features: Float[Tensor, "k d"],
    tail_features: Float[Tensor, "U d"],
    logit_scale: Float[Tensor, ""],
    tail_labels: Int[Tensor, " k"],
    known_tails: Bool[Tensor, "k U"],
) -> Float[Tensor, ""]:
    """Name the tail of each triple among those of the batch.

    ``-1/k sum_i log softmax_j(scale q_i.t_j)[label_i]`` over distinct tails ``j``, without those that are
    true of the same image, head and relation as well. Ours, after READ-CLIP (arXiv 2510.16540), which
    rebuilds a caption's words from one token made of the pooled text: here the words are those that binding
    is about, and images are asked the same.

    Bag-of-words embeddings fail it: "a red dog and a blue cat" and its swap hold the same words, and (dog,
    is) has red in one, blue in the other. Unlike :func:`~knowclip.losses.triplet.e2e_loss` it asks pooled
    embeddings and needs no graph but the caption's. No triple gives 0.

    Args:
        query_features: What the head makes of embedding, head and relation; L2-normalised.
        tail_features: Of each distinct tail, L2-normalised.
        logit_scale: ``1 / tau``.
        tail_labels: Which of the tails is each triple's own.
        known_tails: Further ones that are true, left out; False at the own one.
    """
    logits = (logit_scale * query_features @ tail_features.T).masked_fill(known_tails, float("-inf"))
    own = logits.gather(1, tail_labels[:, None]).squeeze(1)
    return (torch.logsumexp(logits, dim=1) - own).sum() / max(len(logits), 1)
