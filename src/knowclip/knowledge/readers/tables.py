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
from knowclip.knowledge.graph_store import literal, watched

MAX_LINE_BYTES = 1 << 18
BUFFER_BYTES = 1 << 22
"""Of DuckDB's CSV reader, a few a thread; its default of 16 longest lines takes more than the import."""


MALFORMED = "malformed"


def read_lines(
    path: Path,
    build: GraphBuilder,
    *,
    columns: Sequence[str],
    left_out: Sequence[tuple[str, str]],
    triplet: tuple[str, str, str, str],
    expected: str,
    mostly_left_out: bool = False,
    delimiter: str = "\t",
    quote: str = "",
    skip: int = 0,
) -> None:
    """Stage the triplets of a delimited text file, plain or gzipped, in one pass.

    Args:
        path: The file, UTF-8.
        build: What to write to; this must be its only source of triplets.
        columns: Names of the file's columns, in order.
        left_out: (reason, SQL condition) of records not taken, the first that holds; ``MALFORMED`` is one.
        triplet: SQL of head, relation, tail and weight.
        expected: The form of a record, in words, for messages.
        mostly_left_out: Join equal records while reading, so that those left out take no memory; costs time
            where most are taken.
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
    scan = _scan(path, columns, delimiter, quote, skip)
    cases = " ".join(f"WHEN {condition} THEN {code}" for code, (_, condition) in enumerate(left_out))
    code = f"(CASE {cases} END)::UTINYINT"
    head, relation, tail, weight = (f"CASE WHEN code IS NULL THEN {sql} END" for sql in triplet)
    lines, grouping = "1::UTINYINT", ""
    if mostly_left_out:
        weight, lines, grouping = f"max({weight})", "count(*)", "GROUP BY ALL"
    staged = f"""CREATE OR REPLACE TABLE stage_triplets AS
        SELECT {head} AS head, {relation} AS relation, {tail} AS tail, ({weight})::FLOAT AS weight,
               0::UTINYINT AS source, code, {lines} AS lines
        FROM (SELECT *, {code} AS code FROM {scan}) {grouping}"""
    try:
        with watched(build.connection, build.report, f"reading {path.name}"):
            build.connection.execute(staged)
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        summary = str(error).splitlines()[0]
        if "No space left" in summary:
            raise  # of the folder that tables spill to: nothing is wrong with the file
        raise ValueError(
            f"{path}: {summary}; the file is damaged or cut off (after line {_last_line(path)}): "
            "download or copy it again"
        ) from None
    counts = build.connection.execute(
        "SELECT code, sum(lines)::BIGINT FROM stage_triplets GROUP BY code ORDER BY code"
    ).fetchall()
    build.records += sum(count for _, count in counts)
    _count_rejected(build, path, expected)
    for number, count in counts:
        reason = None if number is None else left_out[number][0]
        if reason == MALFORMED:
            line = _first_line(build, path, f"FROM {scan} WHERE {code} = {number}", delimiter, quote)
            build.bad(f"{path}, line {line}", f"not of the form {expected}", count)
        elif reason is not None:
            build.skip(reason, count)
    build.connection.execute("DELETE FROM stage_triplets WHERE code IS NOT NULL")
    for column in ("code", "lines"):
        build.connection.execute(f"ALTER TABLE stage_triplets DROP {column}")


def _count_rejected(build: GraphBuilder, path: Path, expected: str) -> None:
    """Count the lines DuckDB could not split into columns."""
    count, line, why = build.connection.execute(
        "SELECT count(DISTINCT line), min(line), min_by(error_message, line) FROM reject_errors"
    ).fetchone() or (0, None, None)
    build.records += count
    if count:
        build.bad(f"{path}, line {line}", f"{why} (wanted: {expected})", count)


def _scan(path: Path, columns: Sequence[str], delimiter: str, quote: str, skip: int) -> str:
    """SQL that reads the file; lines of another number of columns go to the table ``reject_errors``."""
    described = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
    filled = ", ".join(map(literal, columns))
    return f"""read_csv({literal(path)}, auto_detect = false, header = false, delim = {literal(delimiter)},
        quote = {literal(quote)}, escape = {literal(quote)}, skip = {skip}, columns = {{{described}}},
        max_line_size = {MAX_LINE_BYTES}, buffer_size = {BUFFER_BYTES},
        store_rejects = true, strict_mode = true, force_not_null = [{filled}],
        compression = {literal("gzip" if path.suffix == ".gz" else "none")})"""


def blank(words: str) -> str:
    """SQL: whether ``words``, SQL too, is NULL, empty or white space."""
    # Only what begins outside of printable ASCII can be: comparing is many times faster than matching.
    return f"coalesce(({words} < '!' OR {words} > '~') AND regexp_matches({words}, '^[\\s\\v\\pZ]*$'), true)"


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
