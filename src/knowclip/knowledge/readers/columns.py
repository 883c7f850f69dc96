"""Which columns of a table are head, relation, tail and weight: by its header, else by their place.

A place is a guess. What the first rows say against it is told: row numbers, another order, numbers for names.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from knowclip.console.counts import listed

COLUMNS = ("head", "relation", "tail", "weight")
SAMPLE_ROWS = 1000
"""Rows that are looked at for doubts."""

NAMES = {
    "head": frozenset("head h subject subj s source src from start node1 entity1 headentity headid".split()),
    "relation": frozenset(
        "relation r rel predicate pred p edge edgetype relationship relationtype relationid property".split()
    ),
    "tail": frozenset(
        "tail t object obj o target dst destination to end node2 entity2 tailentity tailid".split()
    ),
    "weight": frozenset(("weight", "w")),
}
"""Column -> what headers call it, in lower case, letters and digits only."""

_ID = re.compile(r"-?\d+(\.0)?|[QPL]\d+|/[mg]/\w+|bn:\d+[a-z]|\d{8}-[nvasr]|wn/\d{8}-[nvar]|<?https?://\S+")
_MOSTLY = 0.9
_FEW_ROWS = 6


def refuse_quotes(first: Sequence[str], path: Path) -> None:
    """Refuse a table that has no quoting, and all fields of its first line in quotes.

    Raises:
        ValueError: They are: the quotes would become part of the ids.
    """
    if all(len(field) > 1 and field[0] == field[-1] == '"' for field in first):
        raise ValueError(
            f"{path}, line 1: every field is in quotes, of which a table with tabs knows nothing: write it "
            "without them, or with commas as .csv"
        )


def header(names: Sequence[str], where: str) -> dict[str, int] | None:
    """Column -> its place, where a first row names them; None where it is a triple.

    Raises:
        ValueError: It names some of the columns only, or one of them twice.
    """
    keys = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    found = {column: _places(column, keys, names, where) for column in COLUMNS}
    here = {column: place for column, place in found.items() if place is not None}
    if set(COLUMNS[:3]) <= set(here):
        return here
    if {"head", "tail"} <= set(here) or len(set(here) & set(COLUMNS[:3]) & set(keys)) > 1:
        missing = next(column for column in COLUMNS if column not in here)
        raise ValueError(
            f"{where}: {listed(names)} looks like a header and names no column {missing!r}: call the columns "
            "'head', 'relation', 'tail' and maybe 'weight'"
        )
    return None


def _places(column: str, keys: list[str], names: Sequence[str], where: str) -> int | None:
    """The place of the column called so, else of the only one with another of its names."""
    exact = [place for place, key in enumerate(keys) if key == column]
    if places := exact or [place for place, key in enumerate(keys) if key in NAMES[column]]:
        if len(places) > 1 and (exact or len(keys) > len(COLUMNS)):
            called = ", ".join(repr(names[place]) for place in places)
            raise ValueError(f"{where}: several columns may be the {column} ({called}): call one {column!r}")
        return places[0]
    return None


def by_place(first: Sequence[str], rows: Sequence[Sequence[str]], path: Path, separator: str) -> list[str]:
    """Names of the columns of a table without a header, which must be three or four.

    Raises:
        ValueError: There are others, or the fourth is no weight.
    """
    if len(first) not in (3, 4):
        raise ValueError(f"{path}, line 1: {_wrong_width(first, separator)}")
    columns = list(COLUMNS[: len(first)])
    for place, column in enumerate(columns):
        if _counts_rows([row[place] for row in rows if len(row) > place]):
            _doubt(
                f"{path}: column {place + 1} counts the rows ({rows[0][place]}, {rows[1][place]}, ...) and "
                f"is read as the {column}, as there is no header"
            )
            if len(first) == 4 and place == 0 and not any(map(_is_number, (row[-1] for row in rows))):
                raise ValueError(
                    f"{path}: column 1 counts the rows, and column 4 is no weight: leave out the first column"
                )
    _doubt_order([row for row in rows if len(row) == len(first)], path)
    return columns


def doubt_ids(rows: Sequence[Sequence[str]], path: Path) -> None:
    """Tell where heads and tails, or relations, are ids: a text encoder would read them as they stand."""
    ends = {field for head, _, tail in rows for field in (head, tail)}
    for what, fields in (("entities", ends), ("relations", {row[1] for row in rows})):
        ids = [field for field in fields if _ID.fullmatch(field)]
        if len(ids) > _MOSTLY * len(fields):
            shown = ", ".join(map(repr, sorted(ids)[:3]))
            warnings.warn(
                f"{path}: the {what} are ids ({shown}), which a text encoder reads letter by letter: put "
                "their names in their place",
                stacklevel=2,
            )


def _doubt_order(rows: Sequence[Sequence[str]], path: Path) -> None:
    """Tell where the second column differs from row to row as relations do not."""
    # of so few rows nothing repeats whatever the columns are
    if len(rows) < _FEW_ROWS:
        return
    heads, relations, tails = (len({row[place] for row in rows}) for place in range(3))
    if relations > len(rows) / 2 or (relations >= _FEW_ROWS and relations > 2 * min(heads, tails)):
        _doubt(
            f"{path}: the first {len(rows):,} rows have {heads:,} heads, {relations:,} relations and "
            f"{tails:,} tails, and no header: they may be in another order, such as head, tail, relation"
        )


def _doubt(message: str) -> None:
    warnings.warn(f"{message}; a first line that names the columns settles it", stacklevel=3)


def _counts_rows(fields: Sequence[str]) -> bool:
    return len(fields) > 1 and any(
        all(field.strip() == str(start + row) for row, field in enumerate(fields)) for start in (0, 1)
    )


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _wrong_width(first: Sequence[str], separator: str) -> str:
    """What is wrong with a line of another number of columns, with a look for what separates them."""
    line = separator.join(first)
    others = {"tabs": "\t", "commas": ",", "semicolons": ";", "bars": "|", "blanks": " "}
    split = [name for name, mark in others.items() if mark != separator and line.count(mark) in (2, 3)]
    told = f"; it has {line.count(others[split[0]]) + 1} by {split[0]}" if split else ""
    way = ": separate them by tabs in a .tsv or by commas in a .csv" if split else ""
    number = (
        "; a count of the triples, as OpenKE writes it, must go" if len(first) == 1 and line.isdigit() else ""
    )
    return (
        f"{len(first)} columns{told}{number}; head, relation, tail and maybe weight are expected, or a "
        f"header line that names them among others{way}"
    )


def sample(rows: Iterator[Sequence[str]]) -> list[Sequence[str]]:
    """The first rows that are not empty."""
    found: list[Sequence[str]] = []
    for row in rows:
        if any(row):
            found.append(row)
        if len(found) == SAMPLE_ROWS:
            break
    return found
