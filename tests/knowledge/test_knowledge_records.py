"""Lines of graphs.jsonl and negatives.jsonl: round trip, atomic writing, errors that name the place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowclip.knowledge.records import (
    GraphRecord,
    NegativeRecord,
    graph_from_json,
    graph_to_json,
    read_graphs,
    read_negatives,
    write_graphs,
    write_negatives,
)
from knowclip.types import Attribute, Negative, Relation, SceneGraph, SceneObject

CAPTION = "a red dog on a mat"
GRAPH = SceneGraph(
    (SceneObject("dog", (6, 9)), SceneObject("mat")),
    (Attribute(0, "red", (2, 5)),),
    (Relation(0, "on", 1, (10, 12)),),
)
LINE: dict[str, Any] = {
    "key": "k1",
    "caption": CAPTION,
    "parser": "spacy",
    "objects": [{"name": "dog", "span": [6, 9]}, {"name": "mat", "span": None}],
    "attributes": [[0, "red", [2, 5]]],
    "relations": [[0, "on", 1, [10, 12]]],
}


def test_graphs_as_the_format_says(tmp_path: Path) -> None:
    path = tmp_path / "new" / "graphs.jsonl"
    record = GraphRecord("k1", CAPTION, "spacy", GRAPH)
    assert write_graphs(path, [record, record]) == 2
    assert [json.loads(line) for line in path.read_text().splitlines()] == [LINE, LINE]
    assert list(read_graphs(path)) == [record, record]


def test_negatives_as_the_format_says(tmp_path: Path) -> None:
    path = tmp_path / "negatives.jsonl"
    negative = Negative("a mat on a red dog", "relation_swap", ((0, 5), (9, 18)))
    assert write_negatives(path, [NegativeRecord("k", CAPTION, negative)]) == 1
    assert json.loads(path.read_text()) == {
        "key": "k",
        "caption": CAPTION,
        "negative": "a mat on a red dog",
        "kind": "relation_swap",
        "changed": [[0, 5], [9, 18]],
        "seed": 0,
    }
    assert list(read_negatives(path)) == [NegativeRecord("k", CAPTION, negative)]


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=10))
def test_any_text_survives(caption: str, name: str) -> None:
    graph = SceneGraph((SceneObject(name, (0, len(caption))),))
    assert graph_from_json(json.loads(json.dumps(graph_to_json(graph))), caption, "here") == graph


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "graphs.jsonl"
    path.write_text("old")

    def records() -> Iterator[GraphRecord]:
        yield GraphRecord("k1", CAPTION, "spacy", GRAPH)
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_graphs(path, records())
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"caption": None}, "field 'caption': a text expected, got null"),
    ({"key": 3}, "field 'key': a text expected, got 3"),
    ({"objects": {}}, "field 'objects': a list expected"),
    ({"objects": [{"name": "dog"}]}, r"field 'attributes\[0\]'|field 'relations\[0\]': there is no object 1"),
    ({"objects": [{"span": None}, {"name": "x"}]}, r"objects\[0\]', field 'name': missing; there are 'span'"),
    (
        {"objects": [{"name": "dog", "span": [6]}, {"name": "x"}]},
        r"field 'span': a span \[start, end\] or null",
    ),
    ({"attributes": [[2, "red", None]]}, r"field 'attributes\[0\]': there is no object 2: 'objects' has 2"),
    ({"attributes": [[True, "red", None]]}, r"field 'attributes\[0\]': a whole number expected, got true"),
    ({"attributes": [[0, "red"]]}, r"field 'attributes\[0\]': 3 values expected"),
    ({"attributes": [[0, 5, None]]}, r"field 'attributes\[0\]': a text expected, got 5"),
    ({"relations": [[0, "on", -1, None]]}, r"field 'relations\[0\]': there is no object -1"),
    ({"relations": [[0, "on", 1, [4, 99]]]}, r"\[4, 99\] is no span of a text of 18 characters"),
    ({"relations": [[0, "on", 1, [4, 4]]]}, r"\[4, 4\] is no span"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_errors_name_file_line_and_field(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "graphs.jsonl"
    path.write_text(json.dumps(LINE) + "\n\n" + json.dumps(LINE | change) + "\n")
    with pytest.raises(ValueError, match=rf"graphs\.jsonl, line 3, .*({message})"):
        list(read_graphs(path))


@pytest.mark.parametrize("field", [*LINE])
def test_missing_fields_are_named(tmp_path: Path, field: str) -> None:
    path = tmp_path / "graphs.jsonl"
    path.write_text(json.dumps({name: value for name, value in LINE.items() if name != field}))
    with pytest.raises(ValueError, match=f"line 1, field '{field}': missing; there are "):
        list(read_graphs(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(LINE)[:50], "line 1 is not JSON: .*; the file ends in this line: is it complete"),
        ("[1]\n", r"line 1: a JSON object expected, got \[1\]"),
        ("dog\n", "line 1 is not JSON"),
    ],
)
def test_what_is_no_record(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "graphs.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        list(read_graphs(path))


def test_spans_of_negatives_lie_in_the_negative(tmp_path: Path) -> None:
    path = tmp_path / "negatives.jsonl"
    path.write_text('{"key": "k", "caption": "a dog", "negative": "dog", "kind": "x", "changed": [[0, 5]]}\n')
    with pytest.raises(ValueError, match=r"line 1, field 'changed\[0\]': \[0, 5\] is no span of a text of 3"):
        list(read_negatives(path))
