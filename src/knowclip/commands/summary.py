"""What the commands that go through captions print at their end: counts, and a sum that adds up."""

from __future__ import annotations

from collections.abc import Mapping

from knowclip.console.counts import read_line


def show(
    title: str, counts: Mapping[str, int], skipped: Mapping[str, int], *, kept: int, repeated: int = 0
) -> None:
    """Print what was counted, what was skipped and why, and the sum of the records read."""
    from rich.table import Table

    from knowclip.console.screen import Screen

    console = Screen()
    console.print(title, soft_wrap=True)
    table = Table(show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, count in (*counts.items(), *((f"skipped: {reason}", n) for reason, n in skipped.items())):
        table.add_row(name, f"{count:,}")
    console.print(table)
    console.print(read_line(kept, skipped, repeated=repeated))
