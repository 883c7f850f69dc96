"""Lines of text: a caption a line, and Flickr's token files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from knowclip.data.formats.columns import CAPTION_COLUMNS, guessable
from knowclip.data.formats.lists import JSON_LINES
from knowclip.data.formats.rows import MALFORMED, NOT_UTF8, Format, Options, Row, check_split
from knowclip.data.formats.tables import CSV, DELIMITERS, flickr8k_split, split_header
from knowclip.storage.text_files import IMAGE_SUFFIXES, is_utf8, open_text

_COLUMN = re.compile(r"[A-Za-z_]\w*")
_TOKEN_LINE = re.compile(r"(?P<image>[^\t]+)#\d+\t(?P<caption>.*)")


def read_lines(path: Path, content: Any, options: Options) -> Iterator[Row]:
    """A caption a line; such a file names no images."""
    check_split(options.split, [], path)
    with open_text(path) as lines:
        yield from line_rows(lines)


def line_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Rows of the lines of a text."""
    for number, line in enumerate(lines, start=1):
        yield Row(f"line {number}", None, line)


def read_tokens(path: Path, content: Any, options: Options) -> Iterable[Row]:
    """Flickr's own ``name.jpg#k<TAB>caption``, with ``Flickr_8k.*Images.txt`` beside it as splits."""
    with open_text(path) as lines:
        rows = list(token_rows(lines))
    return flickr8k_split(rows, path.parent, options.split)


def token_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Rows of the lines of a token file."""
    for number, line in enumerate(lines, start=1):
        if match := _TOKEN_LINE.fullmatch(line.rstrip("\n")):
            yield Row(f"line {number}", match["image"], match["caption"])
        elif line.strip():
            yield Row(f"line {number}", None, None, fault=MALFORMED if is_utf8(line) else NOT_UTF8)


def recognise(first: str, where: str | Path) -> Format:
    """Tell a table, a token file and plain text apart by the first line.

    Raises:
        ValueError: it names an image, but is neither of these: a table without a header.
    """
    if _TOKEN_LINE.fullmatch(first.rstrip("\n")):
        return TOKENS
    if first.lstrip()[:1] in ("{", "["):
        return _of_json(first.strip(), where)
    for delimiter in DELIMITERS:
        names = split_header(first, delimiter)
        if len(names) > 1 and (guessable(names) or _is_header(names, first)):
            return CSV
    word = re.split(r"[\s,;|#]", first.strip(), maxsplit=1)[0].strip('"')
    if Path(word).suffix.lower() in IMAGE_SUFFIXES:
        raise ValueError(
            f"{where} begins with the image name {word!r}, yet is no table with a header and no token file of"
            " Flickr (name.jpg#0, a tab, the caption): put a line 'image,caption' before a table, with what "
            "separates its columns"
        )
    return TEXT


def _of_json(first: str, where: str | Path) -> Format:
    """JSON lines, where the first is an object; another beginning of JSON is refused, the rest is text."""
    try:
        if isinstance(json.loads(first), dict):
            return JSON_LINES
    except (ValueError, RecursionError):
        pass
    if re.match(r"[\[{]\s*([\[{]|\"|$)", first):
        raise ValueError(f"{where} holds JSON, and not an object a line: give it as a file called .json")
    return TEXT


def _is_header(names: Sequence[str], line: str) -> bool:
    """Whether a line without an image column heads a table: single words, one of them "caption"."""
    plain = all(_COLUMN.fullmatch(name) for name in names) and not re.search(r",\s", line.strip())
    return plain and sum(name.casefold() in CAPTION_COLUMNS[0] for name in names) == 1


TOKENS = Format(
    name="flickr8k",
    told="`.token` and `.token.txt`, and a text whose first line is `name.jpg#0<TAB>caption`",
    samples={
        "Flickr8k.token.txt": "a.jpg#0\tA dog runs .\na.jpg#1\tA brown dog .\nb.jpg#0\tA cat sleeps .\n"
    },
    read=read_tokens,
)
TEXT = Format(
    name="text",
    told="any other text and standard input: a caption a line, for `parse` and `negatives` alone",
    samples={"words.txt": "A dog runs on a beach.\nA brown dog chases a cat.\nTwo cats sleep.\n"},
    read=read_lines,
    images=False,
)
LINES = {TEXT.name: line_rows, TOKENS.name: token_rows}
"""Formats without a header -> rows of their lines, as standard input has them."""
