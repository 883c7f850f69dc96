"""Captions -> scene graphs: every parser behind one function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from knowclip.knowledge.parsing import factual_parser, spacy_parser
from knowclip.types import SceneGraph

PARSERS: dict[str, Callable[[Iterable[str], int, str | None], Iterator[SceneGraph]]] = {
    "spacy": spacy_parser.parse,
    "factual": factual_parser.parse,
}
"""Parser name -> ``function(captions, batch_size, model)``, streaming one graph per caption in order."""


def parse(captions: Iterable[str], *, parser: str = "spacy", batch_size: int = 256) -> Iterator[SceneGraph]:
    """Scene graphs of captions, one each and in order, as they come (``knowclip.parse``).

    Args:
        captions: Any texts; an empty one gives an empty graph.
        parser: A name in :data:`PARSERS`, with the model it is to run if not its usual one:
            ``spacy:en_core_web_lg``, ``factual:FOLDER`` (or a name on the model hub).
        batch_size: Captions processed at once.

    Raises:
        ValueError: for an unknown parser, a model that cannot be loaded, or one string in place of several.
        ImportError: if what the parser runs on is not installed, with the command that installs it.
    """
    if isinstance(captions, str):
        raise ValueError("captions must be several texts, got one string: pass [caption]")
    name, _, model = parser.partition(":")
    if name not in PARSERS:
        raise ValueError(
            f"unknown parser {parser!r}: choose one of {', '.join(PARSERS)}, with ':MODEL' for another model"
        )
    return PARSERS[name](captions, batch_size, model or None)
