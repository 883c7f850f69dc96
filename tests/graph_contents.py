"""The whole of what a graph holds, as plain values that a test can state."""

from __future__ import annotations

from typing import Any

from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

Calls = list[tuple[str, float]]


def facts(graph: KnowledgeGraph) -> dict[tuple[str, str, str], float]:
    """(head, relation, tail), by ids -> weight."""
    weights = graph.arrays.weight
    triplets = (graph.triplet(row) for row in range(graph.counts["triplets"]))
    return {(t.head, t.relation, t.tail): float(weights[row]) for row, t in enumerate(triplets)}


def entities(graph: KnowledgeGraph) -> dict[str, str | None]:
    """Id -> text, None of what is seen only."""
    return dict(graph.sql("SELECT id, text FROM entities").fetchall())


def relations(graph: KnowledgeGraph) -> dict[str, str]:
    """Id -> text."""
    return dict(graph.sql("SELECT id, text FROM relations").fetchall())


def pictures(graph: KnowledgeGraph) -> set[tuple[Any, ...]]:
    """Entity, path, x, y, width, height, image id, COCO's number, width and height of the image."""
    query = """SELECT e.id, path, x, y, width, height, image_id, coco_id, image_width, image_height
               FROM images JOIN entities e ON images.entity = e.row"""
    return set(graph.sql(query).fetchall())


def readings(calls: Calls) -> Calls:
    """What a reader reported, without what the writing of the graph reports after it."""
    return [call for call in calls if call[0].startswith("reading")]
