"""The package's own concept graph: facts about the nouns of the OpenMoji scenes, in ConceptNet's format."""

from __future__ import annotations

from pathlib import Path

from knowclip.knowledge.graph.staging import GraphBuilder
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.readers.conceptnet import read_assertions

CONCEPTS = Path(__file__).with_name("concepts.csv")
SOURCE = Source("concepts", "MIT")


def read_concepts(path: None, build: GraphBuilder) -> Source:
    """Read the facts that ship with the package; ``path`` is None, as there is nothing to point to."""
    if path is not None:
        raise ValueError(f"'concepts' ships with the package and reads no file, got {path}")
    read_assertions(CONCEPTS, build)
    return SOURCE
