"""``knowclip doctor``: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FREE = 5 * 10**9
"""Bytes of free disk that a run may fill: so many has a checkpoint of ViT-L/14 with its optimiser."""
COLUMN = 19
"""Where what is told of a name begins."""


def command() -> None:
    """Tell versions, devices, extras, caches and free disk; end with 1 where something will not work."""
    from knowclip.console.progress import waiting
    from knowclip.console.screen import Screen, beside

    console = Screen()
    width = console.width if console.is_terminal else None
    problems: list[str] = []
    parts: dict[str, Callable[[], list[tuple[str, str]]]] = {
        "versions": versions,
        "devices": devices,
        "extras": extras,
        "caches": lambda: caches(problems),
        "disk": lambda: disk(problems),
    }
    for title, look in parts.items():
        console.print(title, style="bold")
        with waiting("loading torch" if look is devices else "looking"):
            lines = look()
        for name, told in lines:
            console.print(beside(name, told, column=COLUMN, width=width), soft_wrap=True)
    for problem in problems:
        console.print(f"problem: {problem}", style="red")
    if problems:
        raise SystemExit(1)
    console.print("nothing is in the way; what other packages add: knowclip plugins --check")


def versions() -> list[tuple[str, str]]:
    """Of knowclip, Python and the packages below it."""
    import platform

    import knowclip
    from knowclip.preflight import packages

    own = [("knowclip", knowclip.__version__), ("Python", platform.python_version())]
    return [*own, ("system", platform.platform()), *packages.versions().items()]


def devices() -> list[tuple[str, str]]:
    """What torch computes on, and whether train.precision=bf16 pays there."""
    from knowclip.models.devices import devices as present

    hardware = {
        True: "bf16 in hardware: train.precision=bf16 pays",
        False: "no bf16 in hardware, as far as torch knows: keep train.precision=fp32",
    }
    return [(device.name, f"{device.what}; {hardware[device.bf16]}") for device in present()]


def extras() -> list[tuple[str, str]]:
    """Each extra: there, or what it lacks, what for, and the command that installs it."""
    from knowclip.preflight.packages import PURPOSES, missing

    return [
        (
            extra,
            f'lacks {lacks}, for {PURPOSES[extra]}: pip install "knowclip[{extra}]"'
            if lacks
            else "installed",
        )
        for extra, lacks in missing().items()
    ]


def caches(problems: list[str]) -> list[tuple[str, str]]:
    """Where caches lie and how large they are; a folder that cannot be written to is a problem."""
    import os
    from pathlib import Path

    from rich.filesize import decimal

    from knowclip.commands.cache import told
    from knowclip.storage.cached import cached, size
    from knowclip.storage.caches import VARIABLE, cache_folder, named_folder

    try:
        folder = cache_folder()
    except ValueError as error:
        problems.append(str(error))
        folder = Path(named_folder())
    source = f"set by {VARIABLE}" if os.environ.get(VARIABLE) else f"the default; {VARIABLE} is not set"
    hub = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    held = decimal(size(hub)) if hub.exists() else "nothing"
    return [
        ("knowclip", f"{folder} ({source}): {told(cached(folder)[0])}; knowclip cache clears"),
        ("Hugging Face", f"{hub}: {held}; HF_HOME names another folder"),
    ]


def disk(problems: list[str]) -> list[tuple[str, str]]:
    """Free disk where caches, runs and temporary files go; little of it is a problem."""
    import tempfile
    from pathlib import Path

    from knowclip.storage.caches import VARIABLE, named_folder

    places = {
        "caches": (
            Path(named_folder()).expanduser(),
            f"set {VARIABLE} to another, or 'knowclip cache clear'",
        ),
        "here": (Path.cwd(), "work elsewhere, or write runs elsewhere (output.folder)"),
        "temporary": (Path(tempfile.gettempdir()), "set TMPDIR to another"),
    }
    return [(name, _free(place, way, problems)) for name, (place, way) in places.items()]


def _free(place: Path, way: str, problems: list[str]) -> str:
    import shutil

    from rich.filesize import decimal

    there = next(path for path in (place, *place.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < FREE:
        problems.append(f"{place} has {decimal(free)} left, less than {decimal(FREE)}: {way}")
    return f"{decimal(free)} free at {place}"
