"""``knowclip parse CAPTIONS``: captions -> scene graphs, one JSON object a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowclip.knowledge.records import GraphRecord

Captions = Annotated[
    Path,
    typer.Argument(
        help="Captions in any format of 'knowclip data --formats'; '-' is standard input.", show_default=False
    ),
]
Column = Annotated[str | None, typer.Option(help="Column of the captions in a table, where it is open.")]
KeyColumn = Annotated[str | None, typer.Option(help="Column of the keys; image#k or the row by default.")]
Parser = Annotated[
    str, typer.Option(help="spacy or factual (a T5); ':MODEL' after it picks the pipeline or weights.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Captions parsed at once.")]


def command(
    captions: Captions,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("graphs.jsonl"),
    parser: Parser = "spacy",
    column: Column = None,
    key_column: KeyColumn = None,
    batch_size: BatchSize = 256,
) -> None:
    """Turn captions into scene graphs: objects, attributes and relations with their places in the text."""
    from knowclip.commands.summary import show, tell_replaced
    from knowclip.console.progress import counting, waiting
    from knowclip.knowledge.parsing.caption_texts import counted_ahead, parse_texts, read_texts, refuse_none
    from knowclip.knowledge.records import write_graphs
    from knowclip.preflight import machine as preflight

    skipped: Counter[str] = Counter()
    found: Counter[str] = Counter()
    path = None if str(captions) == "-" else captions
    if path is not None:
        preflight.captions(path, "CAPTIONS")
    preflight.check_parser(parser)
    preflight.writable_file(out, suffixes=(".jsonl",), read=[captions])
    texts = read_texts(path, column=column, key_column=key_column, skipped=skipped)
    texts, total = refuse_none(texts, path, skipped), None
    if path is not None:  # what is typed comes as it is typed
        with waiting("reading captions"):
            texts, total = counted_ahead(texts)
    tell_replaced(out)

    def counted(records: Iterator[GraphRecord]) -> Iterator[GraphRecord]:
        for number, record in enumerate(records, 1):
            progress(number)
            found["objects"] += len(record.graph.objects)
            found["attributes"] += len(record.graph.attributes)
            found["relations"] += len(record.graph.relations)
            found["captions without a relation"] += not record.graph.relations
            yield record

    with counting("parsing", total=total, unit="captions") as progress:
        parsed = write_graphs(out, counted(parse_texts(texts, parser=parser, batch_size=batch_size)))
    counts = {"captions read": parsed + skipped.total(), "parsed": parsed, **found}
    show(f"written: {out}", counts, skipped, kept=parsed)
