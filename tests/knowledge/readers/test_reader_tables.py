"""Lines of tables: what is kept of them, which line is named, the whole sentence of what is wrong."""

from __future__ import annotations

import gzip
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from graph_contents import Calls, entities, facts, readings, relations
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.graph.tally import SELF_LOOP, Tally
from knowclip.knowledge.readers import tables
from knowclip.knowledge.readers.registry import import_graph

LINES = "lines of head, relation, tail[, weight]"
FORM = "not of the form head, relation, tail[, weight]"
WANTED = "(wanted: head, relation, tail[, weight])"
QUOTE = (
    "a quote is opened and never closed, or closed before its field ends, so that what follows it cannot be "
    "told apart: close it there, or write a quote that is meant as one twice"
)
AGAIN = "download or copy it again"
ROW = "a\tr\tb\n"


def read(tmp_path: Path, name: str, content: bytes | str, **options: Any) -> Any:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return import_graph("triples", tmp_path / name, tmp_path / "g", **options)


def refused(tmp_path: Path, name: str, content: bytes | str, reader: str = "triples") -> str:
    """The error, without the name of the file."""
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as error:
        import_graph(reader, file, tmp_path / "g")
    assert str(error.value).startswith(str(file)) and not (tmp_path / "g").exists()
    return str(error.value).removeprefix(str(file))


def packed(rows: int) -> bytes:
    """Lines that do not pack well, gzipped."""
    numbers = random.Random(0)
    return gzip.compress("".join(f"h{numbers.random()}\tr\tt\n" for _ in range(rows)).encode(), mtime=0)


@pytest.mark.parametrize("name", ["t.tsv", "t.txt", "t.TSV", "t.tsv.gz", "t.csv", "t.CSV.gz"])
def test_what_is_kept_and_how_much_was_read(tmp_path: Path, name: str) -> None:
    """Equal ones are one, of the largest weight; what was left out before the reader counts too."""
    rows = [("dog", "is", "pet", "1"), ("dog", "is", "pet", "2.5"), (" cat ", "is", "pet ", ""),
            ("dog", "is", " dog", "3"), ("NULL", "is", "pet", "1"), ("none", "is", "-1", "1")]  # fmt: skip
    text = "".join(("," if "csv" in name.lower() else "\t").join(row) + "\n" for row in rows)
    content = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    calls: Calls = []
    graph = read(
        tmp_path, name, content, left_out={"before": 4}, report=lambda *call: calls.append(call)
    )  # fmt: skip
    assert facts(graph) == {("dog", "is", "pet"): 2.5, ("cat", "is", "pet"): 1.0}
    assert entities(graph) == {name: name for name in ("dog", "cat", "pet")}
    assert relations(graph) == {"is": "is"}
    missing = "a placeholder (nan, NULL, -1, ...) for a missing id"
    skipped = {"before": 4, SELF_LOOP: 1, missing: 2}
    assert graph.tally == Tally(read=10, kept=2, merged=1, skipped=skipped)
    assert graph.sources == (Source("triples", "not stated", path=str(tmp_path / name), skipped=skipped),)
    assert readings(calls)[0] == (f"reading {name}", 0.0)


