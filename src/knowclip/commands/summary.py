"""One summary table for the commands that go through captions."""

from __future__ import annotations

from collections.abc import Mapping


def show(title: str, counts: Mapping[str, int], skipped: Mapping[str, int]) -> None:
    """Print what was counted, and what was skipped and why."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, count in (*counts.items(), *((f"skipped: {reason}", n) for reason, n in skipped.items())):
        table.add_row(name, f"{count:,}")
    Console().print(table)
