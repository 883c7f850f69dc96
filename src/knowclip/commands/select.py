"""``knowclip select CAPTIONS``: the pairs that teach structure, without the images of benchmarks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowclip.commands.columns import CaptionColumn, ImageColumn, ImagesFolder, SplitColumn, columns_of

if TYPE_CHECKING:
    from knowclip.types import Example


def command(
    captions: Annotated[Path, typer.Argument(help="Captioned images, as `knowclip train` reads them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write; its images stay where they are.")],
    split: Annotated[str | None, typer.Option(help="Split; Karpathy's train takes in restval.")] = None,
    images: ImagesFolder = None,
    objects: Annotated[int, typer.Option(min=0, help="Fewest objects of a caption.")] = 2,
    attributes: Annotated[int, typer.Option(min=0, help="Fewest attributes.")] = 2,
    relations: Annotated[int, typer.Option(min=0, help="Fewest relations.")] = 1,
    exclude: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of benchmarks whose images are left out, by COCO id and name; repeatable."),
    ] = None,
    parser: Annotated[str, typer.Option(help="Parser.")] = "spacy",
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    split_column: SplitColumn = None,
) -> None:
    """Choose pairs whose captions hold several objects, attributes and relations; print what they yield."""
    from knowclip.commands.summary import show, tell_replaced
    from knowclip.console.progress import counting, waiting
    from knowclip.data.captions.read import read_captions, repeated
    from knowclip.data.captions.selection import select, write_table
    from knowclip.preflight import machine as preflight

    preflight.captions(captions, "CAPTIONS")
    for folder in exclude or ():
        preflight.existing(folder, "--exclude")
    preflight.check_parser(parser)
    preflight.writable_file(out, suffixes=(".csv",), read=[captions])
    columns = columns_of(images, image_column, caption_column, split_column)
    with waiting("reading captions"):
        source = read_captions(captions, split=split, **columns)
    examples = _without(source.examples, exclude or [], beside=captions)
    tell_replaced(out)
    with counting("parsing", total=len(examples), unit="captions") as progress:
        selection = select(
            examples,
            objects=objects,
            attributes=attributes,
            relations=relations,
            parser=parser,
            progress=progress,
        )
    write_table(out, selection.examples)
    excluded = Counter({"image of a benchmark": len(source.examples) - len(examples)})
    counts = {"pairs read": source.read, "chosen": len(selection.examples)}
    share = len(selection.examples) / max(1, len(examples))
    title = f"written: {out} ({share:.1%} of the {len(examples):,} pairs that may be used)"
    skipped = source.skipped + excluded + selection.left_out
    chosen = selection.examples
    missing = source.missing.values()
    show(title, counts, skipped, kept=len(chosen), repeated=repeated(chosen), left_out=missing)


def _without(examples: list[Example], folders: list[Path], *, beside: Path) -> list[Example]:
    """Leave out the images that benchmarks in the folders hold."""
    from knowclip.evaluation.controls.leak_audit import coco_id, coco_ids, images_of
    from knowclip.evaluation.suites.folder import read_suite

    if not folders:
        return examples
    known = coco_ids([beside, *folders])
    held = {
        path
        for folder in folders
        for benchmark in read_suite(folder, allow_missing=True)[0]
        for path in images_of(benchmark)
    }
    names = {path.name for path in held}
    ids = {number for path in held if (number := coco_id(path, known)) is not None}
    return [
        example
        for example in examples
        if example.image.path.name not in names and coco_id(example.image.path, known) not in ids
    ]
