"""What the commands that go through captions print at their end: counts, and a sum that adds up."""

from __future__ import annotations

from collections.abc import Mapping


def show(
    title: str, counts: Mapping[str, int], skipped: Mapping[str, int], *, kept: int, repeated: int = 0
) -> None:
    """Print what was counted, what was skipped and why, and the sum of the records read."""
    from rich.console import Console
    from rich.table import Table

    Console(soft_wrap=True).print(title, highlight=False)
    table = Table(show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for name, count in (*counts.items(), *((f"skipped: {reason}", n) for reason, n in skipped.items())):
        table.add_row(name, f"{count:,}")
    Console().print(table)
    Console(soft_wrap=True).print(read_line(kept, skipped, repeated=repeated), highlight=False)


def read_line(
    kept: int, skipped: Mapping[str, int], *, merged: int = 0, repeated: int = 0, what: str = "captions"
) -> str:
    """The line every command that reads records ends with: read = kept + merged + skipped, by reason.

    Args:
        kept: Records that are used.
        skipped: Reason to number of those that are not.
        merged: Records that became one with another.
        repeated: How many of the kept ones say again what another said.
        what: Is read.
    """
    parts = [f"{kept:,} kept"]
    if repeated:
        parts[0] += f" ({repeated:,} of them repeat another of their image)"
    if merged:
        parts.append(f"{merged:,} merged")
    if total := sum(skipped.values()):
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in skipped.items() if count)
        parts.append(f"{total:,} skipped ({reasons})")
    return f"{kept + merged + total:,} {what} read = {' + '.join(parts)}"
