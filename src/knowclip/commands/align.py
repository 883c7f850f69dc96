"""``knowclip align MODEL --data CAPTIONED --out FOLDER``: one map behind the text tower, folded into it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knowclip.commands.columns import CaptionColumn, ImageColumn, ImagesFolder, SplitColumn, columns_of

if TYPE_CHECKING:
    from knowclip.api.align import Aligned

REPORT = "align.json"


def command(
    model: Annotated[str, typer.Argument(help="Checkpoint folder or file, open_clip name, hf-hub:name.")],
    data: Annotated[Path, typer.Option(help="Captioned images, as `knowclip train` reads them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help=f"Folder for the checkpoint and {REPORT}.")],
    split: Annotated[
        str | None, typer.Option(help="To fit on; default: train, or all where there are no splits.")
    ] = None,
    val_images: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Images of it held out to choose the step by; default: the split val, else a tenth.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of Adam.")] = 1500,
    batch_size: Annotated[int, typer.Option(min=2, help="Pairs a step, at most.")] = 1024,
    own_negative_weight: Annotated[
        float, typer.Option(min=0, help="Of the choice between a caption and its own negatives.")
    ] = 2.0,
    lr: Annotated[float, typer.Option(min=0, help="First learning rate; it falls to 0.")] = 1e-2,
    seed: Annotated[int, typer.Option(help="Of the batches and the negatives kept.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
    images: ImagesFolder = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    split_column: SplitColumn = None,
) -> None:
    """Fit a D x D map of the text embedding on cached embeddings, and fold it into the text projection.

    Captions are parsed and their swaps made, images and texts encoded once. The step is chosen on held-out
    pairs, the model as it is among them. What comes out is a checkpoint like the one that went in
    (docs/align.md).
    """
    from knowclip.console.screen import Screen
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model

    check_model(model, device=device)
    preflight.captions(data, "--data")
    if Path(model).exists() and out.resolve() == Path(model).resolve():
        raise ValueError(f"--out {out} is the model itself: choose another folder")
    preflight.own_folder(out, mark=REPORT)
    preflight.check_parser("spacy")
    settings = {
        "steps": steps,
        "batch_size": batch_size,
        "own_negative_weight": own_negative_weight,
        "lr": lr,
        "seed": seed,
    }
    columns = columns_of(images, image_column, caption_column, split_column)
    aligned = _align(model, data, out, settings, split=split, val_images=val_images, device=device, **columns)
    _write(out, aligned, {"model": model, "data": str(data), "split": split, **settings})
    Screen().print(_table(aligned))
    console = Screen()
    for line in _lines(aligned, out):
        console.print(line)


def _align(
    model: str,
    data: Path,
    out: Path,
    settings: dict[str, Any],
    *,
    split: str | None,
    val_images: int | None,
    device: str | None,
    **columns: Any,
) -> Aligned:
    from knowclip.console.progress import stages

    with stages() as progress:
        progress("reading captions", 0, None)
        from knowclip.api.align_data import read_sources

        sources, held = read_sources(data, split=split, val_images=val_images, columns=columns)
        progress("getting ready", 0, None)
        from knowclip.api.align import align  # torch: after all that can be refused without it
        from knowclip.training.align import AlignSettings

        chosen = AlignSettings(**settings)
        return align(model, sources, out, chosen, val_images=held, device=device, progress=progress)


def _write(out: Path, aligned: Aligned, asked: dict[str, Any]) -> None:
    from dataclasses import asdict

    from knowclip.evaluation.report.write import to_json
    from knowclip.storage.atomic import atomic_file
    from knowclip.storage.own_folder import files_of

    content = {**asked, **asdict(aligned), "command": " ".join(["knowclip", *sys.argv[1:]])}
    content["files"] = files_of(out)
    with atomic_file(out / REPORT) as path:
        path.write_text(to_json(content) + "\n", encoding="utf-8")


def _table(aligned: Aligned) -> Any:
    """What is chosen by, and own choices by kind, before and after."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table

    names = [name for name in aligned.before if name.startswith("swaps/") or name.endswith("R@1")]
    columns = [Column("% right, held out", no_wrap=True)]
    columns += [Column(name, justify="right", no_wrap=True) for name in ("before", "after")]
    table = Table(*columns, box=SIMPLE_HEAD)
    for name in names:
        table.add_row(name, *(f"{100 * part[name]:.1f}" for part in (aligned.before, aligned.after)))
    return table


def _lines(aligned: Aligned, out: Path) -> list[str]:
    """What was fitted on, chosen and written."""
    from knowclip.console.counts import read_lines

    counts = aligned.pairs
    lines = [
        f"fitted on {counts['train']:,} captions and {counts['negatives']:,} negatives, chosen on "
        f"{counts['val']:,} held-out captions"
    ]
    chosen = f"step {aligned.step:,}" if aligned.step else "step 0: no map did better than the model as it is"
    lines.append(f"chosen: {chosen}")
    loads = "stock open_clip loads it" if aligned.kind == "open_clip" else "only knowclip.load reads it"
    lines.append(f"written: {out} ({loads}) and {REPORT} in it")
    kept = counts["train"] + counts["val"]
    return lines + read_lines(kept, aligned.skipped, aligned.unreadable.values())
