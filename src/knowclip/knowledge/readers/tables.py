"""Line tables (TSV and the like) of any size into the staging tables, by DuckDB."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, cast

from knowclip.knowledge.graph.staging import GraphBuilder
from knowclip.knowledge.graph.store import literal, watched
from knowclip.knowledge.graph.tally import SELF_LOOP
from knowclip.storage.text_files import looks_like, refuse_no_text

HEAD_BYTES = 1 << 12
MAX_LINE_BYTES = 1 << 18
BUFFER_BYTES = 1 << 22
"""Of DuckDB's CSV reader, a few a thread; its default of 16 longest lines takes more than the import."""

GZIP = b"\x1f\x8b"
MALFORMED = "malformed"
PLACEHOLDERS = ("nan", "null", "<na>", "n/a", "#n/a", "\\n", "-1", "-1.0")
"""What programs write for a missing value, in lower case; and "None", which as "none" may be meant."""


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
        ValueError: The file is truncated or no UTF-8 text, or too many lines are malformed.
        FileNotFoundError: There is no such file.
    """
    check_text(path, f"lines '{expected}'")
    if mostly_left_out:  # else ``GraphBuilder.finish`` finds them, a row a line
        left_out = [*left_out, (SELF_LOOP, f"{triplet[0]} = {triplet[2]}")]
    scan = _scan(path, columns, delimiter, quote, skip)
    cases = " ".join(f"WHEN {condition} THEN {code}" for code, (_, condition) in enumerate(left_out))
    code = f"(CASE {cases} END)::UTINYINT"
    # NULL where it is left out: such rows are equal and are joined into few
    head, relation, tail, weight = (f"CASE WHEN code IS NULL THEN {sql} END" for sql in triplet)
    lines, grouping = "1::UTINYINT", ""
    if mostly_left_out:
        weight, lines, grouping = f"max({weight})", "count(*)", "GROUP BY ALL"
    staged = f"""CREATE OR REPLACE TABLE stage_triplets AS
        SELECT {head} AS head, {relation} AS relation, {tail} AS tail, ({weight})::FLOAT AS weight,
               0::UTINYINT AS source, code, {lines} AS lines
        FROM (SELECT *, {code} AS code FROM {scan}) {grouping}"""
    _execute(build, path, staged)
    counts = _count_staged(build)
    build.records += sum(count for _, count, _ in counts)
    build.joined += sum(count - rows for number, count, rows in counts if number is None)
    _count_rejected(build, path, expected)
    for number, count, _ in counts:
        reason = None if number is None else left_out[number][0]
        if reason == MALFORMED:
            line = _first_line(build, path, f"FROM {scan} WHERE {code} = {number}", delimiter, quote)
            build.bad(f"{path}, line {line}", f"not of the form {expected}", count)
        elif reason is not None:
            build.skip(reason, count)
    _keep_taken(build)


def _count_staged(build: GraphBuilder) -> list[tuple[int | None, int, int]]:
    """Number of the reason, or None where taken; lines and rows of it."""
    return build.connection.execute(
        "SELECT code, sum(lines)::BIGINT, count(*) FROM stage_triplets GROUP BY code ORDER BY code"
    ).fetchall()


def _keep_taken(build: GraphBuilder) -> None:
    """Leave the triplets alone in the staged table."""
    build.connection.execute("DELETE FROM stage_triplets WHERE code IS NOT NULL")
    for column in ("code", "lines"):
        build.connection.execute(f"ALTER TABLE stage_triplets DROP {column}")


def _execute(build: GraphBuilder, path: Path, staged: str) -> None:
    """Read the file by running ``staged``; what stops DuckDB half-way is told as a fault of the file."""
    import duckdb

    try:
        with watched(build.connection, build.report, f"reading {path.name}"):
            build.connection.execute(staged)
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        summary = str(error).splitlines()[0]
        if "No space left" in summary:
            raise  # of the folder that tables spill to: nothing is wrong with the file
        line, mixed = _walk(path)
        if mixed:
            raise ValueError(
                f"{path}, line {mixed}: ends otherwise than line 1; line ends of Windows and Unix are mixed: "
                "make them one, as with `dos2unix`"
            ) from None
        raise ValueError(
            f"{path}: {summary}; the file is damaged or cut off (after line {line}): download or copy it "
            "again"
        ) from None


_REJECTED = {
    "INVALID ENCODING": "not UTF-8",
    "MISSING COLUMNS": "too few columns",
    "TOO MANY COLUMNS": "too many columns",
    "LINE SIZE OVER MAXIMUM": f"longer than {MAX_LINE_BYTES:,} bytes",
}
"""DuckDB's kinds of lines that it cannot split into columns -> what is wrong."""


