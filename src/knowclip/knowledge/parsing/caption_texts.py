"""Captions of any format that ``data.formats`` knows, one at a time, with a count of what was skipped."""

from __future__ import annotations

import io
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from knowclip.data.formats.broken import Broken
from knowclip.data.formats.lists import JSON_LINES, json_line_rows
from knowclip.data.formats.registry import find, why_none
from knowclip.data.formats.rows import (
    EMPTY,
    Options,
    Row,
    fault_of,
    said,
)
from knowclip.data.formats.tables import table_rows
from knowclip.data.formats.texts import LINES, recognise
from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.records import GraphRecord
from knowclip.storage.text_files import refuse_no_text

STDIN = "standard input"
AHEAD = 1_000_000
"""Texts held in memory at most to know their number: some 300 MB."""


@dataclass(frozen=True, slots=True)
class Text:
    """A caption, its key and the image it is of.

    The key is that of the key column, else ``image#k`` for the k-th caption of an image, as ``read_captions``
    has it, else the number of the line or row, from 1.
    """

    key: str
    caption: str
    image: str | None = field(default=None, compare=False)


def read_texts(
    path: Path | None,
    *,
    column: str | None = None,
    key_column: str | None = None,
    skipped: Counter[str],
) -> Iterator[Text]:
    """Captions of a file or folder, or of standard input where ``path`` is None.

    Formats are those of ``read_captions``, whose images need not be there, and plain text, a caption a line.
    Any text is a table with a header when a column is named.

    Args:
        path: The file.
        column: Column of the captions, where the header leaves it open.
        key_column: Column of the keys.
        skipped: Counts what is left out, by reason; it grows as texts are read.

    Raises:
        ValueError: if a column is not there, naming those that are, or the file is of no known format.
    """
    seen: Counter[str] = Counter()
    for number, row, image, caption in read_rows(path, column=column, key_column=key_column, skipped=skipped):
        key = row.key or (str(number) if image is None else f"{image}#{seen[image]}")
        if image is not None:
            seen[image] += 1
        if caption:
            yield Text(key, caption, image)


def read_rows(
    path: Path | None, *, column: str | None, key_column: str | None = None, skipped: Counter[str]
) -> Iterator[tuple[int, Row, str | None, str]]:
    """Records as :func:`read_texts` takes them: their number from 1, themselves, image and caption.

    The caption is "" where it is skipped, which is counted; the image is None where none is named.

    Raises:
        ValueError: also when the last record is read, or the ``AHEAD``-th, if over 1% so far are broken.
    """
    options = Options(caption_column=column, key_column=key_column, with_images=False)
    rows, broken = _standard_input(options) if path is None else _rows(path, options)
    for number, row in enumerate(rows, start=1):
        fault = fault_of(row)
        broken.add(row, fault)
        if number == AHEAD:  # of a stream without end, later ones are counted: what is made of it is not lost
            broken.refuse_many()
        image = row.image if row.image and not fault else None
        caption = "" if fault else said(row.caption)
        if not caption:
            skipped[fault or EMPTY] += 1
        yield number, row, image, caption
    if broken.read < AHEAD:
        broken.refuse_many()


def _rows(path: Path, options: Options) -> tuple[Iterator[Row], Broken]:
    source = find(path, None, None, text=True)
    if options.columns and source.format.name in LINES:
        source = find(path, "csv", None)
    format = source.format
    return source.rows(options), Broken(source.path, format.name, separate=format.separate)


def _standard_input(options: Options) -> tuple[Iterator[Row], Broken]:
    broken = Broken(STDIN, "text")
    return _typed(options, broken), broken


def _typed(options: Options, broken: Broken) -> Iterator[Row]:
    """Lines of standard input: a table, Flickr's tokens, JSON or plain text, by the first with text."""
    lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", errors="surrogateescape")
    try:
        head: list[str] = []
        while not head or (head[-1] and not head[-1].strip()):
            head.append(lines.readline())
        refuse_no_text("".join(head).encode("utf-8", "surrogateescape"), STDIN)
        whole = chain(filter(None, head), lines)
        kind = recognise(head[-1], STDIN)
        broken.name = kind.name
        if kind is JSON_LINES:
            yield from json_line_rows(whole, STDIN, options)
        elif options.columns or kind.name not in LINES:
            yield from table_rows(whole, STDIN, options)
        else:
            yield from LINES[kind.name](whole)
    finally:
        lines.detach()


def refuse_none(texts: Iterable[Text], path: Path | None, skipped: Counter[str]) -> Iterator[Text]:
    """Texts as they are; ``ValueError`` where there is none, so that no file is replaced with nothing."""
    found = False
    for text in texts:
        found = True
        yield text
    if not found:
        raise ValueError(f"{path or STDIN} gives no caption {why_none(path, skipped)}")


def counted_ahead(texts: Iterable[Text]) -> tuple[Iterator[Text], int | None]:
    """Texts, and how many there are: read ahead, which takes a hundredth of the time that parsing does.

    None where there are more than ``AHEAD``: further ones come as they are read.
    """
    rest = iter(texts)
    ahead = list(islice(rest, AHEAD))
    return chain(ahead, rest), None if len(ahead) == AHEAD else len(ahead)


def by_image(texts: Iterable[Text]) -> Iterator[Text]:
    """Texts in the order of the first of each image, so that all captions of an image follow each other."""
    groups: dict[str, list[Text]] = {}
    for text in texts:
        groups.setdefault(text.key if text.image is None else f"\0{text.image}", []).append(text)
    return chain.from_iterable(groups.values())


def parse_texts(texts: Iterable[Text], *, parser: str, batch_size: int) -> Iterator[GraphRecord]:
    """Parse captions as they come, keeping keys and images (see ``knowledge.parsing.parsers``)."""
    iterator = iter(texts)
    first = list(islice(iterator, 1))  # before a parser is loaded, which takes seconds: it may be refused
    waiting: deque[Text] = deque()

    def captions() -> Iterator[str]:
        for text in chain(first, iterator):
            waiting.append(text)
            yield text.caption

    for graph in parse(captions(), parser=parser, batch_size=batch_size):
        text = waiting.popleft()
        yield GraphRecord(text.key, text.caption, parser, graph, text.image)
