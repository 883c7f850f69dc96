"""Scene graphs to triples of phrases, and to arrays of token ids."""

from __future__ import annotations

import numpy as np

from knowclip.knowledge.parsing.triple_phrases import PADDING, pack, triplet_ids, triplets_of
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject, Triplet

GRAPH = SceneGraph(
    objects=(SceneObject("dog"), SceneObject("cat"), SceneObject("dog")),
    attributes=(Attribute(0, "brown"), Attribute(2, "brown"), Attribute(1, "small")),
    relations=(Relation(0, "to the left of", 1), Relation(2, "chase", 1)),
)


def test_relations_and_attributes_become_triples_once_each() -> None:
    assert triplets_of(GRAPH) == (
        Triplet("dog", "to the left of", "cat"),
        Triplet("dog", "chase", "cat"),
        Triplet("dog", "is", "brown"),
        Triplet("cat", "is", "small"),
    )


def test_objects_alone_and_no_graph_give_none() -> None:
    assert triplets_of(SceneGraph(objects=(SceneObject("dog"),))) == ()
    assert triplets_of(None) == ()


def test_pack_fills_up_with_padding_and_cuts_nothing() -> None:
    ids = triplet_ids(GRAPH, lambda phrase: [len(word) for word in phrase.split()])
    packed = pack([[], ids])
    assert packed.shape == (2, 4, 3, 4) and packed.dtype == np.int64
    assert (packed[0] == PADDING).all()
    assert packed[1, 0].tolist() == [[3, -1, -1, -1], [2, 3, 4, 2], [3, -1, -1, -1]]
    assert pack([[], []]).shape == (2, 0, 3, 0)
