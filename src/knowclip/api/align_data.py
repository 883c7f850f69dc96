"""What ``knowclip align`` fits and chooses on; read without torch, so that what is amiss is told at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knowclip.data.captions.read import CaptionSet, read_captions
from knowclip.data.formats.rows import NoSplitsError, NoSuchSplitError
from knowclip.preflight.recipes import Sources

TRAIN, VAL = "train", "val"
HELD_OUT = 0.1
"""Share of the images that the step is chosen by, where the data have no split "val"."""


def read_sources(
    data: Path, *, split: str | None, val_images: int | None, columns: Mapping[str, Any]
) -> tuple[Sources, int]:
    """Read the pairs to fit on, and those to choose by or how many images to hold out for these.

    Args:
        data: As ``read_captions`` takes it.
        split: To fit on; None: "train", or all where the data have no splits.
        val_images: To hold out; None: the split "val", or a tenth of the images where there is none.
        columns: Other arguments of ``read_captions``.

    Raises:
        ValueError: The split is "test", or is not there; the images are too few.
    """
    if split == "test":
        raise ValueError("--split test: a test split is to be measured on, nothing is fitted or chosen on it")
    train = _of_split(data, split or TRAIN, columns, needed=split is not None)
    val = None
    if val_images is None and train is not None and split != VAL:
        val = _of_split(data, VAL, columns, needed=False)
    train = train or read_captions(data, **columns)
    if val is not None:
        return Sources(train, val), 0
    images = len({example.image_id for example in train.examples})
    held = val_images or max(1, round(HELD_OUT * images))
    if held >= images:
        raise ValueError(f"{data}: {held} of {images} images held out leave none to fit on (--val-images)")
    return Sources(train, None), held


def _of_split(data: Path, split: str, columns: Mapping[str, Any], *, needed: bool) -> CaptionSet | None:
    """The pairs of a split; None where it is not needed and the data have none of that name.

    Raises:
        ValueError: It is needed; or is "train", and the data have others: which is meant nobody can know.
    """
    try:
        return read_captions(data, split=split, **columns)
    except NoSuchSplitError as error:
        if needed:
            raise
        if split == TRAIN and not isinstance(error, NoSplitsError):
            raise ValueError(f"{error}. Say which to fit on: --split NAME") from error
    return None
