"""What a knowledge graph says of an entity: lines, and the picture of ``knowclip graph show``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.picture import draw_neighbourhood
from knowclip.knowledge.graph.statistics import degrees, label, neighbourhood_lines
from knowclip.serving.limits import Limits

SHOWN = 16
"""Triplets around an entity, the heaviest first."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Of one entity: ``triplets`` it takes part in, lines of the heaviest, and their picture as a PNG."""

    id: str
    label: str
    triplets: int
    lines: tuple[str, ...]
    picture: bytes


def neighbourhood(
    graph: KnowledgeGraph, name: str, limits: Limits, *, shows: Callable[[Path], bool] = lambda image: True
) -> Neighbourhood:
    """Look an entity up by id or text; of its pictures those are shown that ``shows`` has.

    Raises:
        ValueError: There is none; near ones are named.
        RefusedError: The name is empty or too long.
    """
    limits.check_text(name, "the entity")
    entity = graph.entity(name.strip())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "neighbourhood.png"
        draw_neighbourhood(graph, entity, path, limit=SHOWN, shows=shows)
        picture = path.read_bytes()
    return Neighbourhood(
        id=str(graph.arrays.entity_id[entity]),
        label=label(graph, entity),
        triplets=len(graph.outgoing(entity)) + len(graph.incoming(entity)),
        lines=tuple(neighbourhood_lines(graph, entity, limit=SHOWN)),
        picture=picture,
    )


def best_known(graph: KnowledgeGraph, *, count: int = 8) -> list[str]:
    """Entities in the most triplets that are called by a text, to begin with."""
    found = []
    for entity in np.argsort(-degrees(graph), kind="stable")[: 10 * count]:
        text = graph.arrays.entity_text[int(entity)]
        if text and str(text) not in found:
            found.append(str(text))
    return found[:count]
