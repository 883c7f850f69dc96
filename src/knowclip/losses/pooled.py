"""A knowledge graph for the pooled embedding: what is said of a head, against what it is said of.

Shape legend: S triplets of a step, D embedding width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from knowclip.losses.contrastive import clip_loss

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor


def pooled_loss(
    *,
    query_features: Float[Tensor, "S D"],
    candidate_features: Float[Tensor, "S D"],
    logit_scale: Float[Tensor, ""],
    known_true: Bool[Tensor, "S S"],
    related: Bool[Tensor, "S S"],
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE of pooled "head relation" and pooled tail, kin of either left out.

    ``-1/2S sum_i [log softmax_j(scale q_i.t_j)[i] + log softmax_j(scale q_j.t_i)[i]]`` over the j that are
    neither known truths nor related. After the metric learning of KEEP on the entities of a graph of
    diseases, whose negatives leave out ancestors and descendants (arXiv 2412.13126); [ours]: queries are
    phrases of head and relation, and relations of any graph, not synonyms of one entity.

    Where :func:`~knowclip.losses.triplet.e2e_loss` asks the fusion encoder's outputs, and so trains the
    towers' tokens, this asks the towers' own embeddings: what a user of the exported CLIP keeps. A triplet
    with nothing else beside it gives 0.

    Args:
        query_features: "h r" as CLIP embeds it.
        candidate_features: ``t`` likewise, words or image.
        logit_scale: ``1 / tau``.
        known_true: ``[i, j]``: ``(h_i, r_i, t_j)`` is true as well, so no negative; diagonal False.
        related: ``[i, j]``: it may be, for a hierarchy of the graph relates the two; diagonal False.

    Example:
        >>> import torch
        >>> eye, none = torch.eye(2), torch.zeros(2, 2, dtype=torch.bool)
        >>> loss = pooled_loss(query_features=eye, candidate_features=eye, logit_scale=torch.tensor(1.0),
        ...                    known_true=none, related=none)
        >>> round(loss.item(), 4)
        0.3133
    """
    return clip_loss(
        image_features=query_features,
        text_features=candidate_features,
        logit_scale=logit_scale,
        false_negatives=known_true | related,
    )
