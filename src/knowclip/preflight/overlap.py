"""Images that a run learns from and is selected on too: counted, and refused where they are many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from knowclip.data.images.identity import ImageFiles
from knowclip.recipe.data import DataConfig
from knowclip.types import Example


def refuse_overlap(
    examples: Sequence[Example], measured: Sequence[Path], *, share: float, remedy: str = ""
) -> list[Path]:
    """Name the images that a run is selected on and learns from too; images are compared as files.

    Args:
        examples: What it learns from.
        measured: Images that it is selected on.
        share: Of these, that may be both.
        remedy: What to do about more, where it is not what a recipe's data need as a rule.

    Raises:
        ValueError: They are more than ``share`` of those it is selected on.
    """
    held_out = ImageFiles(measured)
    shared = held_out.shared_with(ImageFiles(example.image.path for example in examples))
    _refuse_many(shared, of=len(held_out.states), share=share, remedy=remedy)
    return sorted(shared)


def remedy_of(data: DataConfig) -> str:
    """What to do where both are of one table, of which a split is validated on and all is learned from."""
    train, val = data.train, data.val
    if train is None or val is None or train.path != val.path or train.split or not val.split:
        return ""
    return (
        f"{train.path} is learned from as a whole, its split {val.split!r} too: name the split to learn "
        "from, as with data.train.split=train"
    )


def refuse_same_paths(
    train: Sequence[Example], val: Sequence[Example], *, share: float, remedy: str = ""
) -> None:
    """Raise what :func:`refuse_overlap` would where paths alone tell it: in an instant, before a model."""
    measured = {example.image.path for example in val}
    shared = measured & {example.image.path for example in train}
    _refuse_many({path: path for path in sorted(shared)}, of=len(measured), share=share, remedy=remedy)


def _refuse_many(shared: Mapping[Path, Path], *, of: int, share: float, remedy: str = "") -> None:
    if len(shared) <= share * of:
        return
    path, same = next(iter(shared.items()))
    twin = "" if path == same else f" (the same file as {same})"
    enough = math.ceil(1000 * len(shared) / of) / 1000
    remedy = remedy or (
        "Take them out of data.train or data.val; hold images of data.train out in place of data.val, as "
        f"with data.val=null data.val_images=200; or allow them with data.max_overlap={enough:g}"
    )
    raise ValueError(
        f"{len(shared):,} of {of:,} validation images are training images too, by "
        f"place on disk or content, such as {path}{twin}: numbers on them say little. {remedy}"
    )
