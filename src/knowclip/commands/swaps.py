"""``knowclip swaps FOLDER --out TEST``: captioned images -> a test that text alone does not solve."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from knowclip.commands.columns import CaptionColumn, ImageColumn, ImagesFolder, SplitColumn, columns_of

if TYPE_CHECKING:
    from knowclip.types import Example, ImageRef

UNREADABLE = "image cannot be read"


def command(
    folder: Annotated[
        Path, typer.Argument(help="Captioned images, as 'train' reads them.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; give it to 'evaluate --data'.")],
    split: Annotated[
        str | None,
        typer.Option(help="Split to test on; readers then learn from 'train', else from other parts."),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Kind of negative, again for more; by default all but 'shuffle'.")
    ] = None,
    most: Annotated[int, typer.Option(min=0, help="Items of one kind, at most; 0 is all.")] = 200,
    seed: Annotated[int, typer.Option(help="Same seed, same test.")] = 0,
    parser: Annotated[str, typer.Option(help="Parser.")] = "spacy",
    processes: Annotated[int, typer.Option(min=1, help="Processes that parse.")] = 1,
    images: ImagesFolder = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    split_column: SplitColumn = None,
) -> None:
    """Build a test of captions against hard negatives on which blind readers stand at chance.

    OUT/swaps.jsonl holds the refined items, OUT/full/swaps.jsonl every item; both carry the
    blind scores, which 'evaluate' shows beside the model's. OUT/swaps.json says what the readers saw and what
    they solve.
    """
    import json

    from knowclip.commands.summary import tell_replaced
    from knowclip.console.progress import counting, stages, waiting
    from knowclip.data.captions.negatives import negatives_for
    from knowclip.data.captions.read import read_captions, repeated
    from knowclip.evaluation.benchmarks.swaps import WITHOUT_NEGATIVE
    from knowclip.evaluation.controls.refine import FOLDS, blind_accuracy, refine, scored_items, write_items
    from knowclip.knowledge.negatives.generate import SEMANTIC
    from knowclip.preflight import machine as preflight
    from knowclip.storage.atomic import atomic_file

    preflight.captions(folder, "FOLDER")
    preflight.known_kinds(kind or ())
    preflight.check_parser(parser)
    preflight.results_folder(out)

    def prepared(examples: list[Example], label: str) -> list[Example]:
        with counting(label, total=len(examples), unit="captions") as progress:
            return negatives_for(
                examples,
                parser=parser,
                kinds=kind or SEMANTIC,
                seed=seed,
                processes=processes,
                progress=progress,
            ).examples

    columns = columns_of(images, image_column, caption_column, split_column)
    with waiting("reading captions"):
        source = read_captions(folder, split=split, **columns)
    tell_replaced(out / "swaps.jsonl")
    examples, broken = _readable(source.examples)
    skipped = source.skipped + Counter({UNREADABLE: len(source.examples) - len(examples)})
    tested = prepared(examples, "making negatives")
    skipped += Counter({WITHOUT_NEGATIVE: sum(not example.negatives for example in tested)})
    told_of = [example for example in tested if example.negatives]
    items_left_out: Counter[str] = Counter()
    training: list[Example] = []
    if split is not None:
        others = read_captions(folder, split="train", **columns).examples
        training = prepared(others, "making negatives to learn from")
    with stages() as progress:
        items = scored_items(tested, training, seed=seed, progress=progress)
        progress("choosing and writing items", 0, None)
        kept = refine(items, most=most, seed=seed, skipped=items_left_out)
        write_items(out / "swaps.jsonl", kept)
        write_items(out / "full" / "swaps.jsonl", items)
    readers = "split 'train'" if training else f"the other {FOLDS - 1} of {FOLDS} parts of the images"
    summary: dict[str, Any] = {
        "readers_saw": f"captions of {readers} and, for the classifier, their negatives of the same kinds",
        "full": blind_accuracy(items),
        "refined": blind_accuracy(kept),
        "seed": seed,
        "captions": {"read": source.read, "kept": len(told_of), "skipped": skipped},
        "items": {"read": len(items), "kept": len(kept), "skipped": +items_left_out},
    }
    with atomic_file(out / "swaps.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    _show(summary, out, left_out=[*source.missing.values(), *broken], repeated=repeated(told_of))


def _readable(examples: list[Example]) -> tuple[list[Example], list[str]]:
    """Leave out the captions of images that no model could be shown; why those cannot be read."""
    from knowclip.console.progress import counting
    from knowclip.storage.pixels import load_pixels

    refs = dict.fromkeys(example.image for example in examples)
    broken: dict[ImageRef, str] = {}
    with counting("reading images", total=len(refs), unit="images") as progress:
        for number, ref in enumerate(refs, start=1):
            try:
                load_pixels(ref)
            except ValueError as error:
                broken[ref] = str(error)
            progress(number)
    kept = [example for example in examples if example.image not in broken]
    return kept, list(broken.values())


def _cells(part: dict[str, Any] | None) -> list[str]:
    if part is None:
        return ["0", "", ""]
    return [f"{part['n']:,}", f"{part['ngram']:.1%}", f"{part['classifier']:.1%}"]


def _show(summary: dict[str, Any], out: Path, *, left_out: list[str], repeated: int) -> None:
    """Print what the readers solve, what was written, and what became of every item and caption."""
    from rich.table import Table

    from knowclip.console.counts import read_line, read_lines
    from knowclip.console.screen import Screen

    console = Screen()
    table = Table(
        title="Items, and the share of them solved by readers that see no image",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
    )
    table.add_column("kind", no_wrap=True)
    for part in ("all", "refined"):
        for column in ("items", "n-gram", "classifier"):
            table.add_column(f"{part}:\n{column}", justify="right")
    for kind, full in summary["full"].items():
        table.add_row(kind, *_cells(full), *_cells(summary["refined"].get(kind)))
    console.print(table)
    items, captions = summary["items"], summary["captions"]
    console.print(f"written: {out / 'swaps.jsonl'} ({items['kept']:,} items), all of them in {out / 'full'}")
    console.print(read_line(items["kept"], items["skipped"], what="items"))
    for line in read_lines(captions["kept"], captions["skipped"], left_out, repeated=repeated):
        console.print(line)
