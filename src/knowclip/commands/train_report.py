"""What ``knowclip train`` says of images that cannot be read, and how to go on with a run."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from knowclip.storage.atomic import atomic_file

if TYPE_CHECKING:
    from rich.console import Console

    from knowclip.build.pairs import Pairs
    from knowclip.recipe.recipe import Recipe
    from knowclip.training.loop import Trainer
    from knowclip.types import ImageRef

SAMPLE = 10_000
"""Images that ``--dry-run`` decodes at most."""
NAMED = 20
"""Unreadable images that are named on the screen; ``unreadable.json`` of the run has all."""


def check_images(recipe: Recipe, trainer: Trainer, pairs: Pairs) -> list[str]:
    """Decode images that no cache has decoded, all or an even sample of them; say what became of it.

    Raises:
        ValueError: More are unreadable than training would allow.
    """
    from knowclip.console.progress import counting
    from knowclip.data.images.decoding import refuse_many, unreadable_images

    lines = []
    for what, refs in _uncached(recipe, trainer, pairs).items():
        distinct = list(dict.fromkeys(refs))
        sample = distinct[:: -(-len(distinct) // SAMPLE) or 1]
        with counting(f"decoding {what}", total=len(sample)) as told:
            broken = unreadable_images(sample, progress=told)
        refuse_many([*broken.values()], len(sample), tolerated=recipe.data.max_unreadable, what=what)
        which = "all" if len(sample) == len(distinct) else f"{len(sample):,} of"
        lines.append(f"{which} {len(distinct):,} {what} were decoded, {len(broken):,} are unreadable")
        lines += [f"would be skipped: {reason}" for reason in list(broken.values())[:NAMED]]
    return lines


def _uncached(recipe: Recipe, trainer: Trainer, pairs: Pairs) -> dict[str, list[ImageRef]]:
    from knowclip.data.graphs.collate import graph_images

    found = {}
    if pairs.train and recipe.data.cache == "none":
        found["training images"] = [example.image for example in pairs.train]
    config = recipe.data.graph
    if config is not None and not config.cache:
        graph = trainer.batches.graph.sampler.graph
        found["images of the graph"] = graph_images(graph, margin=config.context_margin)
    return found


def tell_unreadable(console: Console, pairs: Pairs, met: Mapping[str, str], run: Path) -> None:
    """Say how many images and pairs were left out because they cannot be read, before and in training."""
    from knowclip.data.images.decoding import image_name

    named = {**pairs.unreadable, **met}
    if not named or console.quiet:
        return
    before = pairs.skipped["unreadable image"]
    total = len(pairs.train) + len(pairs.val) + before
    lost = before + sum(image_name(example.image) in met for example in pairs.train)
    file = run / "unreadable.json"
    with atomic_file(file) as partial:
        partial.write_text(json.dumps(named, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    console.print(
        f"{total:,} pairs = {total - lost:,} used + {lost:,} skipped (unreadable image); {len(named):,} "
        f"unreadable images in all: {file}",
        markup=False,
    )


def go_on() -> str:
    """Give the line that resumes this command."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return "the same 'accelerate launch' command with --resume at its end"
    given = [argument for argument in sys.argv[1:] if argument != "--resume"]
    return shlex.join(["knowclip", *given, "--resume"])


@contextmanager
def stops_told(console: Console, way: str) -> Iterator[None]:
    """End a command that trains as part of its work: say where it stopped, and ``way``, what is left."""
    from knowclip.training.stopping import TrainingStopped

    try:
        yield
    except TrainingStopped as stopped:
        console.print(f"stopped after step {stopped.position.step:,}; {way}", markup=False, soft_wrap=True)
        raise typer.Exit(128 + stopped.number) from stopped
