"""CSV, TSV and Kaggle's tables: one rule of quotes for all of them."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from knowclip.data.formats.columns import LISTS, Columns, Record, choose, guessable, record_rows, tell_unused
from knowclip.data.formats.rows import (
    LENGTH,
    NOT_UTF8,
    Format,
    Options,
    Row,
    check_split,
    no_splits,
    of_split,
)
from knowclip.storage.text_files import IMAGE_SUFFIXES, is_utf8, looks_like, open_text, read_text

KAGGLE_FILE = "captions.txt"
SUFFIXES = {".csv": ",", ".tsv": "\t"}
DELIMITERS = ("\t", "|", ",", ";")
_EXCEL = re.compile(r"sep=(.)", re.IGNORECASE)
"""Excel's own first line."""
_MOST_LINES = 100
"""Lines of one quoted field, at most: a quote that stays open longer was never meant as one."""


def read_table(path: Path, content: Any, options: Options) -> Iterator[Row]:
    """Rows of a table with a header, a column ``split`` being optional."""
    with open_text(path) as lines:
        yield from table_rows(lines, path, options, delimiter=SUFFIXES.get(path.suffix.lower()))


def table_rows(
    lines: Iterable[str], path: Path | str, options: Options, *, delimiter: str | None = None
) -> Iterator[Row]:
    """Rows of the lines of a table; ``delimiter`` is taken where the header holds several or none."""
    # csv stops at 131,072 characters, which a long text or an open quote exceeds
    csv.field_size_limit(1 << 30)
    numbered = enumerate(lines, start=1)
    number, first = next(((number, line) for number, line in numbered if line.strip()), (0, ""))
    if told := _EXCEL.fullmatch(first.strip()):
        delimiter, (number, first) = told[1], next(numbered, (number, ""))
    if not is_utf8(first):
        content = first.encode("utf-8", "surrogateescape")
        raise ValueError(f"{path} is not UTF-8 text: its header, line {number}; {looks_like(content)}")
    delimiter = find_delimiter(first, delimiter)
    quoted = delimiter == "," or delimiter == ";" or first.startswith('"')
    header = split_header(first, delimiter) if first else []
    columns = choose(header, options, path)
    tell_unused(header, columns, path, options)
    at = header.index(columns.image) if columns.image else None
    rest = (line for _, line in numbered)
    records = _records(rest, delimiter, quoted, len(header), at, start=number + 1)
    if options.split is None or columns.split is not None:
        yield from of_split(_rows(records, header, columns), options.split, Path(path))
        return
    rows = [row for _, row in _rows(records, header, columns)]
    if Path(path).name != KAGGLE_FILE:
        raise no_splits(f"{path} has no column 'split'", options.split)
    yield from flickr8k_split(rows, Path(path).parent, options.split)


def find_delimiter(header: str, otherwise: str | None = None) -> str:
    """What separates the columns of a header: what makes names of it that are known, else the file's own."""
    found = sorted((each for each in DELIMITERS if each in header), key=lambda each: each != otherwise)
    telling = (each for each in found if guessable(split_header(header, each)))
    return next(telling, found[0] if found else otherwise or ",")


def split_header(line: str, delimiter: str) -> list[str]:
    """Names of the columns, without quotes and blanks about them."""
    return [name.strip().strip('"').strip() for name in line.split(delimiter)]


def _rows(
    records: Iterable[tuple[int, list[str]]], header: list[str], columns: Columns
) -> Iterator[tuple[str | None, Row]]:
    """Split and row of each record; the common shape, one caption and no extras, is read straight away."""
    width = len(header)
    plain = len(columns.captions) == 1 and columns.captions[0].casefold() not in LISTS
    plain = plain and not columns.key and not columns.negatives
    if not plain:
        yield from record_rows(_mappings(records, header), columns)
        return
    image_at = header.index(columns.image) if columns.image else None
    caption_at = header.index(columns.captions[0])
    split_at = header.index(columns.split) if columns.split else None
    for number, fields in records:
        if len(fields) != width:
            yield None, Row(f"line {number}", None, " ".join(fields), fault=_fault(fields))
            continue
        image = fields[image_at].strip() if image_at is not None else None
        split = fields[split_at] if split_at is not None else None
        yield split, Row(f"line {number}", image, fields[caption_at])


def _mappings(records: Iterable[tuple[int, list[str]]], header: list[str]) -> Iterator[Record]:
    for number, fields in records:
        if len(fields) != len(header):
            yield f"line {number}", " ".join(fields), _fault(fields)
        else:
            yield f"line {number}", dict(zip(header, map(str.strip, fields), strict=True)), ""


def _fault(fields: list[str]) -> str:
    return LENGTH if all(map(is_utf8, fields)) else NOT_UTF8


