"""What a knowledge graph must have before anything learns from it: words or images, and images to be read.

Shape legend: E entities of the graph.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from knowclip.knowledge.graph.arrays import Strings
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.types import ImageRef

if TYPE_CHECKING:
    from jaxtyping import Bool

REMEDY = (
    "say where a source's images are with data.graph.image_roots, repair the files, or leave out what they "
    "show with 'knowclip graph filter GRAPH --without-images FILE', FILE with an image_id of the graph, such "
    "as vg/2412, on each line"
)
"""What to do about images of a graph that cannot be read."""


def relation_words(graph: KnowledgeGraph) -> list[str]:
    """The words of every relation, by number.

    Raises:
        ValueError: A relation has none.
    """
    a = graph.arrays
    words = [a.relation_text[number] or "" for number in range(graph.counts["relations"])]
    if bare := [a.relation_id[number] or "" for number, text in enumerate(words) if not text.strip()]:
        raise ValueError(
            f"{len(bare):,} relations of {graph.path} have no words, such as {bare[0]!r}: no encoder can "
            "read them; name them in the source and import it again, or leave them out with 'knowclip graph "
            "filter GRAPH --without-relation ID'"
        )
    return words


def refuse_undescribed(graph: KnowledgeGraph) -> None:
    """Raise ValueError if an entity of a triplet has neither text nor image, or there is no triplet."""
    a = graph.arrays
    if not len(a.head):
        raise ValueError(
            f"{graph.path} has no triplet, so its relation vocabulary is empty: nothing to learn"
        )
    described = _worded(a.entity_text) | (np.diff(a.image_indptr) > 0)
    if len(bare := np.flatnonzero(_used(graph) & ~described)):
        named = ", ".join(str(a.entity_id[entity]) for entity in bare[:3])
        raise ValueError(
            f"{len(bare):,} entities of {graph.path} have neither text nor image, such as {named}: no "
            "encoder can read them; describe them in the source and import it again"
        )


def refuse_unreadable(
    graph: KnowledgeGraph, images: Sequence[ImageRef], unreadable: Mapping[ImageRef, str]
) -> None:
    """Raise ValueError if an entity of a triplet has no words, and no image of it can be read.

    Args:
        graph: What is drawn from.
        images: All its images and regions, in its order.
        unreadable: Those that cannot be read, and why.
    """
    a = graph.arrays
    broken = np.array([image in unreadable for image in images], bool)
    left = np.add.reduceat(np.append(~broken, False), a.image_indptr[:-1]) * (np.diff(a.image_indptr) > 0)
    bare = np.repeat(_used(graph) & ~_worded(a.entity_text) & (left == 0), np.diff(a.image_indptr))
    if reasons := [unreadable[images[index]] for index in np.flatnonzero(bare & broken)]:
        first = "; ".join(list(dict.fromkeys(reasons))[:3])
        raise ValueError(
            f"{len(reasons):,} images and regions of {graph.path} cannot be read ({first}): {REMEDY}"
        )


def _used(graph: KnowledgeGraph) -> Bool[np.ndarray, " E"]:
    """Which entities are an end of a triplet: parts of a split describe each other's entities too."""
    return (np.diff(graph.arrays.out_indptr) > 0) | (np.diff(graph.arrays.in_indptr) > 0)


def _worded(texts: Strings) -> Bool[np.ndarray, " E"]:
    """Which texts hold more than white space; only those that begin with it are looked at whole."""
    worded = np.diff(texts.offsets) > 0
    filled = np.flatnonzero(worded)
    suspects = filled[np.isin(texts.data[texts.offsets[filled]], _WHITE_SPACE)]
    worded[suspects] = [bool((texts[index] or "").strip()) for index in suspects]
    return worded


_WHITE_SPACE = np.frombuffer(string.whitespace.encode(), np.uint8)