def _count_rejected(build: GraphBuilder, path: Path, expected: str) -> None:
    """Count the lines DuckDB could not split into columns, by what is wrong with them."""
    found = build.connection.execute(
        """SELECT kind, count(*), min(line), min_by(why, line) FROM (
               SELECT line, min(error_type::VARCHAR) AS kind, min(error_message) AS why
               FROM reject_errors GROUP BY line) GROUP BY kind ORDER BY kind"""
    ).fetchall()
    build.records += sum(count for _, count, _, _ in found)
    for kind, count, line, why in found:
        where = f"{path}, line {line}"
        if kind == "UNQUOTED VALUE":
            raise ValueError(
                f"{where}: a quote is opened and never closed, or closed before its field ends, so that what "
                "follows it cannot be told apart: close it there, or write a quote that is meant as one twice"
            )
        reason = _REJECTED.get(kind, why)
        build.bad(where, f"{reason} (wanted: {expected}){_advice(path, kind, line)}", count)


def _advice(path: Path, kind: str, line: int) -> str:
    """What to do about a line that is not UTF-8."""
    if kind != "INVALID ENCODING":
        return ""
    with open_bytes(path) as file:
        return f"; {looks_like(next(islice(file, line - 1, None), b''))}"


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
    # Only what begins outside of printable ASCII can be: comparing is many times faster than matching, and
    # DuckDB leaves the second half of an AND aside only where no function stands around it.
    doubtful = f"({words} < '!' OR {words} > '~' OR {words} IS NULL)"
    return f"({doubtful} AND coalesce(regexp_matches({words}, '^[\\s\\v\\pZ]*$'), true))"


def number(words: str) -> str:
    """SQL: ``words`` as a finite number, else NULL (``nan`` and ``inf`` would be taken for weights)."""
    cast = f"try_cast({words} AS FLOAT)"
    return f"CASE WHEN isfinite({cast}) THEN {cast} END"


def placeholder(words: str) -> str:
    """SQL: whether ``words``, SQL too, is what programs write where a value is missing."""
    trimmed = f"trim({words})"
    known = f"lower({trimmed}) IN ({', '.join(map(literal, PLACEHOLDERS))}) OR {trimmed} = 'None'"
    return f"(strlen({words}) < 8 AND ({known}))"  # most ids are longer: nothing to compare


def wordless(uri: str) -> str:
    """SQL: whether a URI such as ``/c/en/_`` holds no words."""
    return blank(f"replace(split_part({uri}, '/', 4), '_', ' ')")


def check_file(path: Path, wanted: str) -> None:
    """Refuse a folder (ValueError) and what is not there (FileNotFoundError)."""
    if path.is_dir():
        raise ValueError(f"{path}: a folder; a file of {wanted} is wanted")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; a file of {wanted} is wanted")


def check_text(path: Path, wanted: str) -> None:
    """Refuse what is no file of UTF-8 lines before it is read.

    Raises:
        ValueError: A folder, an empty file, UTF-16, an archive, or a ``.gz`` that is none.
        FileNotFoundError: There is no such file.
    """
    check_file(path, wanted)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(GZIP) != (path.suffix == ".gz"):
        told = "is gzipped: call it .gz" if head.startswith(GZIP) else "is not gzipped: leave out the .gz"
        raise ValueError(f"{path} {told}, or download it again")
    try:
        with open_bytes(path) as file:
            head = file.read(HEAD_BYTES)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: {error}; it is damaged or cut off: download or copy it again") from None
    if not head.strip():
        raise ValueError(f"{path} is empty; a file of {wanted} is wanted")
    refuse_no_text(head, path)


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file as it is, or unpacked where it is gzipped."""
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def open_text(path: Path) -> IO[str]:
    """Open UTF-8 text, plain or gzipped; what is not UTF-8 becomes U+FFFD."""
    return TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors="replace", newline="")


def _first_line(build: GraphBuilder, path: Path, query: str, delimiter: str, quote: str) -> int | str:
    """Line number of the first record that ``query`` finds: DuckDB keeps none, so the file is read again."""
    # else any thread's first record may come
    build.connection.execute("SET preserve_insertion_order = true")
    found = build.connection.execute(f"{query} LIMIT 1").fetchone()
    build.connection.execute("SET preserve_insertion_order = false")
    wanted = [value or "" for value in found or ()]
    csv.field_size_limit(MAX_LINE_BYTES)
    style = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    with open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter, **style)
        return next((reader.line_num for row in reader if row == wanted), "unknown")


def _walk(path: Path) -> tuple[int, int | None]:
    """How many whole lines can be read, and the first that ends otherwise than the first line does."""
    number, mixed = 0, None
    with suppress(EOFError, OSError, zlib.error), open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            if number == 1:
                windows = line.endswith(b"\r\n")
            elif mixed is None and line.endswith(b"\n") and line.endswith(b"\r\n") != windows:
                mixed = number
    return number, mixed
