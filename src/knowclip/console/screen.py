"""Sentences as they are read: a terminal gets them broken between words, a file or a pipe a line each."""

from __future__ import annotations

import logging
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.file_proxy import FileProxy


class Screen(Console):
    """A console that prints what it is given: brackets and colons are letters, as in ``photos [2024]``.

    It cuts no word at a terminal's edge, so that a path can be copied; ``print(..., soft_wrap=True)`` leaves
    a line whole there too, as a command to be copied needs it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def print(self, *objects: Any, soft_wrap: bool | None = None, **options: Any) -> None:
        """As rich's, of texts; words of a table that are wider than their column go on below, none is cut."""
        if not all(isinstance(each, str) for each in objects):
            fold(objects)
            return super().print(*objects, soft_wrap=soft_wrap, **options)
        if self.is_terminal and not soft_wrap:
            objects = tuple(broken(each, self.width) for each in objects)
        if self.stderr and not self.quiet and isinstance(sys.stderr, FileProxy):
            sys.stderr.write(" ".join(objects) + "\n")  # above the bar, which this console knows nothing of
            return
        super().print(*objects, soft_wrap=True, **options)


def fold(objects: Iterable[Any]) -> None:
    """Have the columns of tables fold words that are too long, where rich would end them with dots."""
    from rich.table import Table

    for table in objects:
        for column in table.columns if isinstance(table, Table) else ():
            column.overflow = "fold"


def broken(text: str, width: int) -> str:
    """``text`` with a line end in place of a blank wherever a line would be longer than ``width``.

    Words that are longer stay whole, and every character keeps its place.
    """
    characters, start, blank = list(text), 0, None
    for place, character in enumerate([*text, "\n"]):
        if character not in " \n":
            continue
        if place - start > width and blank is not None:
            characters[blank], start = "\n", blank + 1
        start, blank = (place + 1, None) if character == "\n" else (start, place)
    return "".join(characters)


def warning_line(message: object, *_: Any, **__: Any) -> str:
    """A warning as a person reads it: without the place in the source that it comes from."""
    width = shutil.get_terminal_size().columns
    text = f"warning: {message}"
    return (broken(text, width) if sys.stderr.isatty() else text) + "\n"


class Notes(logging.Handler):
    """Prints what the library logs for people, such as which column it takes, once each, to stderr."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record that was not printed yet."""
        if (line := self.format(record)) not in self.told:
            self.told.add(line)
            Screen(stderr=True).print(line)


def beside(name: str, told: str, *, column: int, width: int | None) -> str:
    """``name`` and, from ``column`` on, ``told``: in lines of ``width``, if that is given."""
    head = f"  {name:{column - 2}}"
    if width is None or len(head) + len(told) <= width:
        return head + told
    return textwrap.fill(
        told,
        max(width, column + 20),
        initial_indent=head,
        subsequent_indent=" " * column,
        break_long_words=False,
        break_on_hyphens=False,
    )
