"""Triples of your own: TSV, CSV (plain or gzipped) or Parquet with head, relation, tail and maybe weight."""

from __future__ import annotations

import csv
from pathlib import Path

from knowclip.knowledge.graph_build import GraphBuilder
from knowclip.knowledge.graph_store import Source, literal
from knowclip.knowledge.readers.tables import MALFORMED, blank, open_text, read_lines

COLUMNS = ("head", "relation", "tail", "weight")


def read_triples(
    path: Path, build: GraphBuilder, *, name: str = "triples", licence: str = "not stated"
) -> Source:
    """Read a table of triples; ids serve as texts (``/c/en/..`` as its words), without spaces around them.

    A first line that names the columns ``head``, ``relation``, ``tail`` (and ``weight``), in any order and
    maybe with others, is a header; without one the first three (four) columns are these.

    Args:
        path: ``.tsv``, ``.txt`` (tabs, no quoting), ``.csv`` (commas, double quotes), either with ``.gz``, or
            ``.parquet``.
        build: What to write to.
        name: Name of the source.
        licence: Its licence, kept with the graph.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if suffix == ".parquet":
        _read_parquet(path, build)
    elif suffix in (".tsv", ".txt", ".csv"):
        _read_text(path, build, "," if suffix == ".csv" else "\t", '"' if suffix == ".csv" else "")
    else:
        raise ValueError(f"{path}: .tsv, .txt, .csv (or .gz of them) or .parquet expected")
    return Source(name, licence)


def _read_text(path: Path, build: GraphBuilder, delimiter: str, quote: str) -> None:
    style = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    try:
        with open_text(path) as file:
            first = next(csv.reader(file, delimiter=delimiter, **style), [])
    except (EOFError, OSError) as error:
        raise ValueError(f"{path}: {error}; download or copy it again") from None
    names = [name.strip().lower().removeprefix("\ufeff") for name in first]
    header = set(COLUMNS[:3]) <= set(names)
    if not header and len(first) not in (3, 4):
        raise ValueError(
            f"{path}, line 1: {len(first)} columns; head, relation, tail and maybe weight are expected, or a "
            "header line that names them among others"
        )
    columns = list(COLUMNS[: len(first)])
    if header:
        columns = [name if name in COLUMNS else f"column_{index}" for index, name in enumerate(names)]
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
        skip=int(header),
    )


def _read_parquet(path: Path, build: GraphBuilder) -> None:
    import duckdb

    build.report(f"reading {path.name}", 0.0)
    scan = f"read_parquet({literal(path)})"
    try:
        columns = [row[0] for row in build.connection.execute(f"DESCRIBE FROM {scan}").fetchall()]
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0]}; it is damaged or cut off") from None
    if missing := set(COLUMNS[:3]) - set(columns):
        raise ValueError(f"{path}: no columns {sorted(missing)}; it has {columns}")
    weighted = "weight" in columns
    texts = ", ".join(f"{name}::VARCHAR AS {name}" for name in COLUMNS[: 3 + weighted])
    broken = _broken(weighted)
    build.connection.execute(
        f"""INSERT INTO stage_triplets SELECT trim(head), trim(relation), trim(tail), {_weight(weighted)}, 0
            FROM (SELECT {texts} FROM {scan}) WHERE NOT ({broken})"""
    )
    row = build.connection.execute(
        f"""SELECT count(*), count(*) FILTER (WHERE {broken}), min(row) FILTER (WHERE {broken})
            FROM (SELECT {texts}, file_row_number AS row FROM {scan})"""
    ).fetchone()
    assert row is not None
    build.records += row[0]
    if row[1]:
        build.bad(
            f"{path}, row {row[2]}", "blank head, relation or tail, or a weight that is no number", row[1]
        )


def _broken(weighted: bool) -> str:
    broken = [blank(name) for name in COLUMNS[:3]]
    return " OR ".join([*broken, f"{_weight(True)} IS NULL"] if weighted else broken)


def _weight(weighted: bool) -> str:
    return "try_cast(weight AS FLOAT)" if weighted else "1"
