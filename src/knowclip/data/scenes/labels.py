"""What a scene and its caption say, as labels: nouns, whose colour is which, who does what to whom.

Numbers are indices into ``NOUNS``, ``COLOURS``, ``RELATIONS`` and ``ROLES``; ``UNSAID`` stands where nothing
is said, and is what ``cross_entropy`` leaves out. *Spots* are the places where a tower can be told one thing
at a time: cells of an image's grid, words of a caption. Of a relation and its converse one is taken
(``CONVERSES``): the picture is the same, so nothing in it says which end was meant as the subject.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from knowclip.data.scenes.nouns import COLOURS, CONVERSES, NOUNS, RELATIONS, RelationWords
from knowclip.types import SceneGraph

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64

UNSAID = -100
ROLES = ("subject", "object")

_NOUNS = {noun: index for index, noun in enumerate(NOUNS)}
_COLOURS = {colour: index for index, colour in enumerate(COLOURS)}
_RELATIONS = {relation.name: index for index, relation in enumerate(RELATIONS)}
_WORD = re.compile(r"\w+|[^\w\s]")

Spot = tuple[int, int, int]
"""Place, noun, colour."""
Role = tuple[int, int, int]
"""Subject, relation, object."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What is said of n scenes, by their images or by their captions, at S spots each."""

    nouns: Bool[np.ndarray, "n N"]
    colours: Int64[np.ndarray, "n N"]
    """Of each noun."""
    relations: Int64[np.ndarray, " n"]
    """The scene's first."""
    roles: Int64[np.ndarray, "n N"]
    """Of each noun, in that relation."""
    spots: Int64[np.ndarray, "n S 3"]
    """Noun, colour, role."""

    def __getitem__(self, rows: Int64[np.ndarray, " m"]) -> Self:
        """The labels of some scenes."""
        parts = (self.nouns, self.colours, self.relations, self.roles, self.spots)
        return type(self)(*(part[rows] for part in parts))

    @classmethod
    def of_images(cls, graphs: Sequence[SceneGraph], *, size: int, grid: int) -> Self:
        """Everything that stands in the graphs; spots are the ``grid * grid`` cells, row by row.

        Args:
            graphs: As Visual Genome's files of the scenes give them.
            size: Pixels a side that the boxes are in.
            grid: Cells a side.
        """
        labels = cls._of(graphs, places=grid**2)
        for row, graph in enumerate(graphs):
            labels._tell(row, _painted(graph), _role(graph))
            for place, noun, colour in _cells(graph, size=size, grid=grid):
                labels.spots[row, place] = noun, colour, labels.roles[row, noun]
        return labels

    @classmethod
    def of_captions(cls, captions: Sequence[str], graphs: Sequence[SceneGraph], *, words: int) -> Self:
        """What the captions say of their graphs; spots are the first ``words`` words and points."""
        labels = cls._of(graphs, places=words)
        for row, (caption, graph) in enumerate(zip(captions, graphs, strict=True)):
            said = tuple(_said_colours(caption, graph))
            paints = [(noun, colour) for _, noun, colour in said]
            labels._tell(row, paints, _role(graph) if _tells_relation(caption, graph) else None)
            for place, noun, colour in said:
                labels.spots[row, place : place + 1, :2] = noun, colour  # none beyond the last word
            for place, noun in _last_of_the_pair(caption, labels.roles[row]):
                labels.spots[row, place : place + 1, 2] = labels.roles[row, noun]
        return labels

    @property
    def two_coloured(self) -> Int64[np.ndarray, " m"]:
        """Scenes that say unlike colours of at least two nouns: those where binding matters."""
        said = np.where(self.colours == UNSAID, -1, self.colours)
        highest = said.max(axis=1)
        lowest = np.where(said < 0, len(COLOURS), said).min(axis=1)
        return np.flatnonzero((highest >= 0) & (highest != lowest))

    @classmethod
    def _of(cls, graphs: Sequence[SceneGraph], *, places: int) -> Self:
        """Labels that name the nouns, and say nothing of them yet."""
        rows = len(graphs)
        nouns = np.zeros((rows, len(NOUNS)), dtype=bool)
        for row, graph in enumerate(graphs):
            nouns[row, [_NOUNS[thing.name] for thing in graph.objects]] = True
        shapes = ((rows, len(NOUNS)), (rows,), (rows, len(NOUNS)), (rows, places, 3))
        return cls(nouns, *(np.full(shape, UNSAID) for shape in shapes))

    def _tell(self, row: int, paints: Iterable[tuple[int, int]], role: Role | None) -> None:
        for noun, colour in paints:
            self.colours[row, noun] = colour
        if role is not None:
            subject, self.relations[row], other = role
            self.roles[row, [subject, other]] = 0, 1


