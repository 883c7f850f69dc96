"""Triples of your own: TSV, CSV (plain or gzipped) or Parquet with head, relation, tail and maybe weight."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from knowclip.console.counts import listed
from knowclip.knowledge.graph.staging import GraphBuilder
from knowclip.knowledge.graph.store import Source, literal
from knowclip.knowledge.readers import columns as named
from knowclip.knowledge.readers.conceptnet import concept_sql
from knowclip.knowledge.readers.tables import (
    MALFORMED,
    MAX_LINE_BYTES,
    blank,
    check_file,
    check_text,
    number,
    open_text,
    placeholder,
    read_lines,
    wordless,
)

WANTED = "lines of head, relation, tail[, weight]"
WORDLESS = "head or tail without a word"
_ROW = "file_row_number"
PLACEHOLDER = "a placeholder (nan, NULL, -1, ...) for a missing id"


def read_triples(
    path: Path,
    build: GraphBuilder,
    *,
    name: str = "triples",
    licence: str = "not stated",
    words: bool = False,
) -> Source:
    """Read a table of triples; ids serve as texts (``/c/en/..`` as its words), without spaces around them.

    A first line that names the columns ``head``, ``relation``, ``tail`` (and ``weight``), or calls them
    subject, predicate, object and the like, in any order and maybe with others, is a header; without one the
    three (four) columns are these. What speaks against that, or for ids in place of names, is told as a
    warning.

    Args:
        path: ``.tsv``, ``.txt`` (tabs, no quoting), ``.csv`` (commas, double quotes), either with ``.gz``, or
            ``.parquet``.
        build: What to write to.
        name: Name of the source.
        licence: Its licence, kept with the graph.
        words: Give heads and tails ConceptNet's URIs ("Hot dog" -> ``/c/en/hot_dog``), so that they are the
            entities of ConceptNet, ``concepts`` and others, with which they are merged.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    check_file(path, WANTED)
    if suffix == ".parquet":
        with _naming(path):
            _read_parquet(path, build)
    elif suffix in (".tsv", ".txt", ".csv"):
        _read_text(path, build, "," if suffix == ".csv" else "\t", '"' if suffix == ".csv" else "")
    else:
        raise ValueError(f"{path}: .tsv, .txt, .csv (or .gz of them) or .parquet expected")
    _without_placeholders(build)
    if words:
        _as_concepts(build)
    return Source(name, licence)


def _read_text(path: Path, build: GraphBuilder, delimiter: str, quote: str) -> None:
    check_text(path, WANTED)
    rows = _first_rows(path, delimiter, quote)
    if not rows:
        raise ValueError(f"{path} has no row with anything in it; a file of {WANTED} is wanted")
    if not quote:
        named.refuse_quotes(rows[0], path)
    places = named.header(rows[0], f"{path}, line 1")
    if places is None:
        columns = named.by_place(rows[0], rows, path, delimiter)
    else:
        columns = [f"column_{place}" for place in range(len(rows[0]))]
        for column, place in places.items():
            columns[place] = column
    triple = [columns.index(column) for column in named.COLUMNS[:3]]
    whole = [row for row in rows[places is not None :] if len(row) == len(columns)]
    named.doubt_ids([[row[place].strip() for place in triple] for row in whole], path)
    weighted = "weight" in columns
    read_lines(
        path,
        build,
        columns=columns,
        left_out=[(MALFORMED, _broken(weighted))],
        triplet=("trim(head)", "trim(relation)", "trim(tail)", _weight(weighted)),
        expected="head, relation, tail[, weight]",
        delimiter=delimiter,
        quote=quote,
        skip=int(places is not None),
    )


