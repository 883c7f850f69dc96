"""Scene graphs written by hand, with spans in their caption."""

from __future__ import annotations

from knowclip.data.captions.user_graphs import ground
from knowclip.knowledge.negatives.mentions import Layout
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject, Span


def graph(caption: str, objects: str, attributes: str = "", relations: str = "") -> SceneGraph:
    """``"man:men hot_dog", "0 red", "0 chase:chases 1"`` as a graph with spans in the caption.

    Each stands where the words behind its colon first do, without them where users' graphs are found to have
    it.
    """

    def named(said: str) -> tuple[str, Span | None]:
        name, _, words = said.partition(":")
        at = caption.index(words)
        return name, (at, at + len(words)) if words else None

    described = [part.split(" ", 1) for part in attributes.split(", ") if part]
    related = [part.split() for part in relations.split(", ") if part]
    plain = SceneGraph(
        tuple(SceneObject(*named(said.replace("_", " "))) for said in objects.split()),
        tuple(Attribute(int(index), *named(said)) for index, said in described),
        tuple(
            Relation(int(first), name, int(last), span)
            for first, *words, last in related
            for name, span in [named(" ".join(words))]
        ),
    )
    return ground(plain, caption)


def layout(caption: str, objects: str, attributes: str = "", relations: str = "") -> Layout:
    """A caption as it is read beside such a graph."""
    return Layout(caption, graph(caption, objects, attributes, relations))
