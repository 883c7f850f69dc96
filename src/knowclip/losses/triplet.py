"""Knowledge-CLIP's losses over triplets ``(h, r, t)`` of a step (K4, K5, K6).

``Y`` and ``R`` are the fusion encoder's outputs (:mod:`knowclip.models.fusion`), ``-`` a masked element; what
is compared by cosine comes L2-normalised. ``logit_scale`` is ``1 / tau``, learnable, one of each loss.

What is to be asked of the trained model decides which to take: :func:`e2e_loss` learns to complete
``(h, r, ?)`` and, with heads, ``(?, r, t)``; :func:`e2r_loss` to name the relation of ``(h, ?, t)``;
:func:`g2e_loss` only shapes the entities' embeddings by what lies around them. All of them train the towers
through the fusion encoder, so keep a term on pairs beside them
(:func:`~knowclip.losses.knowledge_distillation.distillation_loss`, K7).

Shape legend: S triplets, D fusion width, R relations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from knowclip.losses.contrastive import choices, clip_loss

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor


def e2e_loss(
    *,
    query_features: Float[Tensor, "S D"],
    candidate_features: Float[Tensor, "S D"],
    logit_scale: Float[Tensor, ""],
    known_true: Bool[Tensor, "S S"],
) -> Float[Tensor, ""]:
    """Entity-entity (K4): InfoNCE between ``Y(h_i, r_i, -)`` and ``Y(-, -, t_i)``, over a step's triplets.

    Both ways, as CLIP does [ours; the sources read say "InfoNCE"]: choose the tail of each query, and the
    query of each tail. With heads in place of tails, ``Y(-, r_i, t_i)`` against ``Y(h_i, -, -)``, it is the
    head side [ours]. A triplet with nothing but known truths beside it gives 0.

    The candidates are the step's: larger steps ask harder questions. Regions of one image share a background
    that can give a tail away, so let steps hold several triplets of an image (``data.graph.same_image``).

    Args:
        query_features: ``Y(h, r, -)``.
        candidate_features: ``Y(-, -, t)``.
        logit_scale: ``1 / tau``.
        known_true: ``[i, j]``: ``(h_i, r_i, t_j)`` is true as well, so no negative [ours]; diagonal False.

    Example:
        >>> eye, none = torch.eye(2), torch.zeros(2, 2, dtype=torch.bool)
        >>> loss = e2e_loss(query_features=eye, candidate_features=eye,
        ...                 logit_scale=torch.tensor(1.0), known_true=none)
        >>> round(loss.item(), 4)
        0.3133
    """
    return clip_loss(
        image_features=query_features,
        text_features=candidate_features,
        logit_scale=logit_scale,
        false_negatives=known_true,
    )


def e2r_loss(
    *, relation_logits: Float[Tensor, "S R"], relation_labels: Int[Tensor, " S"]
) -> Float[Tensor, ""]:
    """Entity-relation (K5): cross-entropy of ``softmax(MLP(R(h_i, -, t_i)))`` over the relation vocabulary.

    The vocabulary is fixed and whole, so step size and false negatives do not matter, as they do to
    :func:`e2e_loss`; a relation that is new after training cannot be named.

    Args:
        relation_logits: ``MLP(R(h, -, t))``.
        relation_labels: ``r``.
    """
    return F.cross_entropy(relation_logits, relation_labels)


def g2e_loss(
    *,
    entity_features: Float[Tensor, "S D"],
    graph_features: Float[Tensor, "S D"],
    logit_scale: Float[Tensor, ""],
    has_graph: Bool[Tensor, " S"],
    known_true: Bool[Tensor, "S S"],
) -> Float[Tensor, ""]:
    """Graph-entity (K6): InfoNCE between ``Y(-, -, t_i)`` and ``G^L(t_i)``, over the entities of a step.

    Both ways, as :func:`e2e_loss`. Tails without a neighbour take no part, neither as rows nor as columns;
    without any other the loss is 0.

    The dearest of the three: every neighbour goes through towers and fusion encoder. ``G^L(t)`` holds t
    itself, in ``R(h, -, t)``, so it can be solved without a graph: compare with
    ``data.graph.shuffle_neighbours``.

    Args:
        entity_features: ``Y(-, -, t)``.
        graph_features: ``G^L(t)`` (:class:`knowclip.models.fusion.GraphPropagation`).
        logit_scale: ``1 / tau``.
        has_graph: Whether any triplet ends in t.
        known_true: ``[i, j]``: no negatives: the same entity, or as true a tail; diagonal False.
    """
    diagonal = torch.eye(len(known_true), dtype=torch.bool, device=known_true.device)
    left_out = known_true | (~(has_graph[:, None] & has_graph) & ~diagonal)
    # a row of which the diagonal alone is left has loss 0
    ways = choices(entity_features, graph_features, logit_scale, left_out)
    # the mean is over the tails with a neighbour, not over all rows
    return sum(ways) / (2 * has_graph.sum().clamp(min=1))
