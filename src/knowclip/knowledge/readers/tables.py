"""Line tables (TSV and the like) of any size into the staging tables, by DuckDB."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from knowclip.knowledge.graph_build import GraphBuilder
from knowclip.knowledge.graph_store import literal

MAX_LINE_BYTES = 1 << 18
BUFFER_BYTES = 1 << 22
"""Of DuckDB's CSV reader, a few a thread; its default of 16 longest lines takes more than the import."""


def read_lines(
    path: Path,
    build: GraphBuilder,
    *,
    columns: Sequence[str],
    reason: str,
    triplet: tuple[str, str, str, str],
    expected: str,
    delimiter: str = "\t",
    quote: str = "",
    skip: int = 0,
) -> None:
    """Stage the triplets of a delimited text file, plain or gzipped.

    Args:
        path: The file, UTF-8.
        build: What to write to.
        columns: Names of its columns, in order.
        reason: SQL over the columns: why a record is left out, ``'malformed'`` among others, NULL to take it.
        triplet: SQL of head, relation, tail and weight.
        expected: The form of a record, in words, for messages.
        delimiter: Between columns.
        quote: Quoting character; empty where the format has none.
        skip: Header lines.

    Raises:
        ValueError: The file is truncated, or too many lines are malformed.
        FileNotFoundError: There is no such file.
    """
    import duckdb

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; a file of lines '{expected}' is wanted")
    build.report(f"reading {path.name}", 0.0)
    connection = build.connection
    described = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
    filled = ", ".join(map(literal, columns))
    scan = f"""read_csv({literal(path)}, auto_detect = false, header = false, delim = {literal(delimiter)},
        quote = {literal(quote)}, escape = {literal(quote)}, skip = {skip}, columns = {{{described}}},
        max_line_size = {MAX_LINE_BYTES}, buffer_size = {BUFFER_BYTES},
        store_rejects = true, strict_mode = true,
        force_not_null = [{filled}],
        compression = {literal("gzip" if path.suffix == ".gz" else "none")})"""
    try:  # a pass of its own: it is cheap, and nothing is staged of a file that is refused
        counts = connection.execute(f"SELECT {reason} AS reason, count(*) FROM {scan} GROUP BY 1").fetchall()
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        summary = str(error).splitlines()[0]
        raise ValueError(
            f"{path}: {summary}; the file is damaged or cut off (after line {_last_line(path)}): "
            "download or copy it again"
        ) from None
    rejected = connection.execute(
        "SELECT count(DISTINCT line), min(line), min_by(error_message, line) FROM reject_errors"
    ).fetchone()
    assert rejected is not None
    build.records += sum(count for _, count in counts) + rejected[0]
    if rejected[0]:
        build.bad(f"{path}, line {rejected[1]}", f"{rejected[2]} (wanted: {expected})", rejected[0])
    for why, count in sorted(counts, key=str):
        if why == "malformed":
            line = _first_line(build, path, f"FROM {scan} WHERE {reason} = 'malformed'", delimiter, quote)
            build.bad(f"{path}, line {line}", f"not of the form {expected}", count)
        elif why is not None:
            build.skip(why, count)
    head, relation, tail, weight = triplet
    kept = f"""SELECT {head} AS head, {relation} AS relation, {tail} AS tail, {weight} AS weight, 0 AS source
        FROM {scan} WHERE ({reason}) IS NULL"""
    if 2 * dict(counts).get(None, 0) < build.records:
        connection.execute(f"INSERT INTO stage_triplets {kept}")
    else:  # mostly kept: scanning the file again is as fast as a staged copy, and takes no memory
        connection.execute("DROP TABLE stage_triplets")
        connection.execute(f"CREATE VIEW stage_triplets AS {kept}")


def open_text(path: Path) -> IO[str]:
    """Open UTF-8 text, plain or gzipped; what is not UTF-8 becomes U+FFFD."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="")
    return path.open(encoding="utf-8", errors="replace", newline="")


def _first_line(build: GraphBuilder, path: Path, query: str, delimiter: str, quote: str) -> int | str:
    """Line number of the first record that ``query`` finds: DuckDB keeps none, so the file is read again."""
    build.connection.execute("SET preserve_insertion_order = true")
    found = build.connection.execute(f"{query} LIMIT 1").fetchone()
    build.connection.execute("SET preserve_insertion_order = false")
    wanted = [value or "" for value in found or ()]
    csv.field_size_limit(MAX_LINE_BYTES)
    style = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    with open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter, **style)
        return next((reader.line_num for row in reader if row == wanted), "unknown")


def _last_line(path: Path) -> int:
    """How many whole lines of a truncated file can be read."""
    line = 0
    with suppress(EOFError, OSError, zlib.error), open_text(path) as file:
        for line, _ in enumerate(file, start=1):  # noqa: B007 (the count outlives the error)
            pass
    return line
