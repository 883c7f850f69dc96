"""Captions -> scene graphs: every parser behind one function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from knowclip.knowledge.parsing import factual_parser, spacy_parser
from knowclip.plugins import Plugin, known
from knowclip.types import SceneGraph

Parser = Callable[[Iterable[str], int, str | None], Iterator[SceneGraph]]
PARSERS: dict[str, Parser] = {
    "spacy": spacy_parser.parse,
    "factual": factual_parser.parse,
}
"""Parser name -> ``function(captions, batch_size, model)``, streaming one graph per caption in order."""


def added(parser: str) -> Plugin | None:
    """The plug-in that a parser, ``NAME`` or ``NAME:MODEL``, is; None for knowclip's own.

    Raises:
        ValueError: There is no such parser, or more than one.
    """
    return known("parser", parser.partition(":")[0], PARSERS, ", with ':MODEL' for another model")


def named(parser: str) -> Parser:
    """The function of a parser; a plug-in is imported.

    Raises:
        ValueError: There is none, several, or it cannot be imported.
    """
    plugin = added(parser)
    return PARSERS[parser.partition(":")[0]] if plugin is None else plugin.load()


def parse(captions: Iterable[str], *, parser: str = "spacy", batch_size: int = 256) -> Iterator[SceneGraph]:
    """Scene graphs of captions, one each and in order, as they come (``knowclip.parse``).

    Args:
        captions: Any texts; an empty one gives an empty graph.
        parser: A name in :data:`PARSERS` or of a plug-in, with the model it is to run if not its usual one:
            ``spacy:en_core_web_lg``, ``factual:FOLDER`` (or a name on the model hub).
        batch_size: Captions processed at once.

    Raises:
        ValueError: for an unknown parser, a model that cannot be loaded, or one string in place of several;
            a plug-in that gives not one graph a caption.
        ImportError: if what the parser runs on is not installed, with the command that installs it.
    """
    if isinstance(captions, str):
        raise ValueError("captions must be several texts, got one string: pass [caption]")
    name, _, model = parser.partition(":")
    plugin = added(parser)
    if plugin is None:
        return PARSERS[name](captions, batch_size, model or None)
    return _one_each(plugin, captions, batch_size, model or None)


def _one_each(
    plugin: Plugin, captions: Iterable[str], batch_size: int, model: str | None
) -> Iterator[SceneGraph]:
    """Graphs by a plug-in, which has to give one for each caption: else they would pass to other captions."""
    given = read = 0
    following = iter(captions)

    def counted() -> Iterator[str]:
        nonlocal read
        for caption in following:
            read += 1
            yield caption

    parsed: Parser = plugin.load()
    for graph in parsed(counted(), batch_size, model):
        given += 1
        if not isinstance(graph, SceneGraph):
            raise ValueError(f"{plugin} gave {graph!r}: give a SceneGraph for each caption")
        if given > read:
            raise ValueError(f"{plugin} gave {given} graphs for {read} captions: give one for each, in order")
        yield graph
    if given < read + sum(1 for _ in following):
        raise ValueError(f"{plugin} gave {given} graphs and left captions over: give one for each")
