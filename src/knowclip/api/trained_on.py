"""What a run was trained on, for whoever measures it: photos kept out, photos it has seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from knowclip.data.formats.pairs import GIVEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from knowclip.types import Example, ImageRef

HELD_OUT = "held_out.csv"
"""In a run's folder: the photos that ``data.val_images`` kept out of training, with their captions."""


def write_held_out(run: Path, examples: Sequence[Example]) -> None:
    """Write the pairs that a run is judged by as a table that every command reads; none of regions.

    Of negatives those that the captions brought go with them: who measures makes others, of all kinds.
    """
    if any(example.image.box is not None for example in examples):
        return
    from knowclip.data.captions.selection import write_table

    write_table(run / HELD_OUT, map(_as_brought, examples))


def _as_brought(example: Example) -> Example:
    return replace(example, negatives=tuple(each for each in example.negatives if each.kind == GIVEN))


def seen(model: str | Path, images: Iterable[ImageRef]) -> str | None:
    """Say how many of the images a run was trained on; None: on none of them, or it is no run's folder.

    Images are one by their content. A run on more than 20,000 of them knows the content of a part: more may
    be meant than are told.
    """
    run = _run_of(Path(model))
    if run is None:
        return None
    from knowclip.data.captions.fingerprint import image_hashes
    from knowclip.training.checkpoint import saved_data

    if (data := saved_data(run)) is None:
        return None
    trained = set(data["pairs"]["training pairs"]["images"].tolist())
    distinct = list(dict.fromkeys(images))
    count = sum(one in trained for one in image_hashes(distinct).tolist())
    if not count:
        return None
    held = run / HELD_OUT
    way = (
        f"--data {quote(str(held))} has those that it has not"
        if held.is_file()
        else "measure it on others too"
    )
    return (
        f"{model} was trained on {count:,} of these {len(distinct):,} images, and does better on them than "
        f"on new ones: {way}"
    )


def _run_of(model: Path) -> Path | None:
    """The run's folder of a model that is one, or its ``best`` or ``last``."""
    return next((folder for folder in (model, model.parent) if (folder / "last" / "trainer").is_dir()), None)
