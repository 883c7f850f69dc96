"""Which columns are which: every rule by its function, with the whole sentence of what is told or refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from knowclip.knowledge.readers import columns

FILE = Path("t.csv")
SETTLES = "; a first line that names the columns settles it"


def told(call: Callable[..., object], *given: object) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call(*given)
    return [str(warning.message) for warning in found]


def refused(call: Callable[..., object], *given: object) -> str:
    with warnings.catch_warnings(), pytest.raises(ValueError) as error:
        warnings.simplefilter("ignore")
        call(*given)
    return str(error.value)


@pytest.mark.parametrize("first", [['"a"', '"b"'], ['""', '"b"'], ['"a"']])
def test_a_table_without_quoting_whose_fields_are_all_in_quotes_is_refused(first: list[str]) -> None:
    assert refused(columns.refuse_quotes, first, FILE) == (
        "t.csv, line 1: every field is in quotes, of which a table with tabs knows nothing: write it "
        "without them, or with commas as .csv"
    )


@pytest.mark.parametrize("first", [['"', '"b"'], ['"a"', "b"], ['"a', '"b"'], ['a"', '"b"'], ["", '"b"']])
def test_a_quote_here_and_there_is_taken(first: list[str]) -> None:
    columns.refuse_quotes(first, FILE)


TRIPLE = {"head": 0, "relation": 1, "tail": 2}


@pytest.mark.parametrize(
    ("names", "places"),
    [
        ("head relation tail", TRIPLE),
        ("HEAD: Relation_ (tail)", TRIPLE),
        ("Head-ID edge.type 2 tail_id", {"head": 0, "relation": 1, "tail": 3}),
        ("weight tail relation head", {"weight": 0, "tail": 1, "relation": 2, "head": 3}),
        ("s p o w", TRIPLE | {"weight": 3}),
        ("h head r t", {"head": 1, "relation": 2, "tail": 3}),
        ("s h r t", {"head": 0, "relation": 2, "tail": 3}),
        ("x y head relation tail", {"head": 2, "relation": 3, "tail": 4}),
        ("dog is animal", None),
        ("head is animal", None),
        ("s p animal", None),
        ("weight relation animal", None),
        ("subject relation animal", None),  # only exact names count where head and tail are not both there
    ],
)
def test_a_header_names_the_columns(names: str, places: dict[str, int] | None) -> None:
    assert columns.header(names.split(), "t.csv, line 1") == places


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        ("head x tail", "'relation'"),
        ("subject verb object", "'relation'"),
        ("head relation x", "'tail'"),
        ("x relation tail weight", "'head'"),
    ],
)
def test_a_header_that_names_a_part_is_refused(names: str, missing: str) -> None:
    listed = ", ".join(map(repr, names.split()))
    assert refused(columns.header, names.split(), "t.csv, line 1") == (
        f"t.csv, line 1: {listed} looks like a header and names no column {missing}: call the columns "
        "'head', 'relation', 'tail' and maybe 'weight'"
    )


@pytest.mark.parametrize(
    ("names", "column", "called"),
    [
        ("Head head relation tail", "head", "'Head', 'head'"),
        ("head relation tail weight weight", "weight", "'weight', 'weight'"),
        ("s source relation tail x", "head", "'s', 'source'"),
        ("head p rel tail x", "relation", "'p', 'rel'"),
    ],
)
def test_a_header_that_names_a_column_twice_is_refused(names: str, column: str, called: str) -> None:
    assert refused(columns.header, names.split(), "here") == (
        f"here: several columns may be the {column} ({called}): call one {column!r}"
    )


@pytest.mark.parametrize(
    ("first", "separator", "message"),
    [
        (["a", "b"], ",", "2 columns; {}"),
        (["a", "b", "c", "d", "e"], ",", "5 columns; {}"),
        (["12"], "\t", "1 columns; a count of the triples, as OpenKE writes it, must go; {}"),
        (["a\tb\tc"], ",", "1 columns; it has 3 by tabs; {}{}"),
        (["a,b,c,d"], "\t", "1 columns; it has 4 by commas; {}{}"),
        (["a;b;c"], ",", "1 columns; it has 3 by semicolons; {}{}"),
        (["a|b|c"], ",", "1 columns; it has 3 by bars; {}{}"),
        (["a b c"], ",", "1 columns; it has 3 by blanks; {}{}"),
        (["a", "b;c;d"], ",", "2 columns; it has 3 by semicolons; {}{}"),
        (["a b c d e"], ",", "1 columns; {}"),
        (["a b"], ",", "1 columns; {}"),
    ],
)
def test_other_numbers_of_columns_are_refused(first: list[str], separator: str, message: str) -> None:
    wanted = (
        "head, relation, tail and maybe weight are expected, or a header line that names them among others",
        ": separate them by tabs in a .tsv or by commas in a .csv",
    )
    assert refused(columns.by_place, first, [first], FILE, separator) == (
        f"t.csv, line 1: {message.format(*wanted)}"
    )


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (["a r b", "c r d"], "head relation tail"),
        (["a r b 2", "c r d 3"], "head relation tail weight"),
        (["2 r b", "3 r d"], "head relation tail"),
        (["1 r b"], "head relation tail"),
        (["1 r b", "2 r b", "2 r b"], "head relation tail"),
        (["a r b", "c", "d r"], "head relation tail"),
    ],
)
def test_columns_are_taken_by_their_place(rows: list[str], names: str) -> None:
    table = [row.split() for row in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert columns.by_place(table[0], table, FILE, ",") == names.split()


@pytest.mark.parametrize(
    ("rows", "place", "column", "first"),
    [
        (["0 r b", "1 r d"], 1, "head", "0, 1"),
        (["1 r b", " 2 r d"], 1, "head", "1, 2"),
        (["a 0 b", "b 1 d"], 2, "relation", "0, 1"),
        (["a r 1", "b r 2"], 3, "tail", "1, 2"),
        (["a r b 0", "b r b 1"], 4, "weight", "0, 1"),
        (["1 a r 7", "2 b r x"], 1, "head", "1, 2"),
    ],
)
def test_a_column_that_counts_the_rows_is_told(rows: list[str], place: int, column: str, first: str) -> None:
    table = [row.split() for row in rows]
    assert told(columns.by_place, table[0], table, FILE, ",") == [
        f"t.csv: column {place} counts the rows ({first}, ...) and is read as the {column}, as there is no "
        f"header{SETTLES}"
    ]


def test_row_numbers_before_a_triple_are_refused() -> None:
    rows = [["0", "a", "r", "b"], ["1", "c", "r", "d"]]
    assert refused(columns.by_place, rows[0], rows, FILE, ",") == (
        "t.csv: column 1 counts the rows, and column 4 is no weight: leave out the first column"
    )


def table_of(rows: int, heads: int, relations: int, tails: int) -> list[list[str]]:
    return [[f"h{row % heads}", f"r{row % relations}", f"t{row % tails}"] for row in range(rows)]


@pytest.mark.parametrize(
    ("rows", "heads", "relations", "tails", "doubted"),
    [
        (5, 5, 5, 5, False),
        (6, 6, 4, 6, True),
        (6, 6, 3, 6, False),
        (12, 12, 7, 12, True),
        (12, 2, 6, 12, True),
        (12, 12, 6, 2, True),
        (12, 3, 6, 12, False),
        (12, 2, 5, 12, False),
    ],
)
def test_a_second_column_that_differs_as_relations_do_not_is_told(
    rows: int, heads: int, relations: int, tails: int, doubted: bool
) -> None:
    table = [*table_of(rows, heads, relations, tails), ["of", "another"]]
    message = (
        f"t.csv: the first {rows} rows have {heads} heads, {relations} relations and {tails} tails, "
        f"and no header: they may be in another order, such as head, tail, relation{SETTLES}"
    )
    assert told(columns.by_place, table[0], table, FILE, ",") == ([message] if doubted else [])


IDS = [f"Q{number}" for number in range(9)]
LETTERS = "which a text encoder reads letter by letter: put their names in their place"


@pytest.mark.parametrize(
    ("rows", "ids"),
    [
        ([[head, "is", "Q10"] for head in IDS], {"entities": "'Q0', 'Q1', 'Q10'"}),
        ([[head, "is", "dog"] for head in IDS], {}),  # nine of ten
        ([["dog", f"P{9 - number}", "cat"] for number in range(3)], {"relations": "'P7', 'P8', 'P9'"}),
        ([["Q1", "is", "dog"], ["cat", "is", "dog"]], {}),
        ([["Q2", "P1", "Q1"]], {"entities": "'Q1', 'Q2'", "relations": "'P1'"}),
        ([], {}),
    ],
)
def test_ids_in_place_of_names_are_told(rows: Sequence[Sequence[str]], ids: dict[str, str]) -> None:
    assert told(columns.doubt_ids, rows, FILE) == [
        f"t.csv: the {what} are ids ({shown}), {LETTERS}" for what, shown in ids.items()
    ]


def test_a_sample_is_the_first_thousand_rows_that_are_not_empty() -> None:
    rows = iter([[], ["", ""], *([str(number), ""] for number in range(1002))])
    assert columns.sample(rows) == [[str(number), ""] for number in range(1000)]
    assert next(rows) == ["1000", ""]  # and no further row is read
    assert columns.sample(iter([[""], ["a"]])) == [["a"]]
