"""How an option is spelled by the command that runs, in a recipe, in Python: for messages they share."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

KEYS = "overrides"
"""The argument of commands that take keys of a recipe."""
_parameters: ContextVar[Collection[str] | None] = ContextVar("parameters of the command", default=None)


@contextmanager
def command_with(parameters: Collection[str]) -> Iterator[None]:
    """While it lasts, messages are for who typed a command that has these parameters."""
    before = _parameters.set(parameters)
    try:
        yield
    finally:
        _parameters.reset(before)


def option(*names: str, value: str = "NAME") -> str:
    """Tell how to give an option.

    Args:
        names: Of the argument in Python; names that commands have for it beside that.
        value: What stands for its value.

    Returns:
        ``--caption-column NAME``; ``data.train.caption_column=NAME or data.val.caption_column=NAME``;
        ``caption_column=NAME``; "" for a command without such an option.
    """
    keys = " or ".join(f"data.{part}.{names[0]}={value}" for part in ("train", "val"))
    return _spelled(names, "--{} " + value, keys, f"{names[0]}={value}")


def unset(name: str) -> str:
    """Tell how to do without an option, likewise."""
    return _spelled([name], "without --{}", f"data.train.{name}=null or data.val.{name}=null", f"{name}=None")


def resuming() -> str:
    """Tell how to go on with a run; what trains as part of its work goes on when it is typed again."""
    return allowed("resume") or "the same command"


def allowed(name: str, key: str = "") -> str:
    """Tell how to allow something: a flag of a command, a key of a recipe, an argument in Python."""
    return _spelled([name], "--{}", key, f"{name}=True")


def _spelled(names: Sequence[str], flag: str, keys: str, python: str) -> str:
    parameters = _parameters.get()
    if parameters is None:
        return python
    if (name := next((name for name in names if name in parameters), None)) is not None:
        return flag.format(name.replace("_", "-"))
    return keys if KEYS in parameters else ""
