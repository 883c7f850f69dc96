"""JSON in pieces: which file is read, how far it is, and the whole sentence of what is wrong with one."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from graph_contents import Calls
from knowclip.knowledge.readers import json_stream
from knowclip.knowledge.readers.json_stream import find_file, iterate_array, iterate_object

CUT = " (the file ends there: it is cut off)"


def said(file: Path, *, read: Any = iterate_array, **options: Any) -> str:
    """The error of reading a file, without its name."""
    with pytest.raises(ValueError) as error:
        list(read(file, **options))
    assert str(error.value).startswith(str(file))
    return str(error.value).removeprefix(str(file))


def zipped(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_the_first_name_and_the_plainest_form_are_taken(tmp_path: Path) -> None:
    assert find_file(tmp_path, "nodes.v2", "nodes") is None
    (tmp_path / "nodes.v2.json").mkdir()  # no file
    for name in ("nodes.json.zip", "nodes.json.gz", "nodes.json", "nodes.v2.json.zip", "nodes.v2.json.gz"):
        (tmp_path / name).touch()
        assert find_file(tmp_path, "nodes.v2", "nodes") == tmp_path / name


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json", b'\xef\xbb\xbf [\r\n{"a": "\xc3\xa9"},\t2 ] \n'),
        ("x.json.gz", gzip.compress(b'[{"a": "\xc3\xa9"}, 2]')),
        ("x.json.zip", zipped(**{"a/": "", "a/x.json": '[{"a": "\xe9"}, 2]', "__MACOSX/x.json": "no"})),
    ],
)  # fmt: skip
def test_a_file_may_be_packed(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert list(iterate_array(tmp_path / name)) == [{"a": "\xe9"}, 2]


def test_pairs_of_an_object_and_nothing_of_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": [1], "b": null}')
    assert list(iterate_object(tmp_path / "x.json")) == [("a", [1]), ("b", None)]
    (tmp_path / "x.json").write_text(" {} ")
    assert list(iterate_object(tmp_path / "x.json")) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", f"at its beginning: '[' expected, got ''{CUT}"),
        ("{}", "at its beginning: '[' expected, got '{'"),
        ("[1 2]", "in element $[1]: ',' expected, got '2'"),
        ("[1", f"in element $[1]: ',' expected, got ''{CUT}"),
        ("[1,", f"in element $[1]: Expecting value{CUT}"),
        ("[1, -", f"in element $[1]: Expecting value{CUT}"),
        ("[1, tru", f"in element $[1]: Expecting value{CUT}"),
        ("[[1.", f"in element $[0]: Expecting ',' delimiter{CUT}"),
        ("[1,]", "in element $[1]: Expecting value"),
        ("[1, x]  ", "in element $[1]: Expecting value"),
        ('[1, "', f"in element $[1]: Unterminated string starting at{CUT}"),
        ('[1, "one, 2]', f"in element $[1]: Unterminated string starting at{CUT}"),
        ('[{"a" 1}]', "in element $[0]: Expecting ':' delimiter"),
    ],
)
def test_what_is_wrong_with_an_array(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    assert said(file) == f": broken JSON {told}; download or copy the file again"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "at its beginning: '{' expected, got '['"),
        ('{"a": 1, 2: 3}', "in element $[1]: a key in quotes expected, got '2'"),
        ('{"a": 1 "b": 2}', "in element $[1]: ',' expected, got '\"'"),
        ('{"a" 1}', "in $.a: ':' expected, got '1'"),
        ('{"a": 1, "b": x }', "in $.b: Expecting value"),
        ('{"a": 1, "b', f"in element $[1]: Unterminated string starting at{CUT}"),
    ],
)
def test_what_is_wrong_with_an_object(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    assert said(file, read=iterate_object) == f": broken JSON {told}; download or copy the file again"


def test_a_second_value_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("[1] [2]")
    assert said(file) == ": '[' behind the closing ']': a file holds one JSON value"
    file.write_text('{"a": 1}}')
    assert said(file, read=iterate_object) == ": '}' behind the closing '}': a file holds one JSON value"


ADVICE = "convert it, as with `iconv -f {} -t UTF-8`"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'["caf\xe9"]', f"invalid continuation byte); it may be Latin-1: {ADVICE.format('LATIN1')}"),
        (
            b'["\xe9t\xe9", "\x93"]',
            f"invalid continuation byte); it may be Latin-1: {ADVICE.format('LATIN1')}",
        ),
        (b'["\x93"]', f"invalid start byte); it may be cp1252 (Windows): {ADVICE.format('WINDOWS-1252')}"),
    ],
)
def test_an_encoding_is_guessed_by_the_bytes_that_are_no_utf8(
    tmp_path: Path, content: bytes, told: str
) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(content)
    assert said(file) == f" is not UTF-8 text ({told}"


MANY = ("[" + ", ".join(map(str, range(20_000))) + "]").encode()
PACKED = gzip.compress(MANY, mtime=0)
ARCHIVE = zipped(**{"x.json": MANY.decode()})


def changed(content: bytes, at: int, by: bytes) -> bytes:
    at %= len(content)
    return content[:at] + by + content[at + len(by) :]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.json.gz", b"[1, 2]", ": Not a gzipped file (b'[1')"),
        ("x.json.gz", PACKED[:12], ": Compressed file ended before the end-of-stream marker was reached"),
        ("x.json.gz", changed(PACKED, 10, b"\xff" * 9), ": Error -3 while decompressing data: invalid block"),
        ("x.json.zip", b"[1, 2]", ": File is not a zip file"),
        (
            "x.json.gz",
            PACKED[:-9],
            ": broken JSON Compressed file ended before the end-of-stream marker was reached",
        ),
        ("x.json.gz", changed(PACKED, -8, b"1234"), ": broken JSON CRC check failed 0x34333231 != "),
        ("x.json.gz", changed(PACKED, 30_000, b"\0" * 300), ": broken JSON Error -3 while decompressing"),
        ("x.json.zip", changed(ARCHIVE, 90_000, b"1234"), ": broken JSON Bad CRC-32 for file 'x.json'"),
    ],
    ids=range(8),
)  # fmt: skip
def test_what_cannot_be_unpacked_is_named(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    error = said(file)
    assert error.startswith(told) and error.endswith("; download or copy the file again")


@pytest.mark.parametrize("files", [{}, {"a.json": "[]", "b.json": "[]"}])
def test_an_archive_of_none_or_several_files_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    file = tmp_path / "x.json.zip"
    file.write_bytes(zipped(**files, **{"folder/": "", ".DS_Store": ""}))
    held = list(files) or "no file"
    assert said(file) == f" holds {held}; one JSON file is expected in it"


def test_what_is_no_text_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text("<html>")
    assert said(file) == " is an HTML or XML page: was a download answered with a web page?"


def test_an_element_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its beginning alone is longer than any element: the rest of the file is not read."""
    file = tmp_path / "x.json"
    monkeypatch.setattr(json_stream, "CHUNK_CHARACTERS", 16)  # of which 15 are behind the bracket
    file.write_text('["' + "x" * 18 + '", 1]')
    monkeypatch.setattr(json_stream, "MAX_ELEMENT_CHARACTERS", 15)
    assert list(iterate_array(file)) == ["x" * 18, 1]
    monkeypatch.setattr(json_stream, "MAX_ELEMENT_CHARACTERS", 14)
    told = ": broken JSON in element $[0]: Unterminated string starting at; download or copy the file again"
    assert said(file) == told


def test_the_share_that_is_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "CHUNK_CHARACTERS", 1 << 12)
    calls: Calls = []
    file = tmp_path / "x.json"
    file.write_bytes(MANY)
    assert list(iterate_array(file, report=lambda *call: calls.append(call))) == list(range(20_000))
    shares = [share for stage, share in calls if stage == "reading x.json"]
    assert len(shares) == len(calls) > 20
    assert shares == sorted(shares) and 0 < shares[0] < 0.5 and shares[-1] == 1.0
    file.write_text("")
    assert said(file, report=lambda *call: calls.append(call)).endswith("; download or copy the file again")