@pytest.mark.parametrize(
    ("name", "content", "line", "reason"),
    [
        ("t.tsv", b"a\tr\tb\na\t\tb\na\tr\t \n", 2, FORM),
        ("t.csv", b'a,r,b\n"c, d",r,"e\nf"\na,r,c\n"a, b"," ",c\n', 5, FORM),
        ("t.tsv", b'a\tr\tb\n"c\t \tb\nd\tr\te"\n', 2, FORM),
        ("t.csv", b'head,relation,tail\na,r,b\n,r,b\n', 3, FORM),
        ("t.tsv", b"\xef\xbb\xbfa\t\tb\nc\tr\td\n", 1, FORM),  # behind a byte-order mark
        ("t.csv", b'a,r,b\r\n"c\r\nd"," ",e\r\n', 3, FORM),
        ("t.tsv", b"a\tr\tb\na\tr\n", 2, f"too few columns {WANTED}"),
        ("t.tsv", b"a\tr\tb\na\tr\tb\t1\n", 2, f"too many columns {WANTED}"),
        ("t.csv", b"a,r,b\n" * 1100 + b"a,r," + b"x" * 270_000, 1101, f"longer than 262,144 bytes {WANTED}"),
        ("t.tsv", b"a\tr\tb\nc\tr\t\xe9\n", 2,
         f"not UTF-8 {WANTED}; it may be Latin-1: convert it, as with `iconv -f LATIN1 -t UTF-8`"),
        ("t.tsv", b"a\tr\tb\nc\tr\t\x93\n", 2,
         f"not UTF-8 {WANTED}; it may be cp1252 (Windows): convert it, as with `iconv -f WINDOWS-1252 -t "
         "UTF-8`"),
    ],
    ids=range(11),
)  # fmt: skip
def test_the_first_malformed_line_is_named(
    tmp_path: Path, name: str, content: bytes, line: int, reason: str
) -> None:
    tally = read(tmp_path, name, content).tally
    assert tally.first == {f"malformed: {reason}": f"{tmp_path / name}, line {line}"}
    assert tally.read == tally.kept + tally.merged + tally.skipped[f"malformed: {reason}"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.tsv", "", f" is empty; a file of {LINES} is wanted"),
        ("t.tsv", " \n\t\n", f" is empty; a file of {LINES} is wanted"),
        ("t.csv", ",,\n", f" has no row with anything in it; a file of {LINES} is wanted"),
        ("t.xlsx", "a", ": .tsv, .txt, .csv (or .gz of them) or .parquet expected"),
        ("t.tsv", gzip.compress(ROW.encode()), " is gzipped: call it .gz, or download it again"),
        ("t.tsv.gz", ROW, " is not gzipped: leave out the .gz, or download it again"),
        ("t.tsv", "<html>", " is an HTML or XML page: was a download answered with a web page?"),
        ("t.tsv", "a\tr\t" + "x" * 270_000,
         ": field larger than field limit (262144); is it a table of lines?"),
        ("t.tsv", "a\tr\tb\r\n" * 2 + ROW * 2,
         ", line 3: ends otherwise than line 1; line ends of Windows and Unix are mixed: make them one, as "
         "with `dos2unix`"),
        ("t.tsv", ROW * 2 + "a\tr\tb\r\n" * 2 + "a\tr\tb",
         ", line 3: ends otherwise than line 1; line ends of Windows and Unix are mixed: make them one, as "
         "with `dos2unix`"),
        ("t.tsv", '"a"\t"r"\t"b"\n',
         ", line 1: every field is in quotes, of which a table with tabs knows nothing: write it without "
         "them, or with commas as .csv"),
        ("t.csv", "head,x,tail\n",
         ", line 1: 'head', 'x', 'tail' looks like a header and names no column 'relation': call the columns "
         "'head', 'relation', 'tail' and maybe 'weight'"),
        ("t.tsv", "a,b,c\n",
         ", line 1: 1 columns; it has 3 by commas; head, relation, tail and maybe weight are expected, or a "
         "header line that names them among others: separate them by tabs in a .tsv or by commas in a .csv"),
        ("t.csv", 'a,r,b\na,r,"c\n', f", line 2: {QUOTE}"),
        ("t.csv", 'a,r,b\na,"r"x,c\n', f", line 2: {QUOTE}"),
        ("t.tsv", ROW + "a\t\tb\n" * 11,
         f", line 2: {FORM}; with it 11 of 12 records are malformed, more than 10 and the allowed share of "
         "0.01: is this the right file and format? Raise the share (--max-bad) if it is"),
    ],
    ids=range(16),
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: Path, name: str, content: bytes | str, told: str
) -> None:
    assert refused(tmp_path, name, content) == told


LETTERS = "which a text encoder reads letter by letter: put their names in their place"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.tsv", " Q1 \tP1\tQ2\n",
         [f"the entities are ids ('Q1', 'Q2'), {LETTERS}", f"the relations are ids ('P1'), {LETTERS}"]),
        ("t.csv", '"tail",relation,head\n" Q1 ","is, was",Q2\ntoo few\n',
         [f"the entities are ids ('Q1', 'Q2'), {LETTERS}"]),
        ("t.tsv", "0\tis\ta\n1\tis\tb\n",
         ["column 1 counts the rows (0, 1, ...) and is read as the head, as there is no header; a first line "
          "that names the columns settles it"]),
    ],
)  # fmt: skip
def test_what_is_doubted_is_told(tmp_path: Path, name: str, content: str, told: list[str]) -> None:
    (tmp_path / name).write_text(content)
    with pytest.warns(UserWarning) as found:
        import_graph("triples", tmp_path / name, tmp_path / "g")
    assert [str(warning.message) for warning in found] == [f"{tmp_path / name}: {each}" for each in told]


