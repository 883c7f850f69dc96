"""``knowclip scenes OUT``: write the embedded OpenMoji scenes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[Path, typer.Argument(help="Folder to make: a new or an empty one.")],
    train: Annotated[int, typer.Option(min=0, help="Training scenes.")] = 20000,
    val: Annotated[int, typer.Option(min=0, help="Validation scenes.")] = 1500,
    test: Annotated[int, typer.Option(min=0, help="Test scenes.")] = 1500,
    train_twins: Annotated[int, typer.Option(min=0, help="Pairs of swapped twins to train on.")] = 0,
    val_twins: Annotated[int, typer.Option(min=0, help="Validation's pairs of twins.")] = 200,
    test_twins: Annotated[int, typer.Option(min=0, help="Pairs of twins to test on.")] = 600,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 64,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw.")] = os.cpu_count() or 1,
) -> None:
    """Write OpenMoji scenes with exact graphs in Visual Genome, COCO and ARO formats."""
    import time

    from knowclip.console.progress import stages
    from knowclip.console.screen import Screen
    from knowclip.data.scenes.sprites import LICENCE
    from knowclip.data.scenes.write import already_drawn, write_scenes
    from knowclip.preflight import machine as preflight

    preflight.require("scenes", "drawing scenes")
    console = Screen()
    twins = {"train": train_twins, "val": val_twins, "test": test_twins}
    settings = {
        "numbers": {"train": train, "val": val, "test": test},
        "twins": twins,
        "seed": seed,
        "size": size,
    }
    if already_drawn(out, **settings):
        console.print(f"already there: {out} holds scenes of these settings; remove it to draw them anew")
        return
    preflight.own_folder(out, "OUT")
    start = time.perf_counter()
    total = train + val + test + 2 * sum(twins.values())
    with stages() as progress:
        drawn = write_scenes(out, **settings, workers=workers, progress=progress)
    seconds = time.perf_counter() - start
    console.print(
        f"{len(drawn):,} scenes and {sum(twins.values()):,} pairs of twins in {out} "
        f"({total / seconds:,.0f} pictures/s). {LICENCE}."
    )
