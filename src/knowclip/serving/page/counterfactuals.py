"""What each triple of a caption is worth: the caption again, with this one triple false or gone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from knowclip.knowledge.negatives.caption_editing import Edit, Edited
from knowclip.knowledge.negatives.generate import SWAPS
from knowclip.knowledge.parsing.triple_phrases import IS, triplets_of
from knowclip.types import Attribute, Negative, Relation, SceneGraph, Span, Triplet

How = Literal["swap", "removal", "none"]

_AUXILIARY = re.compile(r"\b(?:is|are|was|were|be|been|being)\s+$", re.IGNORECASE)
_AND_BEFORE = re.compile(r"(?:,?\s+and|,)\s+$", re.IGNORECASE)
_SPACE_BEHIND = re.compile(r"(?:,|\s+and\b)?\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """A triple, and the caption without it: by its swap where there is one, else by its removal.

    ``caption`` is empty where neither can be said in English (``how`` is "none").
    """

    triple: Triplet
    caption: str
    how: How


def counterfactuals(
    caption: str, graph: SceneGraph, negatives: Sequence[Negative]
) -> tuple[Counterfactual, ...]:
    """One for each triple of a caption, in the order of ``triplets_of(graph)``.

    Args:
        caption: The true caption.
        graph: Its scene graph, with spans.
        negatives: Its negatives; of swaps that lose a triple, the one that loses the fewest others is taken.
    """
    triples = triplets_of(graph)
    swaps = [
        (negative, frozenset(triplets_of(negative.graph)))
        for negative in negatives
        if negative.kind in SWAPS and negative.graph is not None
    ]
    return tuple(_of_triple(caption, graph, triple, triples, swaps) for triple in triples)


def _of_triple(
    caption: str,
    graph: SceneGraph,
    triple: Triplet,
    triples: Sequence[Triplet],
    swaps: Sequence[tuple[Negative, frozenset[Triplet]]],
) -> Counterfactual:
    losing = [(negative, claims) for negative, claims in swaps if triple not in claims]
    if losing:
        chosen = min(losing, key=lambda one: len(set(triples) - one[1]))[0]
        return Counterfactual(triple, chosen.caption, "swap")
    edit = next((edit for edit in _removals(caption, graph, triple) if edit is not None), None)
    if edit is None:
        return Counterfactual(triple, "", "none")
    return Counterfactual(triple, Edited(caption, [edit]).text, "removal")


def _removals(caption: str, graph: SceneGraph, triple: Triplet) -> list[Edit | None]:
    """Edits that take what says the triple out of the caption; None for what no edit can take out."""
    names = [item.name for item in graph.objects]
    found = [
        _without_relation(caption, graph, relation)
        for relation in graph.relations
        if Triplet(names[relation.subject], relation.name, names[relation.object]) == triple
    ]
    return found + [
        _without_attribute(caption, graph, attribute)
        for attribute in graph.attributes
        if Triplet(names[attribute.object], IS, attribute.name) == triple
    ]


def _without_relation(caption: str, graph: SceneGraph, relation: Relation) -> Edit | None:
    """``a man riding a horse`` -> ``a man and a horse``, where the words stand between the two."""
    subject, object_ = graph.objects[relation.subject].span, graph.objects[relation.object].span
    span = relation.span
    if span is None or subject is None or object_ is None or not _in_order(subject, span, object_):
        return None
    start = span[0]
    if auxiliary := _AUXILIARY.search(caption[:start]):
        start = auxiliary.start()
    return Edit((start, span[1]), "and")


def _without_attribute(caption: str, graph: SceneGraph, attribute: Attribute) -> Edit | None:
    """``a red shirt`` -> ``a shirt``, an ``and`` beside it too, where it stands before its object."""
    span, owner = attribute.span, graph.objects[attribute.object].span
    if span is None or owner is None or not _in_order(span, owner):
        return None
    if joined := _AND_BEFORE.search(caption[: span[0]]):
        return Edit((joined.start(), span[1]), "")
    behind = _SPACE_BEHIND.match(caption, span[1])
    return None if behind is None else Edit((span[0], behind.end()), "")


def _in_order(*spans: Span) -> bool:
    return all(before[1] <= after[0] for before, after in pairwise(spans))
