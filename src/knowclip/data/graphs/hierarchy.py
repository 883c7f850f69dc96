"""What a graph's hierarchies relate: an entity's ancestors and descendants, which are no clear negatives.

"Animal" is no wrong answer to "a dog is a", whether the graph says so or only that a dog is a mammal and a
mammal an animal. KEEP leaves ancestors and descendants out of its negatives (arXiv 2412.13126).

Shape legend: n, m entities; M triplets of a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from knowclip.data.graphs.sampler import TripletBatch
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

TRANSITIVE = ("is a", "is a kind of", "is an instance of", "is a manner of")
"""Relations that go up, in the words that the readers give them: ConceptNet's IsA, InstanceOf and MannerOf,
WordNet's hypernyms, VisualSem's is-a."""
MOST = 256
"""Ancestors followed of one entity, the nearest first: graphs that people wrote have circles and hubs."""


class Hierarchy:
    """The graph's relations that lead upwards, from head to tail.

    Args:
        graph: Opened.
        relations: Their words or ids; None: those of :data:`TRANSITIVE` that the graph has, maybe none.

    Raises:
        ValueError: The graph has no relation of such a name.
    """

    def __init__(self, graph: KnowledgeGraph, relations: Sequence[str] | None = None) -> None:
        self.graph = graph
        a, count = graph.arrays, graph.counts["relations"]
        named = [(str(a.relation_text[number]), str(a.relation_id[number])) for number in range(count)]
        wanted = set(TRANSITIVE if relations is None else relations)
        if relations is not None and (unknown := wanted - {name for names in named for name in names}):
            known = ", ".join(sorted({text for text, _ in named}))
            raise ValueError(
                f"data.graph.hierarchy names {', '.join(sorted(unknown))}, and {graph.path} has no such "
                f"relation; it has {known}"
            )
        self.upward = np.array([bool(wanted & set(names)) for names in named], bool)
        self._ancestors = lru_cache(maxsize=1 << 16)(self._climb)

    def __reduce__(self) -> tuple[object, ...]:
        """Open it again in another process; what was looked up is not copied there."""
        ids = [str(self.graph.arrays.relation_id[number]) for number in np.flatnonzero(self.upward)]
        return Hierarchy, (self.graph, ids)

    def ancestors(self, entity: int) -> frozenset[int]:
        """Entities that upward relations lead to, not itself; at most :data:`MOST`, the nearest."""
        return self._ancestors(entity)

    def kin(self, own: Int[np.ndarray, " n"], other: Int[np.ndarray, " m"]) -> Bool[np.ndarray, "n m"]:
        """True at (i, j) where ``other[j]`` is an ancestor or a descendant of ``own[i]``."""
        if not self.upward.any():
            return np.zeros((len(own), len(other)), bool)
        up = self._above(own, other)
        return up | self._above(other, own).T

    def related(self, batch: TripletBatch, *, heads: bool = False) -> Bool[np.ndarray, "M M"]:
        """True at (i, j) where triplet i may be true with the tail (or head) of j by a hierarchy.

        So it is where the two tails are kin; where their heads are and the relations are equal, for what is
        said of a kind is inherited; and, of an upward relation, where i's head and j's tail are. The whole
        is symmetric but for the last.
        """
        wanted, given = (batch.heads, batch.tails) if heads else (batch.tails, batch.heads)
        same = batch.relations[:, None] == batch.relations
        upward = self.upward[batch.relations % len(self.upward)]
        found = self.kin(wanted, wanted) | (same & self.kin(given, given))
        return found | (upward[:, None] & self.kin(given, wanted))

    def _above(self, own: Int[np.ndarray, " n"], other: Int[np.ndarray, " m"]) -> Bool[np.ndarray, "n m"]:
        """True at (i, j) where ``other[j]`` is an ancestor of ``own[i]``."""
        distinct, column = np.unique(other, return_inverse=True)
        place = {entity: number for number, entity in enumerate(distinct.tolist())}
        entities, row = np.unique(own, return_inverse=True)
        above = np.zeros((len(entities), len(distinct)), bool)
        for number, entity in enumerate(entities.tolist()):
            above[number, [place[up] for up in self.ancestors(entity) if up in place]] = True
        return above[row][:, column]

    def _climb(self, entity: int) -> frozenset[int]:
        seen, frontier = {entity}, [entity]
        while frontier and len(seen) <= MOST:
            parents = dict.fromkeys(parent for below in frontier for parent in self._parents(below))
            frontier = [parent for parent in parents if parent not in seen][: MOST + 1 - len(seen)]
            seen.update(frontier)
        return frozenset(seen - {entity})

    def _parents(self, entity: int) -> list[int]:
        a = self.graph.arrays
        rows = slice(*a.out_indptr[entity : entity + 2])
        return a.tail[rows][self.upward[a.relation[rows]]].tolist()
