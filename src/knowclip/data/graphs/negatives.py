"""Which negatives of a triplet are true all the same, and negatives that are not.

Shape legend: T triplets of a batch, N negatives of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from knowclip.data.graphs.sampler import TripletBatch
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

Side = Literal["head", "tail"]
ROUNDS = 20
"""Draws for a place before it is given up; each of them fails seldom, but where nearly everything is true."""


def known_true(graph: KnowledgeGraph, batch: TripletBatch, side: Side = "tail") -> Bool[np.ndarray, "T T"]:
    """True at (i, j) where triplet i stays true with the ``side`` of triplet j: no negative for E2E (K4).

    Args:
        graph: All that is known to be true (the whole graph, not only its training part).
        batch: The triplets, whose indices are of ``graph``.
        side: Which end is exchanged.
    """
    T = len(batch.rows)
    own, other = np.divmod(np.arange(T * T), T)
    heads = batch.heads[other if side == "head" else own]
    tails = batch.tails[other if side == "tail" else own]
    return _contains(graph, heads, batch.relations[own], tails).reshape(T, T)


def corrupt(
    graph: KnowledgeGraph,
    batch: TripletBatch,
    count: int,
    *,
    rng: np.random.Generator,
    side: Side = "tail",
    known: KnowledgeGraph | None = None,
) -> tuple[Int[np.ndarray, "T N"], Bool[np.ndarray, "T N"]]:
    """Draw N = ``count`` entities for each triplet that make it false when put at ``side``.

    Candidates are the ends on that side of other triplets of the same source, so they are of the right
    kind and as frequent as real ones.

    Returns:
        Entity indices, and a mask that is False where no false triplet was found (a head that is related to
        nearly everything).
    """
    known = known or graph
    T, a = len(batch.rows), graph.arrays
    found = np.zeros((T, count), np.int64)
    missing = np.ones((T, count), bool)
    starts, ends = a.source_indptr[batch.sources], a.source_indptr[batch.sources + 1]
    for _ in range(ROUNDS):
        own, slot = np.nonzero(missing)
        if not len(own):
            break
        rows = a.source_order[starts[own] + (rng.random(len(own)) * (ends - starts)[own]).astype(np.int64)]
        turned = batch.relations[own] >= graph.counts["relations"]
        candidates = np.where(turned == (side == "head"), a.tail[rows], a.head[rows]).astype(np.int64)
        heads = candidates if side == "head" else batch.heads[own]
        tails = candidates if side == "tail" else batch.tails[own]
        good = ~_contains(known, heads, batch.relations[own], tails)
        found[own[good], slot[good]] = candidates[good]
        missing[own[good], slot[good]] = False
    return found, ~missing


def _contains(graph: KnowledgeGraph, heads: Any, relations: Any, tails: Any) -> Bool[np.ndarray, " n"]:
    """``graph.contains``, with inverse relations read backwards."""
    R = graph.counts["relations"]
    turned = relations >= R
    return graph.contains(
        np.where(turned, tails, heads),
        np.where(turned, relations - R, relations),
        np.where(turned, heads, tails),
    )
