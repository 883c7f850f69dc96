"""The captioned images that scales of 8 bits are taken from, and measured on; read before torch is loaded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from knowclip.console.counts import TOLERATED_SHARE
from knowclip.data.captions.read import UNREADABLE, read_captions
from knowclip.data.images.readable import refuse_many, unreadable_images
from knowclip.types import Example, ImageRef

FEWEST = 16
"""Pairs below which scales would be chance: half of them calibrate."""
MOST = 512


class Calibration(NamedTuple):
    """Images with a caption each; and of all captions read those kept, those skipped, and images left out."""

    pairs: list[tuple[ImageRef, str]]
    kept: list[Example]
    skipped: Counter[str]
    left_out: list[str]


def calibration_pairs(captions: Path, *, split: str | None = None, **columns: Any) -> Calibration:
    """Up to ``MOST`` images, spread over the file, each with its first caption.

    Args:
        captions: Anything that ``read_captions`` reads.
        split: Of them; None: all.
        columns: ``images``, ``image_column``, ``caption_column``, ``split_column`` of ``read_captions``.

    Raises:
        ValueError: Captions or over 1% of the images cannot be read, or fewer than ``FEWEST`` are left.
    """
    source = read_captions(captions, split=split, **columns)
    examples = source.examples
    first = {example.image: example.caption for example in reversed(examples)}
    images = list(dict.fromkeys(example.image for example in examples))
    step = max(1, len(images) // MOST)  # spread over the set, which may be sorted
    chosen = images[::step][:MOST]
    broken = unreadable_images(chosen)
    refuse_many([*broken.values()], len(chosen), tolerated=TOLERATED_SHARE, way="take other captions")
    pairs = [(image, first[image]) for image in chosen if image not in broken]
    refuse_few(len(pairs))
    kept = [example for example in examples if example.image not in broken]
    skipped = source.skipped + Counter({UNREADABLE: len(examples) - len(kept)})
    return Calibration(pairs, kept, skipped, [*source.missing.values(), *broken.values()])


def refuse_few(pairs: int) -> None:
    """Raise ValueError for so few pairs that scales would be chance."""
    if pairs < FEWEST:
        raise ValueError(f"int8 needs at least {FEWEST} captioned images to take scales from, got {pairs}")
