"""``knowclip negatives CAPTIONS``: captions or their graphs -> hard-negative captions, as JSON lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowclip.commands.parse import BatchSize, Column, KeyColumn, Parser

if TYPE_CHECKING:
    from knowclip.knowledge.records import GraphRecord, NegativeRecord


def command(
    captions: Annotated[
        Path,
        typer.Argument(
            help="Captions as 'parse' reads them ('-' is standard input), or graphs.jsonl of 'parse'.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("negatives.jsonl"),
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="Kind of negative, again for more; by default all but 'shuffle' (random word order)."
        ),
    ] = None,
    most: Annotated[int, typer.Option(min=0, help="Negatives a caption, drawn by the seed; 0 is all.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the draw; same seed, same file.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Page to write with a sample to browse.")] = None,
    parser: Parser = "spacy",
    column: Column = None,
    key_column: KeyColumn = None,
    batch_size: BatchSize = 256,
) -> None:
    """Turn captions into captions that read like them and are false.

    Captions of one image, or in a row with one key, are all true: what one of them says is no negative of
    another.
    """
    from knowclip.commands.summary import show, tell_replaced
    from knowclip.console.progress import counting, waiting
    from knowclip.console.screen import Screen
    from knowclip.knowledge.negatives.generate import SEMANTIC
    from knowclip.knowledge.negatives.html_page import write_page
    from knowclip.knowledge.parsing.caption_texts import (
        by_image,
        counted_ahead,
        parse_texts,
        read_texts,
        refuse_none,
    )
    from knowclip.knowledge.records import (
        count_records,
        holds_captions,
        read_graphs,
        read_negatives,
        write_negatives,
    )
    from knowclip.preflight import machine as preflight

    skipped: Counter[str] = Counter()
    found: Counter[str] = Counter()
    if str(captions) != "-":
        preflight.captions(captions, "CAPTIONS")
    preflight.known_kinds(kind or ())
    preflight.writable_file(out, suffixes=(".jsonl",), read=[captions])
    if html is not None:
        preflight.writable_file(html, "--html", suffixes=(".html", ".htm"), read=[captions])
    if captions.suffix == ".jsonl" and not holds_captions(captions):
        records, total = read_graphs(captions), count_records(captions)
    else:
        preflight.check_parser(parser)
        path = None if str(captions) == "-" else captions
        texts = read_texts(path, column=column, key_column=key_column, skipped=skipped)
        texts, total = refuse_none(texts, path, skipped), None
        if path is not None:  # what is typed comes as it is typed
            with waiting("reading captions"):
                texts, total = counted_ahead(by_image(texts))
        records = parse_texts(texts, parser=parser, batch_size=batch_size)
    tell_replaced(out, html)
    with counting("making negatives", total=total, unit="captions") as progress:

        def counted() -> Iterator[GraphRecord]:
            for number, record in enumerate(records, 1):
                progress(number)
                found["captions read"] = number
                yield record

        written = write_negatives(out, _negatives(counted(), kind or list(SEMANTIC), most, seed, found))
    if html is not None:
        write_page(html, read_negatives(out), seed=seed)
    kept = found.pop("captions read", 0)
    counts = {"captions read": kept + skipped.total(), **dict(sorted(found.items())), "negatives": written}
    show(f"written: {out}{'' if html is None else f', {html}'}", counts, skipped, kept=kept)
    Screen().print(f"kinds of negatives (--kind): {', '.join(kind or SEMANTIC)}")


def _negatives(
    records: Iterator[GraphRecord], kinds: list[str], most: int, seed: int, found: Counter[str]
) -> Iterator[NegativeRecord]:
    from knowclip.knowledge.negatives.captions import of_records
    from knowclip.knowledge.records import NegativeRecord

    for record, negatives in of_records(records, kinds=kinds, most=most, seed=seed):
        claims = record.graph.relations or record.graph.attributes
        if negatives:
            found["captions with a negative"] += 1
        else:
            why = "no valid negative" if claims else "no relation and no attribute"
            found[f"captions without a negative ({why})"] += 1
        for negative in negatives:
            found[f"negatives: {negative.kind}"] += 1
            yield NegativeRecord(record.key, record.caption, negative, record.image)
