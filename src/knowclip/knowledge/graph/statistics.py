"""Numbers that describe a graph: counts, relations, degrees, modalities, licences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

if TYPE_CHECKING:
    from jaxtyping import Int

MODALITIES = ("neither", "text", "image", "text and image")
QUANTILES = (0.5, 0.9, 0.99, 1.0)


def degrees(graph: KnowledgeGraph) -> Int[np.ndarray, " E"]:
    """Triplets each entity is head or tail of."""
    return np.diff(graph.arrays.out_indptr) + np.diff(graph.arrays.in_indptr)


def stats(graph: KnowledgeGraph) -> dict[str, Any]:
    """Describe ``graph`` in JSON types.

    ``entities``, ``relations``, ``triplets`` and ``images`` are counts; ``tally`` what became of the records
    that the graph was made of (None of a part of a split); ``sources`` a list with licences and triplets;
    ``relation_histogram`` maps relation ids to triplets, most frequent first; ``degree`` gives mean
    and quantiles; ``entity_modalities`` and ``triplet_modalities`` count what there is to draw from.
    """
    a = graph.arrays
    per_source = np.diff(a.source_indptr)
    per_relation = np.bincount(a.relation, minlength=graph.counts["relations"])
    order = np.argsort(-per_relation, kind="stable")
    degree = degrees(graph)
    has_text = np.diff(a.entity_text.offsets) > 0
    modality = has_text + 2 * (np.diff(a.image_indptr) > 0)
    pairs = np.bincount(4 * modality[a.head] + modality[a.tail], minlength=16)
    return {
        **graph.counts,
        "tally": graph.tally.to_json() if graph.tally else None,
        "sources": [
            {
                "name": source.name,
                "licence": source.licence,
                "url": source.url,
                "triplets": int(count),
                "skipped": dict(source.skipped),
            }
            for source, count in zip(graph.sources, per_source, strict=True)
        ],
        "relation_histogram": {str(a.relation_id[i]): int(per_relation[i]) for i in order},
        "degree": {
            "mean": float(degree.mean()),
            **{f"quantile_{q:g}": int(np.quantile(degree, q, method="lower")) for q in QUANTILES},
        },
        "entity_modalities": _named(MODALITIES, np.bincount(modality, minlength=4)),
        "triplet_modalities": _named([f"{h} -> {t}" for h in MODALITIES for t in MODALITIES], pairs),
    }


def neighbourhood_lines(graph: KnowledgeGraph, entity: int, *, limit: int) -> list[str]:
    """What the graph says about ``entity``, a line a triplet, heaviest first; at most ``limit`` lines."""
    return [
        f"{label(graph, a)}  {graph.arrays.relation_text[r]}  {label(graph, b)}"
        for a, r, b in strongest(graph, entity, limit=limit)
    ]


def strongest(graph: KnowledgeGraph, entity: int, *, limit: int) -> list[tuple[int, int, int]]:
    """The (head, relation, tail) indices of the heaviest triplets around ``entity``."""
    a = graph.arrays
    rows = np.unique(np.concatenate([graph.outgoing(entity), graph.incoming(entity)]))
    # stable: of equal weights the graph's order, so that a picture is the same again
    rows = rows[np.argsort(-a.weight[rows], kind="stable")][:limit]
    return [(int(a.head[row]), int(a.relation[row]), int(a.tail[row])) for row in rows]


def label(graph: KnowledgeGraph, entity: int) -> str:
    """The entity's text, or its id where it has none; images are marked."""
    text = graph.arrays.entity_text[entity] or graph.arrays.entity_id[entity]
    return f"[image] {text}" if len(graph.images(entity)) else str(text)


def _named(names: Any, counts: Any) -> dict[str, int]:
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}
