"""Triples as Parquet: what is kept, told and refused; and words as ConceptNet has them, of any table."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graph_contents import Calls, entities, facts, readings
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.graph.tally import SELF_LOOP, Tally
from knowclip.knowledge.readers import triples
from knowclip.knowledge.readers.registry import import_graph

TABLE = {"head": ["a", "c"], "relation": ["r", "r"], "tail": ["b", "d"]}
MALFORMED = "malformed: blank head, relation or tail, or a weight that is no number"


def write(folder: Path, table: dict[str, Any]) -> Path:
    pq.write_table(pa.table(table), folder / "t.parquet")
    return folder / "t.parquet"


def refused(file: Path, out: Path) -> str:
    with pytest.raises(ValueError) as error:
        import_graph("triples", file, out)
    assert str(error.value).startswith(str(file)) and not out.exists()
    return str(error.value).removeprefix(str(file))


def test_what_is_kept_and_how_much_was_read(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        {
            'no "one"': [0] * 8,
            "W": ["1", " ", "2.5", "much", "nan", None, "1", "1"],
            "object": [" pet", "pet", "pet", "pet", "pet", " ", "dog", "-1"],
            "pred": ["is ", "is", "is", "is", "is", "is", "is", "is"],
            "Head": ["dog", "dog", "dog", "cat", "cat", "cat", "dog", "dog"],
        },
    )
    calls: Calls = []
    options = {"left_out": {"before": 4}, "report": lambda *call: calls.append(call)}
    graph = import_graph("triples", file, tmp_path / "g", **options)
    assert facts(graph) == {("dog", "is", "pet"): 2.5}
    assert entities(graph) == {"dog": "dog", "pet": "pet"}
    missing = "a placeholder (nan, NULL, -1, ...) for a missing id"
    skipped = {"before": 4, MALFORMED: 3, missing: 1, SELF_LOOP: 1}
    assert graph.tally == Tally(
        read=12, kept=1, merged=2, skipped=skipped, first={MALFORMED: f"{file}, row 3"}
    )
    assert graph.sources == (Source("triples", "not stated", path=str(file), skipped=skipped),)
    assert readings(calls) == [("reading t.parquet", 0.0)]


def test_a_table_without_weights_has_those_of_1(tmp_path: Path) -> None:
    graph = import_graph("triples", write(tmp_path, {'a "quoted" one': [7, 7], **TABLE}), tmp_path / "g")
    assert facts(graph) == {("a", "r", "b"): 1.0, ("c", "r", "d"): 1.0}


def test_the_first_row_may_be_the_malformed_one(tmp_path: Path) -> None:
    file = write(tmp_path, TABLE | {"tail": [None, "d"]})
    graph = import_graph("triples", file, tmp_path / "g")
    assert graph.tally == Tally(read=2, kept=1, skipped={MALFORMED: 1}, first={MALFORMED: f"{file}, row 0"})


def test_a_name_of_a_column_may_hold_a_quote(tmp_path: Path) -> None:
    table = {'h"ead"': ["a"], "relation": ["r"], "tail": ["b"]}
    assert facts(import_graph("triples", write(tmp_path, table), tmp_path / "g")) == {("a", "r", "b"): 1.0}


def test_ids_in_place_of_names_are_told(tmp_path: Path) -> None:
    """As far as the first thousand rows have them."""
    ids = [f" Q{number} " for number in range(1000)]
    table = {"head": [*ids, "dog", "cat"], "relation": ["is"] * 1002, "tail": [*ids[1:], "Q0", *["pet"] * 2]}
    file = write(tmp_path, table)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        import_graph("triples", file, tmp_path / "g")
    assert [str(warning.message) for warning in told] == [
        f"{file}: the entities are ids ('Q0', 'Q1', 'Q10'), which a text encoder reads letter by letter: put "
        "their names in their place"
    ]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"h": ["a"], "r": ["r"]}, "no columns 'head', 'relation', 'tail'; it has 'h', 'r'"),
        ({"head": ["a"], "tail": ["b"], "x": [1]},
         "'head', 'tail', 'x' looks like a header and names no column 'relation': call the columns 'head', "
         "'relation', 'tail' and maybe 'weight'"),
        ({**TABLE, "File_Row_Number": [0, 1]},
         "a column is called 'file_row_number', in which DuckDB counts rows: rename it"),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_read_are_named(tmp_path: Path, table: dict[str, Any], told: str) -> None:
    assert refused(write(tmp_path, table), tmp_path / "g") == f": {told}"


@pytest.mark.parametrize("damage", ["empty", "half", "no pages", "no schema"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    content = io.BytesIO()
    pq.write_table(pa.table({name: values * 9 for name, values in TABLE.items()}), content)
    whole = content.getvalue()
    file = tmp_path / "t.parquet"
    file.write_bytes(
        {
            "empty": b"",
            "half": whole[: len(whole) // 2],
            "no pages": whole[:4] + b"\xff" * 60 + whole[64:],
            "no schema": whole[:-20] + b"\xff" * 12 + whole[-8:],
        }[damage]
    )
    error = refused(file, tmp_path / "g")
    assert error.startswith(": ") and error.endswith("; it is damaged or cut off") and "\n" not in error
    if damage == "half":
        assert f"No magic bytes found at end of file '{file}'" in error


def test_want_of_memory_or_space_is_no_fault_of_the_file() -> None:
    for error in (duckdb.OutOfMemoryException("of memory"), duckdb.IOException("No space left on device")):
        with pytest.raises(type(error)), triples._naming(Path("t.parquet")):
            raise error


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_words_become_concepts(tmp_path: Path, ending: str) -> None:
    rows = [("Dog", "chases", "Hot  dog"), ("a/b", "is ", "/c/en/x"), ("/c/de/hund", "is", "dog"),
            ("_", "is", "b"), ("x", "is", "/"), ("dog", "is", "DOG")]  # fmt: skip
    columns = dict(zip(("head", "relation", "tail"), map(list, zip(*rows, strict=True)), strict=True))
    file = write(tmp_path, columns) if ending == "parquet" else tmp_path / "t.csv"
    if ending == "csv":
        file.write_text("".join(f"{','.join(row)}\n" for row in rows))
    graph = import_graph("triples", file, tmp_path / "g", options={"words": True})
    assert facts(graph) == {
        ("/c/en/dog", "chases", "/c/en/hot_dog"): 1.0,
        ("/c/en/a_b", "is", "/c/en/x"): 1.0,
        ("/c/de/hund", "is", "/c/en/dog"): 1.0,
    }
    skipped = {"head or tail without a word": 2, SELF_LOOP: 1}
    assert graph.tally == Tally(read=6, kept=3, skipped=skipped)
