"""The ``knowclip`` command: one file a subcommand under ``commands/``, mounted here."""

from __future__ import annotations

import sys
from importlib import import_module

import typer
from rich.console import Console

COMMANDS = {
    "demo": "See the difference knowledge makes: train twice, compare, write a report.",
    "scenes": "Write the embedded OpenMoji scenes in Visual Genome, COCO and ARO formats.",
    "parse": "Turn captions into scene graphs.",
    "negatives": "Turn captions into hard-negative captions.",
    "train": "Train a CLIP from a YAML recipe.",
    "evaluate": "Measure a CLIP on benchmarks.",
    "graph": "Import, inspect, filter and split knowledge graphs.",
}
"""Subcommand -> help. ``commands/<name>.py`` defines ``app`` (a group) or ``command`` (a function)."""


def build_app() -> typer.Typer:
    """Mount every subcommand; heavy imports happen inside the command functions."""
    app = typer.Typer(
        name="knowclip",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,
        help="CLIP models that understand structure.",
    )
    for name, text in COMMANDS.items():
        module = import_module(f"knowclip.commands.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, help=text)
        else:
            app.command(name, help=text)(module.command)
    return app


def main() -> None:
    """Console entry point: what a user can mend (``ValueError``, ``OSError``) is a line, not a traceback."""
    try:
        build_app()()
    except (ValueError, OSError, ImportError) as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {error}", highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
