"""``knowclip scenes OUT``: write the embedded OpenMoji scenes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[Path, typer.Argument(help="Folder to make (replaced as a whole when all is drawn).")],
    train: Annotated[int, typer.Option(min=0, help="Training scenes.")] = 20000,
    val: Annotated[int, typer.Option(min=0, help="Validation scenes.")] = 1500,
    test: Annotated[int, typer.Option(min=0, help="Test scenes.")] = 1500,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 64,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw.")] = os.cpu_count() or 1,
) -> None:
    """Write OpenMoji scenes with exact graphs in Visual Genome, COCO and ARO formats."""
    import time

    from rich.console import Console

    from knowclip.console.progress import counting
    from knowclip.data.scenes.sprites import LICENCE
    from knowclip.data.scenes.write import write_scenes
    from knowclip.preflight import machine as preflight

    preflight.require("scenes", "drawing scenes")
    preflight.writable_folder(out, "OUT")
    if out.is_dir() and any(out.iterdir()) and not (out / "scenes.json").is_file():
        raise ValueError(f"{out} holds other things than scenes and would be replaced: choose another folder")
    console = Console()
    start = time.perf_counter()
    with counting("drawing scenes", total=train + val + test, unit="scenes") as progress:
        drawn = write_scenes(
            out,
            numbers={"train": train, "val": val, "test": test},
            seed=seed,
            size=size,
            workers=workers,
            progress=progress,
        )
    seconds = time.perf_counter() - start
    console.print(
        f"{len(drawn):,} scenes in [bold]{out}[/] ({len(drawn) / seconds:,.0f} scenes/s). {LICENCE}."
    )
