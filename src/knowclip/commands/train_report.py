"""What ``knowclip train`` says of images that cannot be read, and how to go on with a run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from knowclip.console.counts import counted, named

if TYPE_CHECKING:
    from rich.console import Console

    from knowclip.build.pairs import Pairs
    from knowclip.recipe.recipe import Recipe
    from knowclip.training.loop import Trainer
    from knowclip.types import ImageRef

SAMPLE = 10_000
"""Images that ``--dry-run`` decodes at most."""
OTHER_SWAPS = "'knowclip evaluate' draws from all negatives of every kind: its swaps is another number"
TRAINING = "training images"


def plan(recipe: Recipe, trainer: Trainer, pairs: Pairs) -> list[str]:
    """What of a run its recipe does not say outright: an epoch's pairs, warm-up, whose weights, its swaps."""
    from knowclip.data.captions.by_image import by_image
    from knowclip.evaluation.benchmarks.swaps import BlindScored
    from knowclip.training.optim import warmup_steps

    lines = []
    if pairs.train and recipe.data.captions_per_image == "one":
        images = counted(len(by_image(pairs.train)), "image")
        lines.append(
            f"an epoch shows each of {images} once, with one of its captions (data.captions_per_image=one)"
        )
    if warmup := warmup_steps(recipe.schedule.warmup, trainer.steps):
        lines.append(f"warm-up: {counted(warmup, 'step')} of {trainer.steps:,}")
    if trainer.ema is not None:
        lines.append(f"best and last hold the moving average of the weights, decay {trainer.ema:g}")
    if trainer.sharding is not None:
        lines.append(
            f"FSDP2: parameters, gradients and moments are cut over {trainer.accelerator.num_processes} "
            f"processes, checkpoints are {trainer.sharding}"
        )
    for benchmark in getattr(trainer.validate, "benchmarks", ()):
        if isinstance(benchmark, BlindScored) and not benchmark.blind:
            told = "; ".join(benchmark.kinds())
            lines.append(f"validation's swaps, one negative a caption: {told}. {OTHER_SWAPS}")
    return lines


def negatives_told(recipe: Recipe, pairs: Pairs) -> list[str]:
    """Of which kinds negatives were asked for, and how many training captions have one of each, or none."""
    from knowclip.knowledge.negatives.generate import SWAPS

    if not pairs.kinds and not pairs.without:
        return []
    kinds = recipe.data.negatives.kinds or SWAPS
    lines = [f"kinds of negatives (data.negatives.kinds): {', '.join(kinds)}"]
    lines += [
        f"{counted(count, 'training caption')} with a negative of kind {kind}"
        for kind, count in sorted(pairs.kinds.items())
    ]
    return lines + [
        f"{counted(count, 'training caption')} without a negative of these kinds: {reason}"
        for reason, count in sorted(pairs.without.items())
    ]


def check_images(recipe: Recipe, trainer: Trainer, pairs: Pairs) -> list[str]:
    """Decode images that no cache has decoded, all or an even sample of them; say what became of it.

    Raises:
        ValueError: More are unreadable than training would allow.
    """
    from knowclip.console.progress import counting
    from knowclip.data.images.readable import refuse_many, unreadable_images

    lines = []
    for what, refs in _uncached(recipe, trainer, pairs).items():
        distinct = list(dict.fromkeys(refs))
        sample = distinct[:: -(-len(distinct) // SAMPLE) or 1]
        with counting(f"decoding {what}", total=len(sample)) as told:
            broken = unreadable_images(sample, progress=told)
        # a sample stands for itself; images that are all decoded are judged as training judges them
        of = pairs.images if what == TRAINING and len(sample) == len(distinct) else None
        refuse_many([*broken.values()], len(sample), tolerated=recipe.data.max_unreadable, what=what, of=of)
        which = "all" if len(sample) == len(distinct) else f"{len(sample):,} of"
        lines.append(f"{which} {len(distinct):,} {what} were decoded, {len(broken):,} are unreadable")
        lines += named([*broken.values()], ahead="would be skipped")
    return lines


def _uncached(recipe: Recipe, trainer: Trainer, pairs: Pairs) -> dict[str, list[ImageRef]]:
    from knowclip.data.graphs.collate import graph_images

    found = {}
    if pairs.train and recipe.data.cache == "none":
        found[TRAINING] = [example.image for example in pairs.train]
    config = recipe.data.graph
    if config is not None and not config.cache:
        graph = trainer.batches.graph.sampler.graph
        found["images of the graph"] = graph_images(graph, margin=config.context_margin)
    return found


def chosen_by(metrics: Sequence[str]) -> str:
    """Name the number that best was chosen by: a metric, or the mean of several."""
    return "mean of " * (len(metrics) > 1) + ", ".join(metrics)


def tell_measuring(console: Console, recipe: Recipe) -> None:
    """Give the line that measures a run on the photos by which its best was chosen."""
    from knowclip.api.trained_on import HELD_OUT

    run, val = recipe.output.folder, recipe.data.val
    if (held := run / HELD_OUT).is_file():
        what, options = "the photos it held out", ["--data", str(held)]
    elif val is not None and val.format is None:
        what, options = "its validation data", ["--data", str(val.path)]
        for name in ("split", "images", "image_column", "caption_column", "split_column"):
            if (value := getattr(val, name)) is not None:
                options += [f"--{name.replace('_', '-')}", str(value)]
    else:
        return
    console.print(f"measure it on {what}, by which its best was chosen:")
    console.print(shlex.join(["knowclip", "evaluate", str(run), *options]), soft_wrap=True)


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
        console.print(f"stopped after step {stopped.position.step:,}; {way}")
        raise typer.Exit(128 + stopped.number) from stopped
