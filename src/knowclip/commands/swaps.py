"""``knowclip swaps FOLDER --out TEST``: captioned images -> a test that text alone does not solve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from knowclip.types import Example


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
) -> None:
    """Build a test of captions against hard negatives on which blind readers stand at chance.

    OUT/swaps.jsonl holds the refined items, OUT/full/swaps.jsonl every item; both carry the
    blind scores, which 'evaluate' shows beside the model's. OUT/swaps.json says what the readers saw and what
    they solve.
    """
    import json

    from rich.console import Console

    from knowclip.atomic import atomic_file
    from knowclip.data.captions import read_captions
    from knowclip.data.prepare import negatives_for
    from knowclip.evaluation.refine import FOLDS, blind_accuracy, refine, scored_items, write_items
    from knowclip.knowledge.negatives import SEMANTIC
    from knowclip.progress import counting

    def prepared(examples: list[Example], label: str) -> list[Example]:
        with counting(label, total=len(examples)) as progress:
            return negatives_for(
                examples,
                parser=parser,
                kinds=kind or SEMANTIC,
                seed=seed,
                processes=processes,
                progress=progress,
            ).examples

    tested = prepared(read_captions(folder, split=split).examples, "making negatives")
    training: list[Example] = []
    if split is not None:
        training = prepared(read_captions(folder, split="train").examples, "making negatives to learn from")
    items = scored_items(tested, training, seed=seed)
    kept = refine(items, most=most, seed=seed)
    write_items(out / "swaps.jsonl", kept)
    write_items(out / "full" / "swaps.jsonl", items)
    source = "split 'train'" if training else f"the other {FOLDS - 1} of {FOLDS} parts of the images"
    summary: dict[str, Any] = {
        "readers_saw": f"captions of {source} and, for the classifier, their negatives of the same kinds",
        "full": blind_accuracy(items),
        "refined": blind_accuracy(kept),
        "seed": seed,
    }
    with atomic_file(out / "swaps.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    _show(Console(), summary)
    Console().print(
        f"written: {out / 'swaps.jsonl'} ({len(kept):,} items), of {len(items):,} in {out / 'full'}"
    )


def _cells(part: dict[str, Any] | None) -> list[str]:
    if part is None:
        return ["0", "", ""]
    return [f"{part['n']:,}", f"{part['ngram']:.1%}", f"{part['classifier']:.1%}"]


def _show(console: Any, summary: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title="Solved by readers that see no image", title_justify="left")
    for column in ("kind", "items", "n-gram", "classifier", "refined", "n-gram", "classifier"):
        table.add_column(column, justify="left" if column == "kind" else "right", overflow="fold")
    for kind, full in summary["full"].items():
        table.add_row(kind, *_cells(full), *_cells(summary["refined"].get(kind)))
    console.print(table)
