"""Sub-graphs of the captions of an item, drawn anew each epoch: true texts, false ones, and what is true.

Shape legend: E claims that an image's captions make true.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from knowclip.data.captions.by_image import by_image, said_by
from knowclip.data.captions.turns import in_turns
from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.subgraph_edits import Scene, edits
from knowclip.knowledge.negatives.subgraphs import KINDS, Subgraph, subgraphs
from knowclip.knowledge.negatives.truths import Truths, claim_keys
from knowclip.knowledge.words.alternatives import nouns_against
from knowclip.types import Example, SceneGraph

if TYPE_CHECKING:
    from jaxtyping import Int

_REMEMBERED = 500_000
"""Captions whose sub-graphs are kept; beyond it they are made again each time."""
CLAIMS = 2
"""Most claims of a sub-graph's text: a pair has two attributes."""


@dataclass(frozen=True, slots=True)
class Text:
    """A sub-graph in words, and hashes of what it claims."""

    text: str
    claims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What an item is told beside its caption: texts in the order they were drawn."""

    positives: tuple[Text, ...]
    negatives: tuple[Text, ...]
    truths: Int[np.ndarray, " E"]
    """Hashes of what all captions of the image make true; the claims of positives among them."""


class SubgraphDraw:
    """Draws sub-graphs of captions with a graph, and edits those that were drawn.

    Kinds of sub-graphs, and of edits, take turns in a random order, so that the commoner does not crowd out
    the rarer.

    Args:
        examples: All of a data set: what other captions of an image say is no negative of this one.
        positives: How many to draw a caption, without repetition; fewer where there are fewer.
        negatives: How many edited ones, likewise.
        kinds: Of sub-graphs, from ``knowledge.negatives.subgraphs.KINDS``.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        positives: int,
        negatives: int,
        kinds: Collection[str] = KINDS,
    ) -> None:
        self._examples = examples
        self._positives, self._negatives = positives, negatives
        self._kinds = frozenset(kinds)
        self._of_image = by_image(examples)
        nouns = {o.name.lower() for e in examples if e.graph is not None for o in e.graph.objects}
        self._truths = Truths(nouns.union(*map(nouns_against, nouns)))
        self._known: dict[int, list[Subgraph]] = {}
        self._true: dict[str, np.ndarray] = {}

    def __call__(self, position: int, draw: Random) -> Drawn:
        """Draw for the example at a position."""
        example = self._examples[position]
        graph = example.graph
        if graph is None:
            return Drawn((), (), np.zeros(0, np.int64))
        found = self._subgraphs(position, graph)
        chosen = in_turns(
            [(one.kind, one) for one in found if one.kind in self._kinds], self._positives, draw
        )
        scene = Scene(self._said(example), [one.phrases[0] for one in found if one.kind == "attribute"])
        made = [edit for one in chosen for edit in edits(one, scene, draw)] if self._negatives else []
        different = {changed.text: (kind, changed) for kind, changed in made}
        return Drawn(
            tuple(map(_text, chosen)),
            tuple(map(_text, in_turns(different.values(), self._negatives, draw))),
            self._truths_of(example.image_id),
        )

    def _subgraphs(self, position: int, graph: SceneGraph) -> list[Subgraph]:
        found = self._known.get(position)
        if found is None:
            found = subgraphs(self._examples[position].caption, graph)
            if len(self._known) < _REMEMBERED:
                self._known[position] = found
        return found

    def _said(self, example: Example) -> Said:
        """What all captions of its image say."""
        return said_by(self._examples[position] for position in self._of_image[example.image_id])

    def _truths_of(self, image: str) -> Int[np.ndarray, " E"]:
        found = self._true.get(image)
        if found is None:
            several = (self._examples[position].graph for position in self._of_image[image])
            keys = self._truths.keys(graph for graph in several if graph is not None)
            found = np.array(sorted(keys), dtype=np.int64)
            if len(self._true) < _REMEMBERED:
                self._true[image] = found
        return found


def _text(subgraph: Subgraph) -> Text:
    return Text(subgraph.text, claim_keys(subgraph.graph))
