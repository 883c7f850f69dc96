"""The folder of a demo: a finished one stays as it is, a stopped one goes on; no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowclip.commands.demo_methods import METHODS

if TYPE_CHECKING:
    from knowclip.console.screen import Screen

MARK = "demo.json"
"""File by which a demo's folder is known: what was asked of the demo that was begun there."""


def already_done(out: Path, asked: Mapping[str, Any]) -> str | None:
    """Say where to find the demo that is finished in ``out``, if it is the one that is asked for.

    Args:
        out: The demo's folder; need not be there.
        asked: Seeds, overrides and base of the demo, in JSON types.

    Returns:
        A line for the user; None: there is no finished demo.

    Raises:
        ValueError: A demo of other settings was begun there, or files lie there that are no demo's.
    """
    from knowclip.preflight import machine as preflight

    if (out / MARK).is_file():
        preflight.writable_folder(out)
    else:
        preflight.own_folder(out)
    done = (out / "results.json").is_file()
    if (done or _begun(out)) and _asked_of(out) != asked:
        raise ValueError(
            f"--out {out} holds a {'finished' if done else 'stopped'} demo of other settings ({MARK} has "
            f"them): give --out another folder, or delete {out}"
        )
    return None if not done else f"already done: open {out / 'report.html'}; delete {out} to train again"


@contextmanager
def held(out: Path, asked: Mapping[str, Any], console: Screen) -> Iterator[bool]:
    """Hold the folder of a demo while it runs, so that no second one begins there, and mark it.

    A demo that was stopped there goes on; it is of the same settings (:func:`already_done`). Yields whether
    one was.

    Raises:
        ValueError: A demo runs there.
    """
    from knowclip.storage.atomic import atomic_file
    from knowclip.storage.locks import locked

    with locked(out, doing="running a demo"):
        if left := sorted(str(path) for path in _begun(out)):
            console.print(f"a demo was stopped here, and goes on: {', '.join(left)}")
        with atomic_file(out / MARK) as partial:
            partial.write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
        yield bool(left)


def _begun(out: Path) -> list[Path]:
    """What a demo trains, as far as it came."""
    found = [out / "scenes-base", *(out / method for method in METHODS), *out.glob("seed-*")]
    return [path for path in found if path.is_dir()]


def _asked_of(out: Path) -> Any:
    """What was asked of the demo that was begun there; None where nothing tells."""
    try:
        return json.loads((out / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
