"""Elements of one large JSON array or object, one at a time: memory holds an element, not the file.

Visual Genome's files are up to a gigabyte, which ``json.load`` turns into ten.

Not ijson (3.6.0, yajl2_c): it makes ``?`` of half a surrogate pair, where readers count a fault; refuses NaN,
a byte-order mark and, with ``use_float``, whole numbers above 64 bits; finds nothing in an object where an
array is wanted. Visual Genome's format takes it 1.7 times our time (1.16 of the whole import).
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from knowclip.storage.text_files import is_junk, looks_like, refuse_no_text

HEAD_BYTES = 1 << 12
CHUNK_CHARACTERS = 1 << 22
MAX_ELEMENT_CHARACTERS = 1 << 27
_SPACE = " \t\r\n"
_IN_NUMBER = "0123456789.eE+-"
_UNFINISHED = re.compile(r"[\w.+-]*")
"""Part of a number or word, or nothing: what is left behind the place where a file was cut off."""


def find_file(folder: Path, *stems: str) -> Path | None:
    """The first of ``stems`` that is in ``folder`` as ``.json``, ``.json.gz`` or ``.json.zip``."""
    names = (f"{stem}{ending}" for stem in stems for ending in (".json", ".json.gz", ".json.zip"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def iterate_array(path: Path, *, report: Callable[[str, float], None] | None = None) -> Iterator[Any]:
    """Yield the elements of a file that is one JSON array.

    Raises:
        ValueError: The file is no array, or broken or cut off; names file and element.
    """
    yield from (value for _, value in _Stream(path, report).elements("[]"))


def iterate_object(
    path: Path, *, report: Callable[[str, float], None] | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield the (key, value) pairs of a file that is one JSON object; see ``iterate_array``."""
    yield from _Stream(path, report).elements("{}")


class _Stream:
    def __init__(self, path: Path, report: Callable[[str, float], None] | None) -> None:
        self.path = path
        self.report = report
        self.buffer, self.at, self.ended = "", 0, False
        self.decoder = json.JSONDecoder()

    def elements(self, brackets: str) -> Iterator[tuple[str, Any]]:
        """Pairs of key (empty in an array) and value."""
        opening, closing = brackets[0], brackets[1]
        with _open(self.path) as (raw, file):
            self.raw, self.file, self.size = raw, file, self.path.stat().st_size
            index = -1
            self._expect(opening, "at its beginning")
            while (mark := self._peek()) != closing:
                index += 1
                where = f"in element $[{index}]"
                if index:
                    self._expect(",", where)
                    mark = self._peek()
                key = ""
                if opening == "{":
                    if mark != '"':
                        raise self._error(f"{where}: a key in quotes expected, got {mark!r}")
                    key = self._value(where)
                    where = f"in $.{key}"
                    self._expect(":", where)
                yield key, self._value(where)
            self.at += 1
            if mark := self._peek():
                raise ValueError(
                    f"{self.path}: {mark!r} behind the closing {closing!r}: a file holds one JSON value"
                )

    def _value(self, where: str) -> Any:
        """Decode the value at the cursor, reading on while it may go on past the buffer."""
        self._peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.buffer, self.at)
                # A number may go on past the buffer, and "0." has been read as 0.
                if self.ended or (end < len(self.buffer) and self.buffer[end] not in _IN_NUMBER):
                    self.at = end
                    return value
            except json.JSONDecodeError as error:
                # an element of this size is a quote or bracket that was never closed
                if self.ended or len(self.buffer) - self.at > MAX_ELEMENT_CHARACTERS:
                    open_text = error.msg.startswith("Unterminated")  # its place is where the text begins
                    self.at = len(self.buffer) if open_text else error.pos
                    raise self._error(f"{where}: {error.msg}") from None
            except (ValueError, RecursionError) as error:  # a number of 5,000 digits, 2,000 brackets
                raise self._error(f"{where}: {error}") from None
            # twice as much each time: an element is decoded anew from its start, and so only a few times
            self._fill(max(CHUNK_CHARACTERS, len(self.buffer) - self.at))

    def _expect(self, character: str, where: str) -> None:
        found = self._peek()
        if found != character:
            raise self._error(f"{where}: {character!r} expected, got {found!r}")
        self.at += 1

    def _peek(self) -> str:
        """The next character that is not space; empty at the end."""
        while True:
            while self.at < len(self.buffer) and self.buffer[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.buffer) or self.ended:
                return self.buffer[self.at : self.at + 1]
            self._fill(CHUNK_CHARACTERS)

    def _fill(self, characters: int) -> None:
        try:
            more = self.file.read(characters)
        except UnicodeDecodeError as error:
            told = looks_like(error.object[error.start : error.end])
            raise ValueError(f"{self.path} is not UTF-8 text ({error.reason}); {told}") from None
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
            raise self._error(str(error)) from None
        self.buffer, self.at, self.ended = self.buffer[self.at :] + more, 0, not more
        if self.report and self.size:
            self.report(f"reading {self.path.name}", min(self.raw.tell() / self.size, 1.0))

    def _error(self, detail: str) -> ValueError:
        ends = self.ended and _UNFINISHED.fullmatch(self.buffer, self.at)
        cut = " (the file ends there: it is cut off)" if ends else ""
        return ValueError(f"{self.path}: broken JSON {detail}{cut}; download or copy the file again")


class _open:  # noqa: N801 (reads as the function it replaces)
    """Context of (raw bytes file, text file) for a plain, gzipped or zipped file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> tuple[IO[bytes], IO[str]]:
        self.raw = self.path.open("rb")
        try:
            stream = self._unpacked()
            refuse_no_text(stream.peek(HEAD_BYTES)[:HEAD_BYTES], self.path)
        except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
            self.raw.close()
            raise ValueError(f"{self.path}: {error}; download or copy the file again") from None
        except ValueError:
            self.raw.close()
            raise
        return self.raw, io.TextIOWrapper(stream, encoding="utf-8-sig")

    def _unpacked(self) -> Any:
        if self.path.suffix == ".gz":
            return gzip.GzipFile(fileobj=self.raw)
        if self.path.suffix != ".zip":
            return self.raw
        archive = zipfile.ZipFile(self.raw)
        names = [name for name in archive.namelist() if not name.endswith("/") and not is_junk(name)]
        if len(names) != 1:
            raise ValueError(f"{self.path} holds {names or 'no file'}; one JSON file is expected in it")
        return archive.open(names[0])

    def __exit__(self, *exc: object) -> None:
        self.raw.close()
