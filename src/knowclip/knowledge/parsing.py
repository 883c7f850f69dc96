"""Captions -> scene graphs: every parser behind one function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from knowclip.knowledge import spacy_parser
from knowclip.types import SceneGraph

PARSERS: dict[str, Callable[[Iterable[str], int], Iterator[SceneGraph]]] = {"spacy": spacy_parser.parse}
"""Parser name -> ``function(captions, batch_size)``, streaming one graph per caption in order."""


def parse(captions: Iterable[str], *, parser: str = "spacy", batch_size: int = 256) -> Iterator[SceneGraph]:
    """Scene graphs of captions, one each and in order, as they come (``knowclip.parse``).

    Args:
        captions: Any texts; an empty one gives an empty graph.
        parser: A name in :data:`PARSERS`.
        batch_size: Captions processed at once.

    Raises:
        ValueError: for an unknown parser, or one string in place of several.
        ImportError: if the parser's model is not installed, with the command that installs it.
    """
    if isinstance(captions, str):
        raise ValueError("captions must be several texts, got one string: pass [caption]")
    if parser not in PARSERS:
        raise ValueError(f"unknown parser {parser!r}: choose one of {', '.join(PARSERS)}")
    return PARSERS[parser](captions, batch_size)
