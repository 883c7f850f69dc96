"""``knowclip audit TRAIN BENCHMARK``: images that training data and benchmarks share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knowclip.commands.columns import CaptionColumn, ImageColumn, ImagesFolder, SplitColumn, columns_of

if TYPE_CHECKING:
    from knowclip.data.captions.read import CaptionSet

EXAMPLES = 3
"""Shared images of a benchmark that are shown."""


def command(
    train: Annotated[Path, typer.Argument(help="Captioned training images, as `knowclip train` reads them.")],
    benchmark: Annotated[
        Path, typer.Argument(help="Folder of benchmark files, as `knowclip evaluate` reads them.")
    ],
    suite: Annotated[
        list[str] | None, typer.Option("--benchmark", help="Benchmark by name, repeatable; default: all.")
    ] = None,
    train_split: Annotated[
        str | None, typer.Option(help="Split trained on; default: train, of captions without splits all.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the benchmarks.")] = "test",
    look: Annotated[
        bool, typer.Option(help="Compare looks too (perceptual hashes): reads every image.")
    ] = True,
    images: ImagesFolder = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    split_column: SplitColumn = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Count shared images by COCO id, by file name and by look, with examples of each benchmark."""
    from knowclip.console.counts import read_lines
    from knowclip.console.progress import counting, waiting
    from knowclip.console.screen import Screen
    from knowclip.data.captions.read import UNREADABLE, repeated
    from knowclip.preflight import machine as preflight

    preflight.captions(train, "TRAIN")
    preflight.existing(benchmark, "BENCHMARK")
    columns = columns_of(images, image_column, caption_column, split_column)
    with waiting("reading captions and benchmarks"):
        from knowclip.evaluation.controls.leak_audit import audit, coco_ids, images_of
        from knowclip.evaluation.report.write import to_json
        from knowclip.evaluation.suites.folder import read_suite

        benchmarks, _ = read_suite(benchmark, names=suite or (), split=split, allow_missing=True)
        captions = _captions(train, train_split, columns)
        trained = list(dict.fromkeys(example.image.path for example in captions.examples))
        tested = {found.card.name: paths for found in benchmarks if (paths := images_of(found))}
    broken: dict[Path, str] = {}
    total = len(trained) + sum(map(len, tested.values()))
    with counting("reading images", total=total if look else None, unit="images") as progress:
        known = coco_ids([train, benchmark])
        told = audit(trained, tested, known=known, look=look, progress=progress, left_out=broken.__setitem__)
    console = Screen(stderr=json)
    if json:
        print(to_json(told))
    else:
        console.print(_table(told, len(trained) - len(broken)))
        for line in _examples(told):
            console.print(line)
    kept = [example for example in captions.examples if example.image.path not in broken]
    skipped = captions.skipped + Counter({UNREADABLE: len(captions.examples) - len(kept)})
    left_out = [*captions.missing.values(), *broken.values()]
    for line in read_lines(len(kept), skipped, left_out, repeated=repeated(kept)):
        console.print(line)


def _captions(train: Path, split: str | None, columns: dict[str, Any]) -> CaptionSet:
    """The captions of ``split``; where that is None those of "train", or all if there is no such split."""
    from knowclip.data.captions.read import read_captions
    from knowclip.data.formats.rows import NoSuchSplitError

    if split is not None:
        return read_captions(train, split=split, **columns)
    try:
        return read_captions(train, split="train", **columns)
    except NoSuchSplitError:
        return read_captions(train, **columns)


def _table(told: dict[str, Any], trained: int) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        caption=f"images of each benchmark that are among {trained:,} training images, and by which sign",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("benchmark")
    signs = {"coco_id": "COCO id", "file_name": "name", "look": "look"}
    for column in ("images", "shared", "%", *signs.values(), "unreadable"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in told.items():
        counts = [f"{row['by'][sign]:,}" if sign in row["by"] else "not done" for sign in signs]
        shared = [f"{row['shared']:,}", f"{100 * row['shared'] / row['images']:.1f}"]
        table.add_row(name, f"{row['images']:,}", *shared, *counts, f"{row['unreadable']:,}")
    return table


def _examples(told: dict[str, Any]) -> Iterator[str]:
    """The first shared images of each benchmark, with the training image and the signs that tell."""
    for name, row in told.items():
        for each in row["examples"][:EXAMPLES]:
            there, here = Path(each["image"]).name, Path(each["train"][0]).name
            yield f"{name}: {there} = {here} ({', '.join(each['by'])})"
