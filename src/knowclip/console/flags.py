"""Help of commands: flags without a value, paragraphs as wide as the terminal."""

from __future__ import annotations

import inspect
from typing import Any

from typer import Typer
from typer.core import TyperCommand, TyperGroup

from knowclip.console.spelling import command_with


class _PlainFlags:
    """Writes ``--json`` where typer would write ``--json <bool>``: nothing is to follow it."""

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:
        super().__init__(*args, help=help and unwrapped(help), **options)

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False) and param.metavar is None:
                param.metavar = ""
        return params


class Command(_PlainFlags, TyperCommand):
    """A command of typer's; messages spell options as it does."""

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        with command_with({param.name for param in self.params if param.name}):
            return super().invoke(ctx)


class Group(_PlainFlags, TyperGroup):
    """A group of typer's."""


def unwrapped(text: str) -> str:
    """A docstring with a line a paragraph: typer keeps line breaks but of the first, and wraps again.

    Paragraphs with indented lines, such as examples, stay as they are.
    """
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        one if "\n " in one or one[:1] == " " else one.replace("\n", " ") for one in paragraphs
    )


def plain_flags(app: Typer) -> Typer:
    """Have the help of every command of ``app``, and of its groups, show flags without a value."""
    app.info.cls = Group
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            plain_flags(group.typer_instance)
    return app
