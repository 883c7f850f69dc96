"""Refuses a file many of whose records cannot be read: it is not what it was taken for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from knowclip.console.counts import TOLERATED_SHARE
from knowclip.data.formats.rows import BROKEN, LENGTH, NOT_UTF8, Row, encoded, tell_encoding
from knowclip.storage.text_files import looks_like

_LENGTH = (
    "; tab, '|', comma or ';' separates columns, the same one in the header and in every row, and a field "
    "that holds it is to be in quotes"
)


class Broken:
    """The records of one source that cannot be read, as its reader comes to them.

    Args:
        path: Of the source, or its name.
        name: Of the format it is read as.
        separate: Whether each caption is a file of its own, whose encoding says nothing of the others.
    """

    def __init__(self, path: Path | str, name: str, *, separate: bool = False) -> None:
        self.path, self.name = path, name
        self.telling = BROKEN - {NOT_UTF8} if separate else BROKEN
        self.read = 0
        self.counts: Counter[str] = Counter()
        self._first: tuple[Row, str] | None = None
        self._encoded: Row | None = None

    def add(self, row: Row, fault: str) -> None:
        """Count a record, and why it cannot be read, if so."""
        self.read += 1
        self.counts[fault] += fault in BROKEN
        if fault in self.telling and self._first is None:
            self._first = row, fault
        if fault == NOT_UTF8 and self._encoded is None:
            self._encoded = row

    def refuse_many(self) -> None:
        """Raise where more than ``TOLERATED_SHARE`` cannot be read; warn of a record that is not UTF-8.

        Raises:
            ValueError: naming the first of them, and the encoding of a text that is not UTF-8.
        """
        broken = sum(self.counts[fault] for fault in self.telling)
        if broken <= TOLERATED_SHARE * self.read or self._first is None:
            if self._encoded is not None:
                tell_encoding(self._encoded, self.path)
            return
        row, fault = self._first
        if fault == NOT_UTF8:
            raise ValueError(
                f"{self.path} is not UTF-8 text: {self.counts[NOT_UTF8]:,} of {self.read:,} records, the "
                f"first at {row.where}; {looks_like(encoded(row))}"
            )
        raise ValueError(
            f"{self.path}: {broken:,} of {self.read:,} records lack an image name or a caption ({fault}), "
            f"the first at {row.where}{_LENGTH if fault == LENGTH else ''}; is this really {self.name!r} "
            "data?"
        )
