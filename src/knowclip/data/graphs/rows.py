"""Some rows of a GraphBatch: a process's share of a step, or a micro-batch, with just what they need.

Shape legend: T triplets, E entities, Q relation phrases, n nodes, e edges; primed: of the rows taken.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from knowclip.types import GraphBatch

if TYPE_CHECKING:
    from jaxtyping import Bool, Int
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Links:
    """The numbers of a step: which entities and relations its triplets and its neighbourhood are made of."""

    triplets: Int[Tensor, "T 3"]
    nodes: Int[Tensor, " n"]
    edges: Int[Tensor, "e 2"]
    seeds: Int[Tensor, " T"]
    hops: int


def narrow(links: Links, rows: slice) -> tuple[Links, Int[Tensor, " E'"], Int[Tensor, " Q'"]]:
    """Take some triplets, and the entities, relations and neighbourhood that they reach.

    ``G^L`` of their tails stays what it was (K6): all edges within ``hops`` steps are kept.

    Returns:
        The numbers, made new; the entities and the relations that they stand for, in ascending order.
    """
    triplets, seeds = links.triplets[rows], links.seeds[rows]
    nodes, edges, seeds = _reached(links, seeds)
    entities, entity_numbers = torch.cat([triplets[:, 0], triplets[:, 2], nodes]).unique(return_inverse=True)
    relations, relation_numbers = triplets[:, 1].unique(return_inverse=True)
    heads, tails, nodes = entity_numbers.split([len(triplets), len(triplets), len(nodes)])
    numbers = torch.stack([heads, relation_numbers, tails], dim=1)
    return Links(numbers, nodes, edges, seeds, links.hops), entities, relations


def take(graph: GraphBatch, rows: slice) -> GraphBatch:
    """Take some triplets of a batch; its columns of known truths stay those of the whole step."""
    none = graph.triplets.new_zeros(0)
    links = Links(
        graph.triplets,
        none if graph.nodes is None else graph.nodes,
        none.view(0, 2) if graph.edges is None else graph.edges,
        none if graph.seeds is None else graph.seeds,
        graph.hops,
    )
    links, entities, relations = narrow(links, rows)
    texts = len(graph.texts)
    return dataclasses.replace(
        graph,
        keys=graph.keys[rows],
        texts=graph.texts[entities[entities < texts]],
        images=None if graph.images is None else graph.images[entities[entities >= texts] - texts],
        relation_texts=graph.relation_texts[relations],
        triplets=links.triplets,
        relation_labels=graph.relation_labels[rows],
        image_groups=graph.image_groups[rows],
        known_tails=graph.known_tails[rows],
        known_heads=graph.known_heads[rows],
        **{name: value[rows] for name in _BY_ROW if (value := getattr(graph, name)) is not None},
        nodes=None if graph.nodes is None else links.nodes,
        edges=None if graph.edges is None else links.edges,
        seeds=None if graph.seeds is None else links.seeds,
    )


_BY_ROW = (
    "sentences", "known_sentences", "tail_phrases", "related_tails", "head_phrases", "related_heads",
)  # fmt: skip
"""What only some terms ask for: one row a triplet."""


def _reached(
    links: Links, seeds: Int[Tensor, " T'"]
) -> tuple[Int[Tensor, " n'"], Int[Tensor, "e' 2"], Int[Tensor, " T'"]]:
    """The nodes and edges from which ``hops`` steps lead to the seeds; edges and seeds in new numbers."""
    reached = _mark(len(links.nodes), seeds)
    kept = reached.new_zeros(len(links.edges))
    for _ in range(links.hops):
        kept = reached[links.edges[:, 1]]
        reached = reached | _mark(len(reached), links.edges[kept, 0])
    numbers = reached.cumsum(0) - 1
    return links.nodes[reached], numbers[links.edges[kept]], numbers[seeds]


def _mark(size: int, places: Int[Tensor, " k"]) -> Bool[Tensor, " size"]:
    return torch.zeros(size, dtype=torch.bool, device=places.device).index_fill(0, places, True)