def _first_rows(path: Path, delimiter: str, quote: str) -> list[Sequence[str]]:
    csv.field_size_limit(MAX_LINE_BYTES)
    style: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    try:
        with open_text(path) as file:
            return named.sample(csv.reader(file, delimiter=delimiter, **style))
    except csv.Error as error:
        raise ValueError(f"{path}: {error}; is it a table of lines?") from None
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: {error}; it is damaged or cut off: download or copy it again") from None


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file where DuckDB stops at what is in it, not for want of memory or of space to spill to."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        summary = str(error).partition("\n")[0].strip()
        if isinstance(error, duckdb.OutOfMemoryException) or "No space left" in summary:
            raise
        raise ValueError(f"{path}: {summary}; it is damaged or cut off") from None


def _read_parquet(path: Path, build: GraphBuilder) -> None:
    build.report(f"reading {path.name}", 0.0)
    file = literal(path)
    names = [row[0] for row in build.connection.execute(f"DESCRIBE FROM read_parquet({file})").fetchall()]
    if _ROW in map(str.lower, names):
        raise ValueError(f"{path}: a column is called {_ROW!r}, in which DuckDB counts rows: rename it")
    places = named.header(names, str(path)) or {}
    if missing := set(named.COLUMNS[:3]) - set(places):
        raise ValueError(f"{path}: no columns {listed(sorted(missing))}; it has {listed(names)}")
    texts = ", ".join(f"{_quoted(names[place])}::VARCHAR AS {column}" for column, place in places.items())
    table = f"(SELECT {texts}, {_ROW} AS row FROM read_parquet({file}, {_ROW} = true))"
    head = f"SELECT head, relation, tail FROM {table} WHERE row < {named.SAMPLE_ROWS}"
    first = build.connection.execute(head).fetchall()
    named.doubt_ids([[str(field).strip() for field in row] for row in first], path)
    weighted = "weight" in places
    broken = _broken(weighted)
    build.connection.execute(
        f"""INSERT INTO stage_triplets SELECT trim(head), trim(relation), trim(tail), {_weight(weighted)}, 0
            FROM {table} WHERE NOT ({broken})"""
    )
    counts = build.connection.execute(
        f"SELECT count(*), count(*) FILTER (WHERE {broken}), min(row) FILTER (WHERE {broken}) FROM {table}"
    ).fetchone()
    assert counts is not None
    build.records += counts[0]
    if counts[1]:
        reason = "blank head, relation or tail, or a weight that is no number"
        build.bad(f"{path}, row {counts[2]}", reason, counts[1])


def _without_placeholders(build: GraphBuilder) -> None:
    """Leave out triplets with what programs write for a missing id (once staged: that takes no time)."""
    missing = " OR ".join(placeholder(name) for name in named.COLUMNS[:3])
    (dropped,) = build.connection.execute(f"DELETE FROM stage_triplets WHERE {missing}").fetchone() or (0,)
    build.skip(PLACEHOLDER, dropped)


def _as_concepts(build: GraphBuilder) -> None:
    """Give the heads and tails staged ConceptNet's URIs; those that are such stay, those without words go."""
    ends = {
        end: f"CASE WHEN {end} LIKE '/c/%' THEN {end} ELSE {concept_sql(end)} END" for end in ("head", "tail")
    }
    assigned = ", ".join(f"{end} = {uri}" for end, uri in ends.items())
    build.connection.execute(f"UPDATE stage_triplets SET {assigned}")
    none = " OR ".join(map(wordless, ends))
    (dropped,) = build.connection.execute(f"DELETE FROM stage_triplets WHERE {none}").fetchone() or (0,)
    build.skip(WORDLESS, dropped)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _broken(weighted: bool) -> str:
    broken = [blank(name) for name in named.COLUMNS[:3]]
    broken += [f"({end} LIKE '/c/%' AND {wordless(end)})" for end in ("head", "tail")]
    return " OR ".join([*broken, f"{_weight(True)} IS NULL"] if weighted else broken)


def _weight(weighted: bool) -> str:
    """SQL: an empty cell is a fact of weight 1, as in a table without weights."""
    absent = "weight IS NULL OR trim(weight) = ''"
    return f"CASE WHEN {absent} THEN 1 ELSE {number('weight')} END" if weighted else "1"
