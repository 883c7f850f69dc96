"""``knowclip prepare CAPTIONS --out SHARDS``: graphs and negatives of a corpus of any size, in Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from knowclip.commands.parse import Captions, Column, Parser


def command(
    captions: Captions,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write, or to go on with.")],
    engine: Annotated[str, typer.Option(help="local (processes) or ray (a cluster).")] = "local",
    processes: Annotated[
        int, typer.Option(min=0, help="Local processes at most; 0 is one for each processor.")
    ] = 0,
    ray_address: Annotated[
        str | None,
        typer.Option(help="Cluster of --engine ray: auto, HOST:PORT; by default one is started here."),
    ] = None,
    parser: Parser = "spacy",
    kind: Annotated[
        list[str] | None, typer.Option(help="Kind of negative, again for more; by default the paper's swaps.")
    ] = None,
    parse_negatives: Annotated[
        bool, typer.Option(help="Parse the negatives too, as methods with a KEE need it.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the order of a caption's negatives.")] = 0,
    shard_size: Annotated[int, typer.Option(min=1, help="Captions a shard, about.")] = 10_000,
    column: Column = None,
) -> None:
    """Parse captions and make their negatives, in shards; the same command goes on after an interruption."""
    from knowclip.commands.summary import show
    from knowclip.data.prepared.engines import engine as engine_of
    from knowclip.data.prepared.prepare import prepare
    from knowclip.knowledge.negatives.generate import SWAPS
    from knowclip.knowledge.negatives.images import Making
    from knowclip.preflight import machine as preflight
    from knowclip.storage.processes import available_processors

    preflight.one_of("--engine", engine, ("local", "ray"))
    if ray_address is not None and engine != "ray":
        raise ValueError(f"--ray-address {ray_address} is of --engine ray, and the engine is {engine}")
    if str(captions) == "-":
        raise ValueError("standard input cannot be gone on with: give a file, or use 'knowclip parse'")
    preflight.captions(captions, "CAPTIONS")
    preflight.known_kinds(kind or ())
    preflight.check_parser(parser)
    preflight.writable_folder(out)
    if engine == "ray":
        preflight.require("ray", "--engine ray")
    found = prepare(
        captions,
        out,
        making=Making(parser, tuple(kind or SWAPS), parse_negatives, seed),
        shard_size=shard_size,
        column=column,
        engine=engine_of(engine, processes=processes or available_processors(), address=ray_address),
    )
    counts = {"captions read": found.read, "prepared": found.captions, "negatives": found.negatives}
    counts |= {f"captions with {name}": n for name, n in sorted(found.kinds.items())}
    counts |= {f"captions without a negative ({reason})": n for reason, n in sorted(found.without.items())}
    counts |= {"shards": found.shards, "of them made now": found.made}
    show(f"written: {out}", counts, found.skipped, kept=found.captions)
