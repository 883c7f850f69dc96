"""``knowclip cache``: what lies in the cache folder, and what of it to remove."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Annotated

import typer

from knowclip.console.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from knowclip.storage.cached import Cached

app = typer.Typer(invoke_without_command=True)


@app.callback()
def show(context: typer.Context) -> None:
    """List what lies in the cache folder by kind, with sizes, or clear some of it (``cache clear``)."""
    from datetime import datetime
    from pathlib import Path

    from rich.filesize import decimal

    from knowclip.console.progress import waiting
    from knowclip.storage.cached import cached
    from knowclip.storage.caches import VARIABLE, named_folder

    if context.invoked_subcommand:
        return
    folder = Path(named_folder()).expanduser()
    with waiting("looking"):
        entries, others = cached(folder)
    console = Screen()
    if entries:
        width = max(len(entry.kind) for entry in entries)
        for entry in entries:
            written = datetime.fromtimestamp(entry.modified).strftime("%Y-%m-%d")
            before = f"{entry.kind:{width}}  {decimal(entry.size):>9}  {written}"
            # no table: in a narrow one the name would be broken, which 'clear' takes
            console.print(f"{before}  {entry.name}", soft_wrap=True, highlight=False)
    console.print(f"{folder} ({VARIABLE} names another): {told(entries)}")
    if others:
        console.print(f"{others:,} other things there are not knowclip's, and never removed by it")


@app.command()
def clear(
    names: Annotated[
        list[str],
        typer.Argument(help="Kinds or names that 'knowclip cache' lists, or 'all'.", metavar="NAME"),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what can be made again from the cache folder, while nothing runs."""
    from pathlib import Path

    from knowclip.console.progress import counting, waiting
    from knowclip.storage.cached import cached, chosen, remove
    from knowclip.storage.caches import named_folder

    folder = Path(named_folder()).expanduser()
    with waiting("looking"):
        entries = chosen(cached(folder)[0], names)
    if not entries:
        Screen().print(f"{folder} holds nothing of that: nothing to remove")
        return
    if not yes:
        typer.confirm(f"Remove {told(entries)} from {folder}? (--yes does not ask)", abort=True)
    gone = count(1)
    with counting("removing", unit="files") as progress:
        for entry in entries:
            remove(folder, entry, progress=lambda: progress(next(gone)))
    Screen().print(f"removed {told(entries)} from {folder}")


def told(entries: Sequence[Cached]) -> str:
    """How many entries, how large, and how much of each kind."""
    from rich.filesize import decimal

    sizes: Counter[str] = Counter()
    for entry in entries:
        sizes[entry.kind] += entry.size
    number = f"{len(entries):,} {'entry' if len(entries) == 1 else 'entries'}"
    kinds = ", ".join(f"{kind} {decimal(size)}" for kind, size in sizes.items())
    return f"{number}, {decimal(sizes.total())}" + (f" ({kinds})" if kinds else "")
