"""Scene graphs -> hard-negative captions: a false claim in the caption's own words, or nearly (S2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from itertools import islice
from random import Random

from knowclip.knowledge.content_hashes import Claim, canonical_claims, stable_hash
from knowclip.knowledge.negatives.affirmations import within
from knowclip.knowledge.negatives.caption_editing import Edited
from knowclip.knowledge.negatives.falsity import Said, Statement, lemmatised
from knowclip.knowledge.negatives.mentions import Layout
from knowclip.knowledge.negatives.replacements import (
    attribute_replacements,
    object_replacements,
    relation_replacements,
)
from knowclip.knowledge.negatives.shuffles import shuffles
from knowclip.knowledge.negatives.swaps import Candidate, attribute_swaps, relation_swaps
from knowclip.types import Attribute, Negative, Relation, SceneGraph, SceneObject

KINDS: dict[str, Callable[[Layout, Random, Said], Iterator[Candidate]]] = {
    "relation_swap": lambda layout, draw, said: relation_swaps(layout),
    "attribute_swap": lambda layout, draw, said: attribute_swaps(layout),
    "object_replacement": object_replacements,
    "attribute_replacement": attribute_replacements,
    "relation_replacement": relation_replacements,
    "shuffle": lambda layout, draw, said: shuffles(layout, draw),
}
"""Kind of negative -> what proposes it: edits with the claims of the edited text, to be checked here."""

SWAPS = ("relation_swap", "attribute_swap")
"""The kinds of the paper: its default."""
SEMANTIC = (*SWAPS, "object_replacement", "attribute_replacement", "relation_replacement")
"""Kinds that are false by meaning; a shuffle is the baseline for them."""

MAX_NEGATIVES = 64
"""Most negatives of one caption: bounds the work on very long texts."""

_MAX_CANDIDATES = 1_024
"""Of one kind: swaps pair attributes, so that a very long text has too many to check."""


def generate(
    caption: str,
    graph: SceneGraph,
    *,
    kinds: Collection[str] = SWAPS,
    said: Said | None = None,
    seed: int = 0,
) -> list[Negative]:
    """Different negatives of a caption (at most :data:`MAX_NEGATIVES`), in an order drawn by ``seed``.

    Args:
        caption: The true caption.
        graph: Its scene graph; what has no span in the caption takes no part.
        kinds: Names in :data:`KINDS`.
        said: All that is said of the image, this caption included: what another caption says, in these or
            other words, is never a negative. By default the caption alone.
        seed: Equal arguments give equal lists; the first n are a fair draw. Which words replace others is
            drawn as well.

    Returns:
        Negatives with the claims they make; none where none is valid: symmetric relations, equal objects or
        attributes, a relation that the caption states both ways, a word that may be true as well (a synonym,
        hypernym or hyponym of what is said, or one used alike), a result that says the same.

    Raises:
        ValueError: for an unknown kind.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"unknown kind of negative {unknown[0]!r}: choose from {', '.join(KINDS)}")
    layout, draw = Layout(caption, graph), Random(stable_hash(f"{seed} {caption}"))
    said = said or Said([caption], [graph])
    candidates = [
        c for kind in dict.fromkeys(kinds) for c in islice(KINDS[kind](layout, draw, said), _MAX_CANDIDATES)
    ]
    # before the checks: which of two equal results stays is then a fair draw
    draw.shuffle(candidates)
    seen = {*said.texts, lemmatised(caption)} if candidates else set()
    own = _Claims(graph, said)
    negatives: list[Negative] = []
    for candidate in candidates:
        # replacements asked what is said before they were proposed; swaps only now
        if candidate.kind in SWAPS and candidate.graph and own.may_allow(candidate.graph):
            continue
        if _changes_denial(layout, candidate):
            continue
        edited = Edited(caption, candidate.edits)
        text = lemmatised(edited.text)
        if text in seen:
            continue
        seen.add(text)
        claims = candidate.graph and _with_spans(candidate.graph, edited)
        negatives.append(Negative(edited.text, candidate.kind, edited.changed, claims, seed))
        if len(negatives) == MAX_NEGATIVES:
            break
    return negatives


def _changes_denial(layout: Layout, candidate: Candidate) -> bool:
    """Whether it changes what the caption says is not there: other things may not be there either."""
    meant = layout.denials and candidate.kind in SEMANTIC and not candidate.affirms
    return bool(meant) and within(layout, candidate.edits)


class _Claims:
    """What a caption claims, to compare its swaps with."""

    def __init__(self, graph: SceneGraph, said: Said) -> None:
        self._graph, self._said = graph, said

    @cached_property
    def _own(self) -> tuple[list[str], list[Claim]]:
        return _sorted_claims(self._graph)

    @cached_property
    def _stated(self) -> set[Statement]:
        return self._said.statements(self._graph)

    def may_allow(self, swapped: SceneGraph) -> bool:
        """Whether a swap may be true: it claims the same, or something that another caption states."""
        new = self._said.statements(swapped) - self._stated
        if not new:  # else it states what the caption does not, and needs no further comparing
            return _sorted_claims(swapped) == self._own
        return not new.isdisjoint(self._said.stated)


def _sorted_claims(graph: SceneGraph) -> tuple[list[str], list[Claim]]:
    objects, relations = canonical_claims(graph)
    return sorted(objects), sorted(relations)


def _with_spans(graph: SceneGraph, edited: Edited) -> SceneGraph:
    """The graph with its spans in the edited text; what stays where it was is not copied."""
    span, first = edited.span, edited.first
    objects = [
        o if o.span is None or o.span[1] <= first else SceneObject(o.name, span(o.span), o.box)
        for o in graph.objects
    ]
    attributes = [
        a if a.span is None or a.span[1] <= first else Attribute(a.object, a.name, span(a.span))
        for a in graph.attributes
    ]
    relations = [
        r if r.span is None or r.span[1] <= first else Relation(r.subject, r.name, r.object, span(r.span))
        for r in graph.relations
    ]
    return SceneGraph(tuple(objects), tuple(attributes), tuple(relations))
