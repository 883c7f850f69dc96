"""A knowledge graph for the pooled embedding: what is said of a head, against what it is said of.

Shape legend: S triplets of a step, D embedding width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from knowclip.losses.contrastive import choices

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
    given_features: Float[Tensor, "S D"] | None = None,
    given_true: Bool[Tensor, " S"] | None = None,
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE of pooled "head relation" and pooled tail, kin of either left out.

    ``-1/2S sum_i [log softmax_j(scale q_i.t_j)[i] + log softmax_j(scale q_j.t_i)[i]]`` over the j that are
    neither known truths nor related. After the metric learning of KEEP on the entities of a graph of
    diseases, whose negatives leave out ancestors and descendants (arXiv 2412.13126); [ours]: queries are
    phrases of head and relation, and relations of any graph, not synonyms of one entity. With
    ``given_features`` each query is told from its own head too, SimKGC's self-negative (Wang et al., ACL
    2022): "dog is a" says "dog", so nothing is nearer to it by the words alone.

    Where :func:`~knowclip.losses.triplet.e2e_loss` asks the fusion encoder's outputs, and so trains the
    towers' tokens, this asks the towers' own embeddings: what a user of the exported CLIP keeps. A triplet
    with nothing else beside it gives 0.

    Args:
        query_features: "h r" as CLIP embeds it.
        candidate_features: ``t`` likewise, words or image.
        logit_scale: ``1 / tau``.
        known_true: ``[i, j]``: ``(h_i, r_i, t_j)`` is true as well, so no negative; diagonal False.
        related: ``[i, j]``: it may be, for a hierarchy of the graph relates the two; diagonal False.
        given_features: ``h`` as a candidate, a negative of its own query alone; None: there are none.
        given_true: Where ``h`` is ``t``, so no negative; None: nowhere.

    Example:
        >>> import torch
        >>> eye, none = torch.eye(2), torch.zeros(2, 2, dtype=torch.bool)
        >>> loss = pooled_loss(query_features=eye, candidate_features=eye, logit_scale=torch.tensor(1.0),
        ...                    known_true=none, related=none)
        >>> round(loss.item(), 4)
        0.3133
    """
    size, given = len(query_features), {}
    if given_features is not None:
        others = ~torch.eye(size, dtype=torch.bool, device=query_features.device)
        no_negative = others if given_true is None else others | given_true[:, None]
        given = {"further_texts": given_features, "further_left_out": no_negative}
    left_out = known_true | related
    of_queries, of_candidates = choices(query_features, candidate_features, logit_scale, left_out, **given)
    return (of_queries + of_candidates) / (2 * size)
