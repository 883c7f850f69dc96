"""Captions from text files, tables and standard input, one at a time, with a count of what was skipped."""

from __future__ import annotations

import csv
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from knowclip.knowledge.parsing import parse
from knowclip.knowledge.records import GraphRecord

TABLES = {".csv": ",", ".tsv": "\t"}
"""File endings of tables, and what separates their columns."""


@dataclass(frozen=True, slots=True)
class Text:
    """A caption and its key: of the key column, else the number of its line or row, from 1."""

    key: str
    caption: str


def read_texts(
    path: Path | None,
    *,
    column: str | None = None,
    key_column: str | None = None,
    skipped: Counter[str],
) -> Iterator[Text]:
    """Captions of a file, or of standard input where ``path`` is None.

    A ``.csv`` or ``.tsv`` file is a table with a header; so is any text when ``column`` is given. All else is
    one caption a line, in UTF-8.

    Args:
        path: The file.
        column: Column of the captions, by default ``caption``.
        key_column: Column of the keys.
        skipped: Counts what is left out, by reason; it grows as texts are read.

    Raises:
        ValueError: if a column is not there, naming those that are.
    """
    separator = TABLES.get(path.suffix.lower() if path else "", "," if column or key_column else None)
    with open(path, "rb") if path else nullcontext(sys.stdin.buffer) as file:
        lines = _decoded(file, skipped)
        if separator is None:
            texts: Iterator[Text] = (Text(str(number), line.strip()) for number, line in lines)
        else:
            texts = _rows(lines, separator, column or "caption", key_column, path, skipped)
        for text in texts:
            if text.caption:
                yield text
            else:
                skipped["empty caption"] += 1


def parse_texts(texts: Iterable[Text], *, parser: str, batch_size: int) -> Iterator[GraphRecord]:
    """Parse captions as they come, keeping their keys (:func:`knowclip.knowledge.parsing.parse`)."""
    waiting: deque[Text] = deque()

    def captions() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text.caption

    for graph in parse(captions(), parser=parser, batch_size=batch_size):
        text = waiting.popleft()
        yield GraphRecord(text.key, text.caption, parser, graph)


def _decoded(file: IO[bytes], skipped: Counter[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(file, 1):
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            skipped["line is not UTF-8"] += 1


def _rows(
    lines: Iterator[tuple[int, str]],
    separator: str,
    column: str,
    key_column: str | None,
    path: Path | None,
    skipped: Counter[str],
) -> Iterator[Text]:
    csv.field_size_limit(1 << 30)
    rows = csv.reader((line for _, line in lines), delimiter=separator)
    header = next(rows, [])
    for name in filter(None, (column, key_column)):
        if name not in header:
            where = path or "standard input"
            raise ValueError(
                f"{where}: no column {name!r}; there are {', '.join(map(repr, header)) or 'none'}"
            )
    caption_at = header.index(column)
    key_at = header.index(key_column) if key_column else None
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            skipped["row of another length than the header"] += 1
            continue
        yield Text(str(number) if key_at is None else row[key_at], row[caption_at].strip())