ENDS = ": Compressed file ended before the end-of-stream marker was reached; it is damaged or cut off: "
BLOCK = ": Error -3 while decompressing data: invalid block type; it is damaged or cut off: "
MEMBER = gzip.compress(b"x" * 9)[:10] + b"\xff" * 20
"""A beginning of gzip, then nothing that can be unpacked."""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (packed(9)[:20], ENDS + AGAIN),
        (MEMBER, BLOCK + AGAIN),
        (packed(9)[:-8] + b"1234" + packed(9)[-4:], f"it is damaged or cut off: {AGAIN}"),
        (packed(500)[:-9], ENDS + AGAIN),
        (packed(500) + MEMBER, BLOCK + AGAIN),
        (packed(500)[:-8] + b"1234" + packed(500)[-4:], f"it is damaged or cut off: {AGAIN}"),
        (packed(2000)[:-9], f"; the file is damaged or cut off (after line 2000): {AGAIN}"),
        (packed(2000) + MEMBER, f"; the file is damaged or cut off (after line 2000): {AGAIN}"),
        (packed(2000) + b"more", f"; the file is damaged or cut off (after line 2000): {AGAIN}"),
    ],
    ids=range(9),
)  # fmt: skip
def test_what_cannot_be_unpacked_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    error = refused(tmp_path, "t.tsv.gz", content)
    assert error.startswith(told) if told.startswith(": ") else error.endswith(told)


def test_a_file_that_breaks_within_its_first_line_is_named(tmp_path: Path) -> None:
    numbers = random.Random(0)
    line = "".join(numbers.choices("abcdefghijkl", k=50_000)).encode()
    error = refused(tmp_path, "t.txt.gz", gzip.compress(line, mtime=0)[:15_000], "cn100k")
    assert error.endswith(f"; the file is damaged or cut off (after line 0): {AGAIN}")


@pytest.mark.parametrize(
    ("reader", "name", "wanted"),
    [
        ("triples", "t.csv", LINES),
        ("triples", "t.parquet", LINES),
        ("cn100k", "t.txt", "lines 'Relation, head, tail, weight'"),
        (
            "conceptnet",
            "t.csv.gz",
            "lines '/a/[..] /r/Relation /c/lang/head /c/lang/tail {json with a weight}'",
        ),
    ],
)
def test_a_folder_and_nothing_are_named(tmp_path: Path, reader: str, name: str, wanted: str) -> None:
    file = tmp_path / name
    with pytest.raises(FileNotFoundError) as error:
        import_graph(reader, file, tmp_path / "g")
    assert str(error.value) == f"{file}: no such file; a file of {wanted} is wanted"
    file.mkdir()
    with pytest.raises(ValueError) as told:
        import_graph(reader, file, tmp_path / "g")
    assert str(told.value) == f"{file}: a folder; a file of {wanted} is wanted"


def test_a_line_that_is_not_found_again_is_unknown(tmp_path: Path) -> None:
    """As of a file that is changed while it is read."""
    (tmp_path / "t.tsv").write_text(ROW)
    build: Any = SimpleNamespace(connection=duckdb.connect())
    found = [
        tables._first_line(build, tmp_path / "t.tsv", f"SELECT 'a', 'r', '{tail}'", "\t", "") for tail in "bc"
    ]
    assert found == [1, "unknown"]


def test_what_duckdb_may_come_to_reject_is_told_in_its_words(tmp_path: Path) -> None:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE reject_errors AS SELECT 7 AS line, 'NEW' AS error_type, 'it is so' AS error_message"
    )
    told: list[tuple[str, str, int]] = []
    build: Any = SimpleNamespace(connection=connection, records=2, bad=lambda *bad: told.append(bad))
    tables._count_rejected(build, tmp_path / "t.tsv", "a form")
    assert told == [(f"{tmp_path / 't.tsv'}, line 7", "it is so (wanted: a form)", 1)] and build.records == 3


def test_it_is_the_reading_connection_that_is_watched(tmp_path: Path, monkeypatch) -> None:
    """How far it has come is asked of it."""
    watched: list[object] = []

    @contextmanager
    def watching(connection: object, *_: object) -> Iterator[None]:
        watched.append(connection)
        yield

    monkeypatch.setattr(tables, "watched", watching)
    build: Any = SimpleNamespace(connection=duckdb.connect(), report=None)
    tables._execute(build, tmp_path / "t.tsv", "CREATE TABLE t AS SELECT 1")
    assert watched == [build.connection]


def test_a_full_disk_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def full(*_: object) -> Iterator[None]:
        raise duckdb.IOException("IO Error: No space left on device")
        yield

    monkeypatch.setattr(tables, "watched", full)
    with pytest.raises(OSError) as error:
        read(tmp_path, "t.tsv", ROW)
    assert str(error.value) == "IO Error: No space left on device"
