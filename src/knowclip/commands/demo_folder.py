"""The folder of a demo: a finished one stays as it is, a stopped one begins anew; no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
        ValueError: A demo of other settings is finished there, or files lie there that are no demo's.
    """
    from knowclip.preflight import machine as preflight

    preflight.own_folder(out, mark=MARK)
    if not (out / "results.json").is_file():
        return None
    if json.loads((out / MARK).read_text(encoding="utf-8")) != asked:
        raise ValueError(
            f"--out {out} holds a finished demo of other settings ({MARK} has them): give --out another "
            f"folder, or delete {out}"
        )
    return f"already done: open {out / 'report.html'}; delete {out} to train again"


def begin(out: Path, asked: Mapping[str, Any], console: Screen) -> None:
    """Mark ``out`` as a demo's folder; say if a demo that was stopped there begins anew."""
    from knowclip.storage.atomic import atomic_file

    if left := [str(out / method) for method in METHODS if (out / method).is_dir()]:
        console.print(f"begins anew, in place of a demo that was stopped: {', '.join(left)}")
    with atomic_file(out / MARK) as partial:
        partial.write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
