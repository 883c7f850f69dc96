"""What the site says of a command: usage, arguments, options and defaults, as the command itself has them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

import typer.main

from knowclip.cli import GROUPS, build_app

PAGES = {"index": "indexing"}
"""Command -> its page, where that may not bear its name: ``index.md`` is the page of the folder."""


@cache
def root() -> Any:
    """The command ``knowclip`` as typer builds it."""
    return typer.main.get_command(build_app())


def groups(_: str = "") -> str:
    """Every command under what it is for, with its page."""
    lines = []
    for title, commands in GROUPS.items():
        lines += [f"\n## {title}\n"]
        lines += [
            f"- [`knowclip {name}`]({PAGES.get(name, name)}.md): {told}" for name, told in commands.items()
        ]
    return "\n".join(lines).strip()


def command(name: str) -> str:
    """Usage and parameters of ``knowclip NAME``; of a group, those of each command in it.

    Raises:
        KeyError: There is no such command.
    """
    return "\n".join(
        part for words, one in _leaves(root().commands[name], name) for part in _told(words, one)
    )


def _leaves(one: Any, words: str) -> Iterator[tuple[str, Any]]:
    held = getattr(one, "commands", None)
    if held is None or one.invoke_without_command:
        yield words, one
    for name, inner in (held or {}).items():
        yield from _leaves(inner, f"{words} {name}")


def _told(words: str, one: Any) -> Iterator[str]:
    arguments = [each for each in one.params if each.param_type_name == "argument"]
    options = [each for each in one.params if each.param_type_name == "option" and not each.hidden]
    shown = "".join(f" {_argument(each)}" for each in arguments)
    needed = "".join(f" {each.opts[0]} {_value(each)}" for each in options if each.required)
    more = " [OPTIONS]" if any(not each.required for each in options) else ""
    yield f"## `knowclip {words}`\n"
    yield f"```text\nknowclip {words}{shown}{needed}{more}\n```\n"
    if doc := inspect.getdoc(one.callback):
        yield doc.replace("``", "`") + "\n"
    if one.params:
        yield "| argument or option | what | default |\n|---|---|---|"
        yield from (_row(each) for each in (*arguments, *options))
        yield ""


def _argument(parameter: Any) -> str:
    shown = parameter.metavar or parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
    return shown if parameter.required or shown.startswith("[") else f"[{shown}]"


def _value(parameter: Any) -> str:
    return parameter.metavar or parameter.name.upper().replace("_", "-")


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        named = f"`{_argument(parameter)}`"
    else:
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        named = names if parameter.is_flag else f"{names} `{_value(parameter)}`"
    told = (parameter.help or "").replace("|", "\\|")
    return f"| {named} | {told} | {_default(parameter)} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.secondary_opts:
        return f"`{(parameter.opts if parameter.default else parameter.secondary_opts)[0]}`"
    if parameter.default in (None, False, "", ()) or parameter.is_flag:
        return ""
    several = isinstance(parameter.default, list | tuple)
    return f"`{' '.join(map(str, parameter.default)) if several else parameter.default}`"
