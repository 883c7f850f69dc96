"""Scene graphs -> the triples of phrases that Structure-CLIP's Knowledge-Enhanced Encoder reads (S4).

Shape legend: M texts, K triples of a text, P tokens of a phrase; the axis of 3 is head, relation, tail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from knowclip.types import SceneGraph, Triplet

if TYPE_CHECKING:
    from jaxtyping import Int

PhraseIds = Callable[[str], Sequence[int]]
"""Phrase -> its token ids, without those that mark beginning and end of a text."""

TripletIds = Sequence[tuple[Sequence[int], Sequence[int], Sequence[int]]]
"""Token ids of the triples of one text."""

PADDING = -1
"""Where a phrase has fewer tokens, or a text fewer triples: no token's id."""

IS = "is"
"""Relation of an attribute pair: ``(object, is, attribute)``."""


def triplets_of(graph: SceneGraph | None) -> tuple[Triplet, ...]:
    """Relations of a graph, and its attribute pairs ``(o, a)`` as ``(o, is, a)``; equal ones once."""
    if graph is None:
        return ()
    names = [item.name for item in graph.objects]
    # names, not numbers: two men of one caption read alike to the KEE
    related = [Triplet(names[r.subject], r.name, names[r.object]) for r in graph.relations]
    described = [Triplet(names[a.object], IS, a.name) for a in graph.attributes]
    return tuple(dict.fromkeys([*related, *described]))


def triplet_ids(graph: SceneGraph | None, phrase_ids: PhraseIds) -> TripletIds:
    """Token ids of the triples of a graph."""
    return [(phrase_ids(t.head), phrase_ids(t.relation), phrase_ids(t.tail)) for t in triplets_of(graph)]


def pack(texts: Sequence[TripletIds]) -> Int[np.ndarray, "M K 3 P"]:
    """Triples of several texts as one array, filled up with :data:`PADDING`; K and P may be 0."""
    count = max((len(triplets) for triplets in texts), default=0)
    length = max((len(p) for triplets in texts for triplet in triplets for p in triplet), default=0)
    packed = np.full((len(texts), count, 3, length), PADDING, dtype=np.int64)
    for text, triplets in enumerate(texts):
        for number, triplet in enumerate(triplets):
            for place, phrase in enumerate(triplet):
                packed[text, number, place, : len(phrase)] = phrase
    return packed
