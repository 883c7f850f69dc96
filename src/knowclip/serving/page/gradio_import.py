"""Gradio's import without its half that is of no use here.

Gradio (6.31) parses the source of each of its components as it is imported and writes a ``.pyi`` file for
editors beside it, in its own folder, where that has changed: more than half of the CPU time of ``import
gradio``. It leaves out a component whose file cannot be found.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without_interface_files() -> Iterator[None]:
    """Within it, the files of Gradio's components are not found."""
    find = inspect.getfile

    def getfile(thing: Any) -> str:
        if type(thing).__name__ == "ComponentMeta":
            raise OSError("a component's file is not asked for here")
        return find(thing)

    inspect.getfile = getfile
    try:
        yield
    finally:
        inspect.getfile = find
