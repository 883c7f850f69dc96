"""Files as people have them: what is junk beside data, which encoding a text is in."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, TextIO

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

_JUNK = frozenset(
    {"__macosx", "@eadir", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "lost+found"}
)
_HEAD = 4096
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_POINTER = b"version https://git-lfs.github.com/spec/"
_MARKUP = (b"<!doctype", b"<html", b"<?xml")
_MARKUP_HEAD = 16
LONGEST_FIELD = 1 << 17
"""Characters of a field of a published table, at most: the csv module's own limit."""
_BINARY = 1 / 8
"""A larger share of NUL bytes than this is no text of one byte a letter."""


def is_junk(name: str | PurePath) -> bool:
    """Whether a file is the system's, not the user's: hidden, in a hidden folder, or a thumbnail index.

    ``._0001.jpg`` (macOS' second half of a file), ``.DS_Store``, ``Thumbs.db``, ``__MACOSX/0001.jpg`` and
    ``.ipynb_checkpoints/0001.jpg`` are junk; ``./0001.jpg`` and ``../0001.jpg`` are not.

    Args:
        name: relative to the folder or archive that is read: a data set may itself lie in a hidden folder.
    """
    parts = PurePath(name).parts
    return any(part.lower() in _JUNK or (part.startswith(".") and part not in (".", "..")) for part in parts)


def open_text(path: Path) -> TextIO:
    """Open a text to be read line by line; bytes that are not UTF-8 stay as ``is_utf8`` recognises them.

    Raises:
        ValueError: it is UTF-16 or UTF-32, no text at all, or stands for a text that is not there.
    """
    with open(path, "rb") as file:
        refuse_no_text(file.read(_HEAD), path)
    return open(path, encoding="utf-8-sig", errors="surrogateescape")


def is_utf8(text: str) -> bool:
    """Whether a text of ``open_text`` was UTF-8, and can be written again (JSON may hold lone surrogates)."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def decode(content: bytes, where: str | Path) -> str:
    """Decode UTF-8, without a byte-order mark.

    Raises:
        ValueError: it is not UTF-8; names ``where``, the line, and the encoding that it is likely in.
    """
    refuse_no_text(content[:_HEAD], where)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (3 if content.startswith(codecs.BOM_UTF8) else 0)
        number = content.count(b"\n", 0, start)
        line = content.split(b"\n")[number]
        raise ValueError(
            f"{where} is not UTF-8 text: byte {start} (line {number + 1}) cannot be decoded; "
            f"{looks_like(line)}"
        ) from error


def looks_like(line: bytes) -> str:
    """Which encoding a line that is not UTF-8 is likely in, and what to do about it."""
    if name := _wide_name(line):
        return f"it is {name}: convert it, as with `iconv -f {name} -t UTF-8`"
    windows = any(byte in line for byte in range(0x80, 0xA0))
    name, told = ("WINDOWS-1252", "cp1252 (Windows)") if windows else ("LATIN1", "Latin-1")
    return f"it may be {told}: convert it, as with `iconv -f {name} -t UTF-8`"


def refuse_no_text(head: bytes, where: str | Path) -> None:
    """Refuse by its first bytes what is no text to be read.

    That is UTF-16, UTF-32 and binary files, with or without a byte-order mark; and what stands in the place
    of a file that was not fetched: Git LFS's pointers and web pages.
    """
    if head.startswith(_POINTER):
        raise ValueError(f"{where} is a pointer of Git LFS, not the file: fetch it with `git lfs pull`")
    if head.removeprefix(codecs.BOM_UTF8).lstrip()[:_MARKUP_HEAD].lower().startswith(_MARKUP):
        raise ValueError(f"{where} is an HTML or XML page: was a download answered with a web page?")
    name = _wide_name(head)
    if name is None:
        return
    if not name:
        raise ValueError(f"{where} is not text: its first bytes are {head[:8]!r}")
    raise ValueError(f"{where} is {name} text; UTF-8 is read: convert it, as with `iconv -f {name} -t UTF-8`")


def _wide_name(head: bytes) -> str | None:
    """UTF-16 or UTF-32, "" of what is no text, None of what may be read."""
    name = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if name is None and b"\0" in head and not _is_narrow(head):
        name = next((name for name, codec in _WIDE if _reads_as(head, codec)), "")
    return name


_WIDE = (("UTF-32", "utf-32-le"), ("UTF-32", "utf-32-be"), ("UTF-16", "utf-16-le"), ("UTF-16", "utf-16-be"))


def _is_narrow(head: bytes) -> bool:
    """Whether it is UTF-8 with a NUL here and there, the last letter being cut in two or not."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return head.count(0) < _BINARY * len(head)


def _reads_as(head: bytes, codec: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(codec)().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and all(letter.isprintable() or letter in "\r\n\t" for letter in text)


def read_text(path: Path) -> str:
    """Read a file of UTF-8 text, without a byte-order mark (see ``decode``)."""
    return decode(path.read_bytes(), path)


@contextmanager
def whole_table(path: Path) -> Iterator[None]:
    """Turn what the csv module raises while ``path`` is read into an error that names it.

    Raises:
        ValueError: A field is longer than the module takes, or a quote is never closed.
    """
    # the module has one limit for the whole process, and readers of other files set theirs
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        yield
    except csv.Error as error:
        raise ValueError(f"{path} is no table that can be read: {error}; is it damaged?") from error
    finally:
        csv.field_size_limit(before)


def read_table(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a CSV file by its header; of a row that is too short the last fields are None.

    Raises:
        ValueError: It is no text, or no table.
    """
    with whole_table(path):
        yield from csv.DictReader(io.StringIO(read_text(path), newline=""))


def read_json(path: Path) -> Any:
    """Parse a JSON file; a truncated or broken one is refused with its position."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON; is it cut short? {error}") from error
