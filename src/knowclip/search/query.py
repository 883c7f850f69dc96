"""A query -> what it claims, and captions in its own words that claim something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from knowclip.knowledge.negatives.generate import SEMANTIC, generate
from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.parsing.triple_phrases import triplets_of
from knowclip.models.images import ImageInput
from knowclip.preflight.machine import check_parser
from knowclip.types import Negative, Triplet


@dataclass(frozen=True, slots=True)
class Query:
    """What photos are to show, and what not.

    Args:
        text: In words.
        image: A photo that they are to be like: a file, a region of one, or a PIL image.
        minus: What they are not to show, each in words.

    Raises:
        ValueError: Neither text nor image; a text without a word; or a text that is looked for and ruled out.
    """

    text: str | None = None
    image: ImageInput | None = None
    minus: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.text is None and self.image is None:
            raise ValueError(
                "nothing to look for: give a text, an image, or both (minus alone is too little)"
            )
        for name, text in (("the query", self.text), *(("minus", text) for text in self.minus)):
            if text is not None and not text.strip():
                raise ValueError(f"{name} is empty: say in words what is meant")
        ruled_out = [text.casefold().split() for text in self.minus]
        if self.text is not None and self.text.casefold().split() in ruled_out:
            raise ValueError(f"{self.text!r} is looked for and ruled out by minus: nothing would be left")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a query says: its triples, and its own negatives: swaps and replacements."""

    triples: tuple[Triplet, ...] = ()
    negatives: tuple[Negative, ...] = ()


def read_query(text: str, *, parser: str) -> Reading:
    """Parse a query, and make its negatives: equal queries give equal ones.

    Raises:
        ValueError: There is no such parser.
        ImportError: What the parser runs on is not installed.
    """
    check_parser(parser)
    (graph,) = parse([text], parser=parser)
    return Reading(triplets_of(graph), tuple(generate(text, graph, kinds=SEMANTIC)))


def as_tuple(minus: str | Sequence[str]) -> tuple[str, ...]:
    """One text, or several."""
    return (minus,) if isinstance(minus, str) else tuple(minus)
