"""What the commands that go through captions print at their end: counts, and a sum that adds up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from knowclip.console.counts import read_lines


def tell_replaced(*files: Path | None) -> None:
    """Say, before the work is begun, which files to write are there: each is replaced when all is done."""
    from knowclip.console.screen import Screen

    for path in files:
        if path is not None and path.exists():
            Screen(stderr=True).print(f"{path} is there, and is replaced when all is done")


def show(
    title: str,
    counts: Mapping[str, int],
    skipped: Mapping[str, int],
    *,
    kept: int,
    repeated: int = 0,
    left_out: Iterable[str] = (),
) -> None:
    """Print what was counted, what was skipped and why, images left out, and the sum of the records read."""
    from rich.table import Table

    from knowclip.console.screen import Screen

    console = Screen()
    console.print(title)
    table = Table(show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, count in (*counts.items(), *((f"skipped: {reason}", n) for reason, n in skipped.items())):
        table.add_row(name, f"{count:,}")
    console.print(table)
    for line in read_lines(kept, skipped, left_out, repeated=repeated):
        console.print(line)
