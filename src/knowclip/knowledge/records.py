"""Scene graphs and negatives as JSON lines.

One object a line. ``graphs.jsonl``::

    {"key", "image", "caption", "parser", "objects": [{"name", "span"}],
     "attributes": [[object, "attribute", span]], "relations": [[subject, "relation", object, span]]}

``negatives.jsonl``: ``{"key", "image", "caption", "negative", "kind", "changed": [span, ...], "seed"}``.
Objects are indices into ``objects``, spans are ``[start, end]`` in characters, or null where the words are
unknown; ``image`` is its name where the captions were read with one, else left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knowclip.storage.atomic import atomic_file
from knowclip.storage.text_files import refuse_no_text
from knowclip.types import Attribute, Negative, Relation, SceneGraph, SceneObject, Span


@dataclass(frozen=True, slots=True)
class GraphRecord:
    """A line of ``graphs.jsonl``; ``parser`` says where the graph comes from."""

    key: str
    caption: str
    parser: str
    graph: SceneGraph
    image: str | None = None


@dataclass(frozen=True, slots=True)
class NegativeRecord:
    """A line of ``negatives.jsonl``: one negative of the caption of ``key``."""

    key: str
    caption: str
    negative: Negative
    image: str | None = None


def write_graphs(path: Path, records: Iterable[GraphRecord]) -> int:
    """Write ``graphs.jsonl`` whole or not at all; returns the number of lines."""
    return _write(path, map(_graph_line, records))


def write_negatives(path: Path, records: Iterable[NegativeRecord]) -> int:
    """Write ``negatives.jsonl`` whole or not at all; returns the number of lines."""
    return _write(path, map(_negative_line, records))


def read_graphs(path: Path) -> Iterator[GraphRecord]:
    """Lines of ``graphs.jsonl``, one at a time.

    Raises:
        ValueError: naming file, line and field, for a line that is not of this format.
    """
    return map(_graph_record, _read(path))


def read_negatives(path: Path) -> Iterator[NegativeRecord]:
    """Lines of ``negatives.jsonl``, one at a time; their negatives carry no graph.

    Raises:
        ValueError: naming file, line and field, for a line that is not of this format.
    """
    return map(_negative_record, _read(path))


def count_records(path: Path) -> int:
    """Lines of a file of JSON lines that hold something: as many as ``read_graphs`` gives."""
    with open(path, "rb") as lines:
        return sum(not line.isspace() for line in lines)


def holds_captions(path: Path) -> bool:
    """Whether a file of JSON lines holds captions without their graphs, as its first line says."""
    first = next(_read(path), None)
    return first is not None and "objects" not in first.value and "caption" in first.value


def _graph_line(record: GraphRecord) -> dict[str, Any]:
    head = _head(record) | {"parser": record.parser}
    return head | graph_to_json(record.graph)


def _head(record: GraphRecord | NegativeRecord) -> dict[str, Any]:
    image = {} if record.image is None else {"image": record.image}
    return {"key": record.key, **image, "caption": record.caption}


def graph_to_json(graph: SceneGraph) -> dict[str, Any]:
    """A scene graph as the fields of a line: objects, attributes and relations; boxes are left out."""
    return {
        "objects": [{"name": item.name, "span": item.span} for item in graph.objects],
        "attributes": [[a.object, a.name, a.span] for a in graph.attributes],
        "relations": [[r.subject, r.name, r.object, r.span] for r in graph.relations],
    }


def negative_to_json(negative: Negative) -> dict[str, Any]:
    """Turn a negative and what it claims into what ``json`` writes."""
    claims = graph_to_json(negative.graph) if negative.graph is not None else {}
    head = {"negative": negative.caption, "kind": negative.kind, "changed": negative.changed}
    return head | {"seed": negative.seed} | claims


def negative_from_json(record: dict[str, Any], where: str) -> Negative:
    """Turn what ``json`` read into a negative."""
    caption = record["negative"]
    graph = graph_from_json(record, caption, where) if "objects" in record else None
    changed = tuple((a, b) for a, b in record["changed"])
    return Negative(caption, record["kind"], changed, graph, record["seed"])


def _negative_line(record: NegativeRecord) -> dict[str, Any]:
    negative = record.negative
    return _head(record) | {
        "negative": negative.caption,
        "kind": negative.kind,
        "changed": negative.changed,
        "seed": negative.seed,
    }


def _write(path: Path, lines: Iterable[dict[str, Any]]) -> int:
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        return sum(1 for line in lines if file.write(json.dumps(line) + "\n"))


class _Line:
    """The fields of one line, read with errors that say where."""

    def __init__(self, value: Any, where: str) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise ValueError(f"{where}: a JSON object expected, got {_short(value)}")
        self.value = value

    def get(self, field: str, kind: type) -> Any:
        if field not in self.value:
            raise self.error(field, f"missing; there are {', '.join(map(repr, self.value)) or 'no fields'}")
        return self.check(field, self.value[field], kind)

    def check(self, field: str, value: Any, kind: type) -> Any:
        if type(value) is not kind:
            raise self.error(field, f"{_KINDS[kind]} expected, got {_short(value)}")
        return value

    def image(self) -> str | None:
        return self.get("image", str) if "image" in self.value else None

    def name(self, field: str, value: Any) -> str:
        if not self.check(field, value, str):
            raise self.error(field, "a name expected, got an empty text")
        return value

    def rows(self, field: str, length: int) -> Iterator[tuple[str, list[Any]]]:
        for number, row in enumerate(self.get(field, list)):
            name = f"{field}[{number}]"
            if len(self.check(name, row, list)) != length:
                raise self.error(name, f"{length} values expected, got {_short(row)}")
            yield name, row

    def index(self, field: str, value: Any, size: int) -> int:
        if not 0 <= self.check(field, value, int) < size:
            raise self.error(field, f"there is no object {value}: 'objects' has {size}, counted from 0")
        return value

    def span(self, field: str, value: Any, text: str) -> Span | None:
        if value is None:
            return None
        if type(value) is not list or [type(end) for end in value] != [int, int]:
            raise self.error(field, f"a span [start, end] or null expected, got {_short(value)}")
        if not 0 <= value[0] < value[1] <= len(text):
            raise self.error(field, f"{value} is no span of a text of {len(text)} characters")
        return value[0], value[1]

    def error(self, field: str, problem: str) -> ValueError:
        return ValueError(f"{self.where}, field {field!r}: {problem}")


_KINDS = {str: "a text", int: "a whole number", list: "a list"}


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read(path: Path) -> Iterator[_Line]:
    with open(path, "rb") as file:
        refuse_no_text(file.peek(4096), path)
        for number, line in enumerate(file, 1):
            where = f"{path}, line {number}"
            if line.isspace():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                cut = "" if line.endswith(b"\n") else "; the file ends in this line: is it complete?"
                raise ValueError(f"{where} is not JSON: {error}{cut}") from None
            yield _Line(value, where)


def graph_from_json(record: dict[str, Any], caption: str, where: str) -> SceneGraph:
    """The scene graph of a line of ``caption``.

    Raises:
        ValueError: naming ``where`` and the field that is missing, misshapen, or points at nothing.
    """
    line = _Line(record, where)
    objects = []
    for i, value in enumerate(line.get("objects", list)):
        item = _Line(value, f"{where}, field 'objects[{i}]'")
        objects.append(
            SceneObject(
                item.name("name", item.get("name", str)), item.span("span", value.get("span"), caption)
            )
        )
    attributes = [
        Attribute(
            line.index(field, owner, len(objects)),
            line.name(field, name),
            line.span(field, span, caption),
        )
        for field, (owner, name, span) in line.rows("attributes", 3)
    ]
    relations = [
        Relation(
            line.index(field, subject, len(objects)),
            line.name(field, name),
            line.index(field, item, len(objects)),
            line.span(field, span, caption),
        )
        for field, (subject, name, item, span) in line.rows("relations", 4)
    ]
    return SceneGraph(tuple(objects), tuple(attributes), tuple(relations))


def _graph_record(line: _Line) -> GraphRecord:
    caption = line.get("caption", str)
    graph = graph_from_json(line.value, caption, line.where)
    return GraphRecord(line.get("key", str), caption, line.get("parser", str), graph, line.image())


def _negative_record(line: _Line) -> NegativeRecord:
    text = line.get("negative", str)
    spans = [line.span(f"changed[{i}]", value, text) for i, value in enumerate(line.get("changed", list))]
    seed = line.get("seed", int) if "seed" in line.value else 0  # written by hand, it has none
    negative = Negative(text, line.get("kind", str), tuple(span for span in spans if span), seed=seed)
    return NegativeRecord(line.get("key", str), line.get("caption", str), negative, line.image())
