"""Scene graphs -> hard-negative captions: same words, false claim (S2 of Structure-CLIP)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import islice

from knowclip.knowledge.editing import Edited
from knowclip.knowledge.identity import canonical_claims, normalised, stable_hash
from knowclip.knowledge.layout import Layout
from knowclip.knowledge.swaps import Candidate, attribute_swaps, relation_swaps
from knowclip.types import Attribute, Negative, Relation, SceneGraph, SceneObject

KINDS: dict[str, Callable[[Layout], Iterator[Candidate]]] = {
    "relation_swap": relation_swaps,
    "attribute_swap": attribute_swaps,
}
"""Kind of negative -> what proposes it: edits with the claims of the edited text, to be checked here."""

MAX_NEGATIVES = 64
"""Most negatives of one caption: bounds the work on very long texts."""

_MAX_CANDIDATES = 1_024


def generate(
    caption: str,
    graph: SceneGraph,
    *,
    kinds: Collection[str] = ("relation_swap", "attribute_swap"),
    exclude: Collection[str] = (),
    seed: int = 0,
) -> list[Negative]:
    """All different negatives of a caption (at most :data:`MAX_NEGATIVES`), in an order drawn by ``seed``.

    Args:
        caption: The true caption.
        graph: Its scene graph; what has no span in the caption takes no part.
        kinds: Names in :data:`KINDS`.
        exclude: Texts that are true as well (other captions of the image): never returned, not even in other
            case or punctuation.
        seed: Equal arguments give equal lists; the first n are a fair draw.

    Returns:
        Negatives with the claims they make; none where none is valid: symmetric relations, equal objects or
        attributes, a relation that the caption states both ways, a result that says the same.

    Raises:
        ValueError: for an unknown kind.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"unknown kind of negative {unknown[0]!r}: choose from {', '.join(KINDS)}")
    layout = Layout(caption, graph)
    candidates = [c for kind in dict.fromkeys(kinds) for c in islice(KINDS[kind](layout), _MAX_CANDIDATES)]
    order = sorted(range(len(candidates)), key=lambda number: stable_hash(f"{seed} {number} {caption}"))
    claims = _claims(graph) if candidates else None
    seen = {normalised(text) for text in (caption, *exclude)} if candidates else set()
    negatives: list[Negative] = []
    for candidate in (candidates[number] for number in order):
        edited = Edited(caption, candidate.edits)
        text = normalised(edited.text)
        if text in seen or _claims(candidate.graph) == claims:
            continue
        seen.add(text)
        moved = _with_spans(candidate.graph, edited)
        negatives.append(Negative(edited.text, candidate.kind, edited.changed, moved))
        if len(negatives) == MAX_NEGATIVES:
            break
    return negatives


def _claims(graph: SceneGraph) -> tuple[list[str], list[tuple[str, str, str]]]:
    objects, relations = canonical_claims(graph)
    return sorted(objects), sorted(relations)


def _with_spans(graph: SceneGraph, edited: Edited) -> SceneGraph:
    span = edited.span
    return SceneGraph(
        tuple([SceneObject(o.name, span(o.span), o.box) for o in graph.objects]),
        tuple([Attribute(a.object, a.name, span(a.span)) for a in graph.attributes]),
        tuple([Relation(r.subject, r.name, r.object, span(r.span)) for r in graph.relations]),
    )
