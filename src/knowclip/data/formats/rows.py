"""What every reader of captions gives: records as they stand, and why one cannot be read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from knowclip.console import spelling
from knowclip.storage.text_files import is_utf8, looks_like

MALFORMED = "malformed record"
LENGTH = "row of another length than the header"
NOT_UTF8 = "not UTF-8"
EMPTY = "empty caption"
REPLACED = "member that a later one of its name replaces"
NO_IMAGE = "caption file without an image"
BROKEN = frozenset({MALFORMED, LENGTH, NOT_UTF8})
"""Faults that, when many, say that a file is not what it was taken for."""
_PLACEHOLDERS = frozenset({"nan", "null", "none", "n/a", "na", "#n/a", "<na>", "<null>", "\\n"})
"""What tools write for a missing text (pandas, R, Excel, MySQL)."""
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
"""Letters of no width, which no library takes for blanks."""
SPLIT_NAMES = {"val": ("val", "validation", "valid")}
"""What a split is called too, by Hugging Face's data sets."""


class NoSuchSplitError(ValueError):
    """A split was asked for that a file does not hold."""


class NoSplitsError(NoSuchSplitError):
    """The file tells no splits at all."""


class Row(NamedTuple):
    """One record: where it stands, and what it says, unchecked.

    ``negatives`` are false captions that the record brings itself; ``key`` is that of a key column; ``fault``
    says why the record cannot be read (the rest is then void, but for the text that is not UTF-8).
    """

    where: str
    image: Any
    caption: Any
    negatives: tuple[str, ...] = ()
    key: str | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """What of a file is wanted: a split, and the columns where the header leaves them open.

    ``with_images`` is False where captions alone are wanted, so that a table may do without an image column.
    """

    split: str | None = None
    image_column: str | None = None
    caption_column: str | None = None
    key_column: str | None = None
    split_column: str | None = None
    with_images: bool = True

    @property
    def columns(self) -> bool:
        """Whether any column is named."""
        return self.named is not None

    @property
    def named(self) -> str | None:
        """The first column that is named."""
        return self.image_column or self.caption_column or self.key_column or self.split_column


@dataclass(frozen=True, slots=True, eq=False)
class Format:
    """A captions format: what it is called, how it is recognised, and its reader.

    Args:
        name: As ``format=...`` gives it.
        told: How a file of it is recognised, for users.
        samples: File name -> its text; ``write.py`` -> code that writes what no text can show.
        read: Path, what its JSON says (None for files of other kinds), options -> records.
        columns: Whether its records have named columns.
        images: Whether its records name images.
        separate: Whether each caption is a file of its own, whose encoding says nothing of the others.
        endings: Of file names, in lower case, that tell it by themselves.
    """

    name: str
    told: str
    samples: dict[str, str]
    read: Callable[[Path, Any, Options], Iterable[Row]]
    columns: bool = False
    images: bool = True
    separate: bool = False
    endings: tuple[str, ...] = ()


def fault_of(row: Row) -> str:
    """Why a record cannot be used, "" where it can: its caption may be empty, its image and key missing."""
    return row.fault or text_fault(row.caption) or text_fault(row.image or "") or text_fault(row.key or "")


def text_fault(value: Any) -> str:
    """Why a value is no text that can be written again, "" where it is one."""
    if not isinstance(value, str) or "\0" in value:
        return MALFORMED
    if is_utf8(value):
        return ""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return MALFORMED  # half a letter, as JSON can write it
    return NOT_UTF8


def no_splits(where: str, split: str) -> NoSplitsError:
    """What is raised for a wish for a split; ``where`` is a file and what it has not."""
    column = spelling.option("split_column")
    return NoSplitsError(
        f"{where}, so it has no split {split!r}; give what tells it that name, "
        f"{f'or name it ({column}), ' if column else ''}or ask for none ({spelling.unset('split')})"
    )


def said(caption: str) -> str:
    """A caption without the blanks about it; "" where it says nothing: a placeholder for a missing one."""
    text = caption.strip().strip(_INVISIBLE).strip()
    return "" if text.casefold() in _PLACEHOLDERS else text


def tell_encoding(row: Row, path: Path | str | None) -> None:
    """Warn of the first record that is not UTF-8: where it is, and which encoding it is likely in."""
    warnings.warn(f"{path}, {row.where} is not UTF-8; {looks_like(encoded(row))}", stacklevel=2)


def encoded(row: Row) -> bytes:
    """What a record that is not UTF-8 says, as it was read."""
    parts = (str(value) for value in (row.image, row.caption, row.key) if value)
    return " ".join(parts).encode("utf-8", "surrogateescape")


def check_split(split: str | None, available: Iterable[str], path: Path) -> None:
    """Refuse a split that the file does not hold."""
    names = sorted(set(available))
    if split is not None and split not in names:
        told = f"{path} has no split {split!r}"
        if not names:
            raise NoSplitsError(f"{told}, nor any other: ask for none ({spelling.unset('split')})")
        raise NoSuchSplitError(f"{told}; it has: {', '.join(names)}")


def of_split(rows: Iterable[tuple[str | None, Row]], split: str | None, path: Path) -> Iterator[Row]:
    """Rows of one split, those that name none included; a split that no row names is refused."""
    if split is None:
        yield from (row for _, row in rows)
        return
    seen: set[str] = set()
    held: list[Row] = []
    for name, row in rows:
        if name is not None:
            seen.add(name)
        if name in (None, split):
            held.append(row)
    check_split(split, seen, path)
    yield from held
