"""The ``last`` checkpoints that a run keeps: ``last``, and before it ``last-STEP``; no torch.

A damaged one is never loaded and never lost: it is set aside as ``damaged-...``, and the run goes on from the
one before it.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from knowclip.storage.atomic import recover
from knowclip.storage.checksums import refuse_damaged_folder

LAST = "last"
TRAINING = "training.json"
_FORMER = re.compile(rf"{LAST}-(\d+)")


def formers(run: Path) -> list[Path]:
    """The checkpoints before ``last``, the newest first."""
    found = [path for path in run.glob(f"{LAST}-*") if _FORMER.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)


def place_of_former(run: Path, *, step: int, keep: int) -> Path | None:
    """Where ``last`` goes when one of ``step`` takes its place; None: it is not kept."""
    told = run / LAST / TRAINING
    try:
        before = int(json.loads(told.read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # there is none, or it is damaged
    return None if keep == 1 or before == step else run / f"{LAST}-{before}"


def remove_old(run: Path, *, keep: int) -> None:
    """Leave ``last`` and the newest before it, ``keep`` in all."""
    for folder in formers(run)[keep - 1 :]:
        shutil.rmtree(folder)


def recover_last(run: Path) -> None:
    """Put back a ``last`` whose replacement was interrupted; where it is gone, the newest before it."""
    last = run / LAST
    recover(last)
    if not last.exists() and (kept := formers(run)):
        kept[0].rename(last)


def fall_back(run: Path) -> str | None:
    """Put the newest checkpoint that is as it was saved in the place of a damaged ``last``.

    Returns:
        What happened, for the user; None: ``last`` is whole, or there is none at all.

    Raises:
        ValueError: All are damaged; nothing was moved.
    """
    recover_last(run)
    last = run / LAST
    damaged: dict[Path, ValueError] = {}
    for folder in (last, *formers(run)):
        try:
            refuse_damaged_folder(folder)
        except ValueError as error:
            damaged[folder] = error
        else:
            break
    else:
        raise _all_damaged(run, damaged)
    if not damaged:
        return None
    for each in damaged:
        _set_aside(each)
    folder.rename(last)
    return (
        f"{damaged[last]}. The run goes on from {folder.name}, which is whole and is {LAST} now; what is "
        f"damaged was set aside as {', '.join(_aside(each).name for each in damaged)}"
    )


def _all_damaged(run: Path, damaged: dict[Path, ValueError]) -> ValueError:
    first, *others = damaged.values()
    before = (
        f"So are the {len(others)} before it"
        if others
        else "output.keep_last=2 would have kept the one before it"
    )
    best = f" from model.name={run / 'best'}" if (run / "best").is_dir() else ""
    return ValueError(f"{first}. {before}. Else start a new run{best} with another output.folder")


def _aside(folder: Path) -> Path:
    return folder.with_name(f"damaged-{folder.name}")


def _set_aside(folder: Path) -> None:
    shutil.rmtree(_aside(folder), ignore_errors=True)
    folder.rename(_aside(folder))
