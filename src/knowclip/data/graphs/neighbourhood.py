"""Sampled neighbourhoods for graph propagation (K6), from the graph's own CSR arrays.

Shape legend: n entities of the neighbourhood, e triplets (edges) of it, S seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

if TYPE_CHECKING:
    from jaxtyping import Int


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Triplets that end in the seeds, those that end in their heads, and so on.

    ``entities`` are graph indices, the S distinct seeds first; ``heads`` and ``tails`` are positions in
    ``entities``, ready for scatter operations; ``relations`` and ``rows`` are graph indices; ``hops`` is 1
    for triplets that end in a seed.
    """

    entities: Int[np.ndarray, " n"]
    seeds: int
    heads: Int[np.ndarray, " e"]
    relations: Int[np.ndarray, " e"]
    tails: Int[np.ndarray, " e"]
    rows: Int[np.ndarray, " e"]
    hops: Int[np.ndarray, " e"]


def sample_neighbourhood(
    graph: KnowledgeGraph,
    entities: Int[np.ndarray, " S"],
    *,
    hops: int = 2,
    fanout: int = 8,
    rng: np.random.Generator,
) -> Neighbourhood:
    """Draw at most ``fanout`` triplets ending in each entity, ``hops`` deep; an entity is expanded once.

    Args:
        graph: Where from.
        entities: Seeds; repeated ones count once, in order of first appearance.
        hops: Layers of propagation (K6 has 2).
        fanout: Triplets an entity, drawn without replacement where there are more.
        rng: Of the draw.
    """
    if hops < 1 or fanout < 1:
        raise ValueError(f"hops={hops} and fanout={fanout} must be at least 1")
    a = graph.arrays
    place = {int(entity): index for index, entity in enumerate(dict.fromkeys(np.asarray(entities).tolist()))}
    seeds, frontier = len(place), list(place)
    rows: list[int] = []
    depths: list[int] = []
    for hop in range(1, hops + 1):
        start = len(rows)
        for entity in frontier:
            first, last = (int(bound) for bound in a.in_indptr[entity : entity + 2])
            chosen = np.arange(first, last)
            if last - first > fanout:
                chosen = first + np.sort(rng.choice(last - first, fanout, replace=False))
            rows += a.in_order[chosen].tolist()
        depths += [hop] * (len(rows) - start)
        heads = dict.fromkeys(a.head[rows[start:]].tolist())
        frontier = [entity for entity in heads if entity not in place]
        place.update({entity: len(place) + index for index, entity in enumerate(frontier)})
    edges = np.array(rows, np.int64)
    return Neighbourhood(
        entities=np.array(list(place), np.int64),
        seeds=seeds,
        heads=np.array([place[head] for head in a.head[edges].tolist()], np.int64),
        relations=np.asarray(a.relation[edges], np.int64),
        tails=np.array([place[tail] for tail in a.tail[edges].tolist()], np.int64),
        rows=edges,
        hops=np.array(depths, np.int64),
    )
