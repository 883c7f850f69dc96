"""Each term of Knowledge-CLIP from KnowledgeFeatures: its loss, and its numbers for the log.

Shape legend: S triplets of graph and pairs, T of the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch

from knowclip.losses.blocks import ranked_first
from knowclip.losses.contrastive import clip_loss
from knowclip.losses.knowledge_distillation import distillation_loss
from knowclip.losses.masks import false_negatives
from knowclip.losses.pooled import pooled_loss
from knowclip.losses.triplet import e2e_loss, e2r_loss, g2e_loss
from knowclip.methods.method import Report
from knowclip.types import KnowledgeFeatures

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    Term = tuple[Float[Tensor, ""], Report]


def e2e(features: KnowledgeFeatures) -> Term:
    """K4, on the tail side, or the mean of both sides where heads are asked for too.

    Accuracies: among all tails (heads) of the step, and among tails of the same image, where no background
    gives the answer away.
    """
    scale, groups = features.e2e_logit_scale, features.image_groups
    known = with_pairs(features, features.known_tails, side="tail")
    tails = {"query_features": features.tail_queries, "candidate_features": features.tail_candidates}
    loss = e2e_loss(**tails, logit_scale=scale, known_true=known)
    # a group below 0: head and tail share no image, so no background can give the tail away
    elsewhere = (groups[:, None] != groups) | (groups < 0)
    in_graph = {name: value[~features.from_pairs] for name, value in tails.items()}
    report = {"e2e_logit_scale": scale.item()}
    report |= _accuracy("e2e_accuracy", **tails, left_out=known)
    report |= _accuracy("e2e_same_image_accuracy", **in_graph, left_out=elsewhere | features.known_tails)
    if features.head_queries is None:
        return loss, report
    known = with_pairs(features, features.known_heads, side="head")
    heads = {"query_features": features.head_queries, "candidate_features": features.head_candidates}
    report |= _accuracy("e2e_head_accuracy", **heads, left_out=known)
    return (loss + e2e_loss(**heads, logit_scale=scale, known_true=known)) / 2, report


def e2r(features: KnowledgeFeatures) -> Term:
    """K5; its accuracy is of the graph's triplets: "image of" and "caption of" need no knowledge to tell."""
    logits, labels = features.relation_logits, features.relation_labels
    right = logits.argmax(dim=1) == labels
    loss = e2r_loss(relation_logits=logits, relation_labels=labels)
    return loss, _share("e2r_accuracy", right, ~features.from_pairs)


def g2e(features: KnowledgeFeatures) -> Term:
    """K6, over the graph's triplets."""
    entities, mask = features.tail_candidates[~features.from_pairs], features.graph_mask
    loss = g2e_loss(
        entity_features=entities,
        graph_features=features.graph_features,
        logit_scale=features.g2e_logit_scale,
        has_graph=mask,
        known_true=features.known_tails,
    )
    report = _accuracy(
        "g2e_accuracy",
        query_features=entities,
        candidate_features=features.graph_features,
        left_out=features.known_tails | ~(mask[:, None] & mask),
    )
    return loss, report | {"g2e_logit_scale": features.g2e_logit_scale.item()}


def kd(features: KnowledgeFeatures) -> Term:
    """K7, on the pairs."""
    names = ("image_features", "text_features", "logit_scale")
    names += tuple(f"teacher_{name}" for name in names)
    return distillation_loss(**{name: getattr(features, name) for name in names}), {}


def sentence(features: KnowledgeFeatures) -> Term:
    """The control, "knowledge graph as captions": InfoNCE of heads and sentences, by CLIP's temperature."""
    heads, sentences = features.head_features, features.sentence_features
    loss = clip_loss(
        image_features=heads,
        text_features=sentences,
        logit_scale=features.logit_scale,
        false_negatives=features.known_sentences,
    )
    report = _accuracy(
        "sentence_accuracy",
        query_features=heads,
        candidate_features=sentences,
        left_out=features.known_sentences,
    )
    return loss, report


def pooled(features: KnowledgeFeatures) -> Term:
    """Ours: tails of the towers' own queries, or the mean of tails and heads; and how many are found."""
    tails = _asked(features.pooled_tail_queries, features.pooled_tails)
    masks = features.known_tails, features.related_tails
    loss, report = _pooled_side(features, tails, features.pooled_heads, *masks, name="pooled")
    report |= {"pooled_logit_scale": features.pooled_logit_scale.item()}
    if features.pooled_head_queries is None:
        return loss, report
    heads = _asked(features.pooled_head_queries, features.pooled_heads)
    masks = features.known_heads, features.related_heads
    other, more = _pooled_side(features, heads, features.pooled_tails, *masks, name="pooled_head")
    return (loss + other) / 2, report | more


def _asked(queries: Float[Tensor, "T D"], candidates: Float[Tensor, "T D"]) -> dict[str, Tensor]:
    return {"query_features": queries, "candidate_features": candidates}


def _pooled_side(
    features: KnowledgeFeatures,
    asked: dict[str, Tensor],
    given: Float[Tensor, "T D"] | None,
    known: Bool[Tensor, "T T"],
    related: Bool[Tensor, "T T"],
    *,
    name: str,
) -> Term:
    own = {}
    if features.pooled_loops is not None:
        own = {"given_features": given, "given_true": features.pooled_loops}
    scale = features.pooled_logit_scale
    loss = pooled_loss(**asked, **own, logit_scale=scale, known_true=known, related=related)
    return loss, _accuracy(f"{name}_accuracy", **asked, left_out=known | related)


TERMS: dict[str, Callable[[KnowledgeFeatures], Term]] = {
    "e2e": e2e, "e2r": e2r, "g2e": g2e, "kd": kd, "sentence": sentence, "pooled": pooled,
}  # fmt: skip


def pair_directions(caption_ids: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
    """0 where a pair joins as (image, image of, caption), 1 as (caption, caption of, image).

    The caption's hash decides, so it is the same on any process.
    """
    return caption_ids % 2


def with_pairs(
    features: KnowledgeFeatures, known: Bool[Tensor, "T T"], *, side: Literal["tail", "head"]
) -> Bool[Tensor, "S S"]:
    """Known truths of the graph's triplets and of the pairs', where they stand among all of the step.

    Of pairs, candidate j is true of query i where both join in the same direction, and the one's caption is
    true of the other's image.
    """
    if not features.from_pairs.any():
        return known
    graph, pairs = (~features.from_pairs).nonzero(), features.from_pairs.nonzero()
    size = len(features.from_pairs)
    everything = known.new_zeros(size, size).index_put((graph, graph.T), known)
    direction = pair_directions(features.caption_ids)
    captions_of_i = false_negatives(image_ids=features.image_ids, caption_ids=features.caption_ids)
    asks_for_caption = (direction == 0) if side == "tail" else (direction == 1)
    same = torch.where(asks_for_caption[:, None], captions_of_i, captions_of_i.T)
    return everything.index_put((pairs, pairs.T), same & (direction[:, None] == direction))


@torch.no_grad()
def _accuracy(
    name: str, *, query_features: Tensor, candidate_features: Tensor, left_out: Bool[Tensor, "S S"]
) -> Report:
    """Share of queries whose own candidate is strictly the nearest, of those with anything else to choose."""
    right, choice = ranked_first(query_features, candidate_features, left_out)
    return _share(name, right, choice)


def _share(name: str, right: Bool[Tensor, " S"], counted: Bool[Tensor, " S"]) -> Report:
    """``{name: share of right ones}`` of those that count; nothing where none does."""
    return {name: right[counted].float().mean().item()} if counted.any() else {}
