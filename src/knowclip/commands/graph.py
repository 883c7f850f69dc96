"""``knowclip graph``: import, merge, filter, split, describe and show knowledge graphs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from knowclip.commands.graph_views import AsJson, Graph, print_summary, print_tally, show, stats
from knowclip.console.counts import named
from knowclip.console.progress import fractions
from knowclip.console.screen import Screen

app = typer.Typer(no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", help="Folder to make; must not exist.")]
MemoryLimit = Annotated[str, typer.Option(help="DuckDB's memory; beyond it tables spill to disk.")]
Threads = Annotated[int | None, typer.Option(help="DuckDB's threads; one a core by default.")]


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="Reader; 'knowclip graph readers' lists them.")],
    path: Annotated[Path | None, typer.Argument(help="File or folder; none for 'concepts'.")] = None,
    options: Annotated[list[str] | None, typer.Argument(help="The reader's options, as key=value.")] = None,
    out: Out = Path("graph"),
    max_bad: Annotated[
        float | None,
        typer.Option(help="Share of malformed records to tolerate. [default: 0.01, and 10 in any case]"),
    ] = None,
    memory_limit: MemoryLimit = "1GB",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Read a data set's original files into a new graph."""
    from knowclip.knowledge.readers.registry import import_graph, parse_options, path_of

    chosen = parse_options(source, options or [])
    if path is None and source != "concepts":
        raise ValueError(f"{source} needs a PATH: {path_of(source)}")
    origin: Any = path
    left_out = {}
    missing: list[str] = []
    if source == "captions":
        from knowclip.data.captions.read import read_captions

        assert path is not None
        pairs = read_captions(path)
        origin, left_out, missing = pairs.examples, pairs.skipped, [*pairs.missing.values()]
    with fractions() as report:
        graph = import_graph(
            source,
            origin,
            out,
            options=chosen,
            left_out=left_out,
            max_bad=max_bad,
            memory_limit=memory_limit,
            threads=threads,
            report=report,
        )
    for line in named(missing):
        Screen(stderr=as_json).print(line)
    print_summary(graph, as_json=as_json)


@app.command()
def readers(as_json: AsJson = False) -> None:
    """List what can be imported, and the options of each reader."""
    from knowclip.knowledge.readers.registry import READERS, path_of, reader_options
    from knowclip.plugins import usable

    listed = {}
    for name in usable("reader", READERS, reader_options):
        options = {key: parameter.default for key, parameter in reader_options(name).items()}
        listed[name] = {"path": path_of(name), "options": options}
    if as_json:
        print(json.dumps(listed, indent=2))
        return
    table = Table("source", "path", "options")
    for name, facts in listed.items():
        table.add_row(name, facts["path"], " ".join(f"{k}={v}" for k, v in facts["options"].items()))
    Screen().print(table)


@app.command()
def drawings(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 64,
) -> None:
    """Draw the nouns of the OpenMoji scenes one by one, for 'import depictions'."""
    from knowclip.data.scenes.drawings import write_drawings
    from knowclip.data.scenes.sprites import LICENCE
    from knowclip.preflight import machine as preflight

    preflight.require("scenes", "drawing")
    preflight.own_folder(out, "OUT")
    Screen().print(f"{write_drawings(out, size=size)} drawings in {out}. {LICENCE}.")


@app.command()
def merge(
    graphs: Annotated[list[Path], typer.Argument(help="Two graphs or more.")],
    out: Out = Path("graph"),
    memory_limit: MemoryLimit = "1GB",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Join graphs by the ids of their entities and relations."""
    from knowclip.knowledge.graph.edit import merge as join

    with fractions() as report:
        graph = join(graphs, out, memory_limit=memory_limit, threads=threads, report=report)
    print_summary(graph, as_json=as_json)


@app.command("filter")
def filter_(
    graph: Graph,
    out: Out = Path("filtered"),
    source: Annotated[list[str] | None, typer.Option(help="Keep this source (repeatable).")] = None,
    relation: Annotated[list[str] | None, typer.Option(help="Keep this relation id (repeatable).")] = None,
    without_relation: Annotated[list[str] | None, typer.Option(help="Drop this relation id.")] = None,
    min_weight: Annotated[float | None, typer.Option(help="Least weight.")] = None,
    min_relation_count: Annotated[int, typer.Option(help="Drop relations with fewer triplets.")] = 1,
    without_images: Annotated[Path | None, typer.Option(help="Benchmark file whose images to drop.")] = None,
    memory_limit: MemoryLimit = "1GB",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Keep some of a graph's triplets."""
    from knowclip.knowledge.graph.edit import filter_graph
    from knowclip.knowledge.graph.excluded_images import read_image_set

    with fractions() as report:
        kept = filter_graph(
            graph,
            out,
            sources=source or (),
            relations=relation or (),
            without_relations=without_relation or (),
            min_weight=min_weight,
            min_relation_count=min_relation_count,
            without_images=read_image_set(without_images) if without_images else None,
            memory_limit=memory_limit,
            threads=threads,
            report=report,
        )
    print_summary(kept, as_json=as_json)


@app.command()
def split(
    graph: Graph,
    out: Out = Path("split"),
    val: Annotated[float, typer.Option(help="Share of val.")] = 0.05,
    test: Annotated[float, typer.Option(help="Share of test.")] = 0.05,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    benchmark: Annotated[Path | None, typer.Option(help="Benchmark file whose images go to test.")] = None,
    given_val: Annotated[Path | None, typer.Option(help="Nothing is drawn: this graph is val.")] = None,
    given_test: Annotated[Path | None, typer.Option(help="Likewise test; GRAPH is train.")] = None,
    memory_limit: MemoryLimit = "1GB",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Split into train, val and test without leakage through pairs or images; or as the publishers did."""
    from knowclip.knowledge.graph.excluded_images import read_image_set
    from knowclip.knowledge.graph.split import split as divide
    from knowclip.knowledge.graph.split import split_as_given
    from knowclip.preflight import machine as preflight

    if benchmark and (given_val or given_test):
        raise ValueError(
            "--benchmark is for a split that is drawn: leave it out, or --given-val and --given-test"
        )
    for each in (graph, given_val, given_test):
        if each is not None:
            preflight.graph(each, "GRAPH")
    given = {part: path for part, path in (("val", given_val), ("test", given_test)) if path}
    with fractions() as report:
        work: dict[str, Any] = {"memory_limit": memory_limit, "threads": threads, "report": report}
        if given:
            result = split_as_given({"train": graph, **given}, out, **work)
        else:
            images = read_image_set(benchmark) if benchmark else None
            result = divide(graph, out, val=val, test=test, seed=seed, benchmark=images, **work)
    if as_json:
        print(json.dumps(asdict(result)))
        return
    print_tally(result.tally)
    for part, count in result.triplets.items():
        unseen = result.unseen_entities.get(part)
        note = "" if unseen is None else f", {unseen:,} entities that train has not"
        Screen().print(f"{out / part}: {count:,} triplets{note}")


app.command()(stats)
app.command()(show)
