"""``knowclip plugins``: what other installed packages add, and whether it can be used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowclip.plugins import Plugin

USES = {
    "method": "knowclip.build.method:method_class",
    "loss": "knowclip.build.losses:loss_function",
    "parser": "knowclip.knowledge.parsing.parsers:named",
    "benchmark": "knowclip.evaluation.benchmarks.registry:entry",
    "task": "knowclip.evaluation.tasks.registry:entry",
    "reader": "knowclip.knowledge.readers.registry:reader_options",
    "caption format": "knowclip.data.formats.registry:named",
}
"""Kind -> the function that finds one by name, and refuses what cannot be used."""


def command(
    check: Annotated[
        bool, typer.Option("--check", help="Import each of them, and end with 1 where one cannot be used.")
    ] = False,
) -> None:
    """List methods, losses, parsers, benchmarks, tasks, readers and caption formats of other packages."""
    from rich.table import Table

    from knowclip.console.screen import Screen
    from knowclip.plugins import GROUPS, found

    rows = [plugin for kind in GROUPS for offered in found(kind).values() for plugin in offered]
    if not rows:
        Screen().print(
            f"no installed package adds anything (groups of entry points: {', '.join(GROUPS.values())})"
        )
        return
    table = Table("what", "name", "package", "object", *(["state"] if check else []))
    states = [state(plugin) if check else "" for plugin in rows]
    for plugin, told in zip(rows, states, strict=True):
        table.add_row(plugin.kind, plugin.name, plugin.origin, plugin.entry.value, *([told] if check else []))
    Screen().print(table)
    if any(told not in ("", "ok") for told in states):
        raise typer.Exit(1)


def state(plugin: Plugin) -> str:
    """``ok``, or why it cannot be used."""
    module, _, function = USES[plugin.kind].partition(":")
    try:
        getattr(import_module(module), function)(plugin.name)
    except ValueError as error:
        return str(error)
    return "ok"
