"""The baseline of link prediction that reads neither words nor images: counts of the training graph."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import numpy as np

from knowclip.evaluation.feature_cache import Features
from knowclip.evaluation.links.prediction import Modality, view_of
from knowclip.evaluation.links.scorers import Side, View
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph


class Frequency:
    """Scores an entity by how often it is a tail (or head) of the relation in a graph; see ``LinkScorer``.

    ``(h, r, ?)`` does not look at h, and ``(h, ?, t)`` only at how common each relation is.

    Args:
        graph: Training triplets, with the entities of the others.
        modality: As the entities are asked for.
    """

    description = "frequency of (r, t) in the training graph; heads of (h, r), relations of r alone"

    def __init__(self, graph: KnowledgeGraph, *, modality: Modality = "text") -> None:
        a = graph.arrays
        texts = [str(a.relation_text[number]) for number in range(graph.counts["relations"])]
        self._column = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        columns = np.array([self._column[text] for text in texts])[np.asarray(a.relation)]
        # entities of no triplet may lack a view, and count nothing
        used = np.unique(np.concatenate([a.head, a.tail]))
        self._row: dict[View, int] = {}
        rows = np.zeros(graph.counts["entities"], dtype=np.int64)
        for entity in used:
            rows[entity] = self._row.setdefault(view_of(graph, int(entity), modality), len(self._row))
        shape = (len(self._row), len(self._column))
        self._heads, self._tails = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        np.add.at(self._heads, (rows[a.head], columns), 1)
        np.add.at(self._tails, (rows[a.tail], columns), 1)
        self._relations = np.bincount(columns, minlength=len(self._column)).astype(np.float32)

    def answers(self, side: Side, relations: Collection[str]) -> bool:
        """Every side; a relation that the training graph has not is the rarest."""
        return True

    @property
    def model_hash(self) -> str:
        """Hash of the counts."""
        return hashlib.sha256(self._heads.tobytes() + self._tails.tobytes()).hexdigest()[:16]

    def tail_queries(self, heads: Sequence[View], relations: Sequence[str]) -> Features:
        """The relation's axis, ``[Q, R]``; nothing for one that was never seen."""
        return self._axes(relations)

    def head_queries(self, relations: Sequence[str], tails: Sequence[View]) -> Features:
        """The same."""
        return self._axes(relations)

    def tail_candidates(self, entities: Sequence[View]) -> Features:
        """How often each is the tail of each relation, ``[E, R]``."""
        return self._counts(self._tails, entities)

    def head_candidates(self, entities: Sequence[View]) -> Features:
        """Likewise as head."""
        return self._counts(self._heads, entities)

    def relation_scores(
        self, heads: Sequence[View], tails: Sequence[View], relations: Sequence[str]
    ) -> Features:
        """How common each relation is, the same for every pair, ``[Q, R]``."""
        columns = [self._column.get(relation) for relation in relations]
        counts = [0.0 if column is None else self._relations[column] for column in columns]
        return np.tile(np.array(counts, dtype=np.float32), (len(heads), 1))

    def _axes(self, relations: Sequence[str]) -> Features:
        found = np.zeros((len(relations), len(self._column)), dtype=np.float32)
        for row, relation in zip(found, relations, strict=True):
            if (column := self._column.get(relation)) is not None:
                row[column] = 1
        return found

    def _counts(self, counts: Features, entities: Sequence[View]) -> Features:
        rows = np.array([self._row.get(entity, -1) for entity in entities])
        found = np.zeros((len(entities), counts.shape[1]), dtype=np.float32)
        found[rows >= 0] = counts[rows[rows >= 0]]
        return found