def _records(
    lines: Iterator[str],
    delimiter: str,
    quoted: bool,
    width: int,
    image_at: int | None,
    *,
    start: int = 1,
) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each record.

    Quotes count where a field is wholly quoted, on its line or over a few; any other quote is a letter. In
    tables of tabs or bars without a quoted header, fields that double the quotes in them were quoted by the
    program that wrote them; all other quotes are letters.
    """
    number = start - 1
    waiting: list[str] = []
    while True:
        line = waiting.pop() if waiting else next(lines, None)
        if line is None:
            return
        number += 1
        text = line.rstrip("\n")
        if '"' not in text:
            if text.strip():
                yield number, text.split(delimiter)
        elif not quoted:
            yield number, [_unquoted(field) for field in text.split(delimiter)]
        else:
            fields, used = _quoted(text, lines, waiting, delimiter, width, image_at)
            yield number, fields
            number += used


def _unquoted(field: str) -> str:
    inner = field[1:-1]
    if len(field) > 3 and field[0] == field[-1] == '"' and '""' in inner:
        single = inner.replace('""', "")
        return inner.replace('""', '"') if '"' not in single else field
    return field


def _quoted(
    text: str, lines: Iterator[str], waiting: list[str], delimiter: str, width: int, image_at: int | None
) -> tuple[list[str], int]:
    """Fields of a line that holds quotes, and how many further lines they took."""
    fields, is_open = _strict(text, delimiter)
    if (fields is not None and len(fields) == width) or not is_open:
        literal = text.split(delimiter)
        return (fields if fields is not None else literal), 0
    held = [text]
    while len(held) < _MOST_LINES and (line := waiting.pop() if waiting else next(lines, None)) is not None:
        held.append(line.rstrip("\n"))
        if '"' not in held[-1]:
            continue
        fields, is_open = _strict("\n".join(held), delimiter)
        if (
            fields is not None
            and len(fields) == width
            and not _is_record(held[-1], delimiter, width, image_at)
        ):
            return fields, len(held) - 1
        if not is_open:
            break
    waiting.extend(f"{line}\n" for line in reversed(held[1:]))
    return text.split(delimiter), 0


def _strict(text: str, delimiter: str) -> tuple[list[str] | None, bool]:
    """Fields by RFC 4180, None where it is broken; and whether a quote is still open."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        return None, "unexpected end" in str(error)
    return (rows[0] if len(rows) == 1 else None), False


def _is_record(line: str, delimiter: str, width: int, image_at: int | None) -> bool:
    """Whether a line that closes a quote is a record of its own, by its number of fields and its image."""
    fields = line.split(delimiter)
    return (
        image_at is not None
        and len(fields) == width
        and Path(fields[image_at].strip()).suffix.lower() in IMAGE_SUFFIXES
    )


def flickr8k_split(rows: list[Row], folder: Path, split: str | None) -> Iterable[Row]:
    """Choose the rows of an official split: "train", "dev" (also called "val") or "test".

    Kaggle's copy comes without the official lists: there an eighth of the images each, chosen by a hash of
    the file name, is "dev" and "test", with a warning, since such numbers compare with no published ones.
    """
    if split is None:
        return rows
    files = {
        re.sub(r"^Flickr_8k\.|Images\.txt$", "", p.name): p for p in folder.glob("Flickr_8k.*Images.txt")
    }
    check_split(split, ["val", *(files or ("train", "dev", "test"))], folder)
    split = "dev" if split == "val" else split
    if files:
        listed = set(read_text(files[split]).split())
        return (row for row in rows if row.image is None or row.image in listed)
    warnings.warn(
        f"{folder} has no Flickr_8k.*Images.txt: its split {split!r} is drawn by a hash of the file "
        "names and is not the official one",
        stacklevel=2,
    )
    return (row for row in rows if row.image is None or _drawn_split(row.image) == split)


def _drawn_split(name: str) -> str:
    # a hash, not a random draw: files that are added later change no other file's split
    return {0: "dev", 1: "test"}.get(hashlib.blake2b(name.encode()).digest()[0] % 8, "train")


CSV = Format(
    name="csv",
    told="`.csv` and `.tsv`, and a text whose first line names an image and a caption column; separated by "
    "tab, `|`, comma or `;`",
    samples={
        "captions.csv": 'image,caption,split\na.jpg,"A dog, brown, runs.",train\nb.jpg,A cat sleeps.,val\n',
        "captions.txt": "image,caption\na.jpg,A brown dog runs .\nb.jpg,A cat sleeps .\n",
        "results.csv": "image_name| comment_number| comment\na.jpg| 0| A dog runs .\n"
        "b.jpg| 0| A cat sleeps .\n",
        "train_neg_clip.tsv": "\ttitle\tfilepath\tneg_caption\tneg_image\n"
        "0\ta dog on a mat\ta.jpg\t['a mat on a dog']\t[1]\n1\ta red cat\tb.jpg\t[]\t[0]\n",
    },
    read=read_table,
    columns=True,
    endings=tuple(SUFFIXES),
)
