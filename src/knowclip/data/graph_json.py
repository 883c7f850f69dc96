"""Scene graphs and negatives as JSON, in the form of ``knowclip parse`` and ``knowclip negatives``.

``{"objects": [{"name", "span"}], "attributes": [[object, name, span]],
"relations": [[subject, name, object, span]]}`` with objects by index; a span is ``[start, end]`` or null.
"""

from __future__ import annotations

from typing import Any

from knowclip.types import Attribute, Negative, Relation, SceneGraph, SceneObject, Span


def graph_to_json(graph: SceneGraph) -> dict[str, Any]:
    """Turn a scene graph into what ``json`` writes."""
    return {
        "objects": [{"name": o.name, "span": o.span} for o in graph.objects],
        "attributes": [[a.object, a.name, a.span] for a in graph.attributes],
        "relations": [[r.subject, r.name, r.object, r.span] for r in graph.relations],
    }


def graph_from_json(record: dict[str, Any], caption: str, where: str) -> SceneGraph:
    """Turn what ``json`` read into a scene graph of ``caption``.

    Raises:
        ValueError: Naming ``where``: a field is missing or misshapen, an index or span points at nothing.
    """
    try:
        objects = tuple(
            SceneObject(_text(o["name"]), _span(o.get("span"), caption)) for o in record["objects"]
        )
        index = range(len(objects)).index  # refuses what is no index
        attributes = tuple(
            Attribute(index(o), _text(name), _span(span, caption)) for o, name, span in record["attributes"]
        )
        relations = tuple(
            Relation(index(s), _text(name), index(o), _span(span, caption))
            for s, name, o, span in record["relations"]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{where} is no scene graph of {caption!r} ({type(error).__name__}: {error}); it needs "
            "'objects': [{'name', 'span'}], 'attributes': [[object, name, span]], "
            "'relations': [[subject, name, object, span]]"
        ) from error
    return SceneGraph(objects, attributes, relations)


def negative_to_json(negative: Negative) -> dict[str, Any]:
    """Turn a negative and what it claims into what ``json`` writes."""
    claims = graph_to_json(negative.graph) if negative.graph is not None else {}
    return {"negative": negative.caption, "kind": negative.kind, "changed": negative.changed, **claims}


def negative_from_json(record: dict[str, Any], where: str) -> Negative:
    """Turn what ``json`` read into a negative."""
    caption = record["negative"]
    graph = graph_from_json(record, caption, where) if "objects" in record else None
    return Negative(caption, record["kind"], tuple((a, b) for a, b in record["changed"]), graph)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is no name")
    return value


def _span(value: Any, caption: str) -> Span | None:
    if value is None:
        return None
    start, end = value
    if not (type(start) is type(end) is int and 0 <= start < end <= len(caption)):
        raise ValueError(f"{value!r} is no span of the caption")
    return start, end