def _painted(graph: SceneGraph) -> Iterator[tuple[int, int]]:
    for attribute in graph.attributes:
        if attribute.name in _COLOURS:
            yield _NOUNS[graph.objects[attribute.object].name], _COLOURS[attribute.name]


def _role(graph: SceneGraph) -> Role:
    first = graph.relations[0]
    subject, other = (_NOUNS[graph.objects[end].name] for end in (first.subject, first.object))
    if first.name in CONVERSES:
        return other, _RELATIONS[CONVERSES[first.name]], subject
    return subject, _RELATIONS[first.name], other


def _cells(graph: SceneGraph, *, size: int, grid: int) -> Iterator[Spot]:
    """Every cell that a box covers, larger boxes first: what is small stands on top or is told last."""
    colours = dict(_painted(graph))
    boxes = [(thing.box, _NOUNS[thing.name]) for thing in graph.objects if thing.box is not None]
    for (x, y, width, height), noun in sorted(boxes, key=lambda found: -found[0][2] * found[0][3]):
        columns, rows = (
            _covered(start, side, size / grid, grid) for start, side in ((x, width), (y, height))
        )
        for row in rows:
            for column in columns:
                yield row * grid + column, noun, colours.get(noun, UNSAID)


def _covered(start: float, side: float, cell: float, grid: int) -> range:
    """Cells whose larger part lies within a side of a box, at least one."""
    first = min(grid - 1, max(0, round(start / cell)))
    return range(first, min(grid, max(first + 1, round((start + side) / cell))))


def _said_colours(caption: str, graph: SceneGraph) -> Iterator[Spot]:
    """The word with which it is clear which colour a noun has: "red *dog*", "the dog is *red*"."""
    painted = dict(_painted(graph))
    words = _WORD.findall(caption.lower())
    for place, word in enumerate(words):
        before = words[max(0, place - 2) : place]
        if word in _NOUNS and before and _COLOURS.get(before[-1], UNSAID) == painted.get(_NOUNS[word]):
            yield place, _NOUNS[word], painted[_NOUNS[word]]
        if word in _COLOURS and len(before) == 2 and before[1] == "is" and before[0] in _NOUNS:
            yield place, _NOUNS[before[0]], _COLOURS[word]


def _last_of_the_pair(caption: str, roles: Int64[np.ndarray, " N"]) -> Iterator[tuple[int, int]]:
    """The last word that names one of the two, with its noun: there it is clear who does what, sooner not."""
    words = _WORD.findall(caption.lower())
    of_the_pair = [
        (place, _NOUNS[word])
        for place, word in enumerate(words)
        if word in _NOUNS and roles[_NOUNS[word]] != UNSAID
    ]
    yield from of_the_pair[-1:]


def _tells_relation(caption: str, graph: SceneGraph) -> bool:
    """Whether the caption says the first relation; a sentence at its end tells each of the further ones."""
    sentences = [sentence for sentence in caption.lower().split(".") if sentence.strip()]
    about = " . ".join(sentences[: len(sentences) - len(graph.relations) + 1])
    first = RELATIONS[_RELATIONS[graph.relations[0].name]]
    return any(f" {form} " in f" {about.strip()} " for form in _forms(first))


def _forms(relation: RelationWords) -> Iterator[str]:
    yield from filter(None, (relation.name, relation.preposition, relation.third, relation.participle))
