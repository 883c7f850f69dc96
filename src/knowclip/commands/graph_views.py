"""``knowclip graph stats`` and ``show``: what a knowledge graph holds, for people and for scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from knowclip.console.counts import amount
from knowclip.console.screen import Screen

if TYPE_CHECKING:
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
    from knowclip.knowledge.graph.tally import Tally

IN_WORDS = {
    "quantile_0.5": "median",
    "quantile_0.9": "90% at most",
    "quantile_0.99": "99% at most",
    "quantile_1": "the most",
}
"""Quantiles of ``statistics.QUANTILES`` on the screen; JSON keeps their names."""

Graph = Annotated[Path, typer.Argument(help="Folder of a knowledge graph.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def stats(
    graph: Graph,
    plot: Annotated[Path | None, typer.Option(help="Also plot the degrees into this .png or .svg.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check the tables' SHA-256.")] = False,
    as_json: AsJson = False,
) -> None:
    """Count and describe a graph: relations, degrees, modalities, licences."""
    from knowclip.commands.summary import tell_replaced
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
    from knowclip.knowledge.graph.picture import draw_degrees

    _ready(plot, "--plot")
    opened = KnowledgeGraph(graph, verify=verify)
    if plot:
        tell_replaced(plot)
        draw_degrees(opened, plot)
    print_summary(opened, as_json=as_json)
    _tell_written(plot)


def show(
    graph: Graph,
    entity: Annotated[str, typer.Argument(help="Id or text of an entity.")],
    limit: Annotated[int, typer.Option(help="Triplets to show, heaviest first.")] = 16,
    picture: Annotated[Path | None, typer.Option(help="Also draw them into this .png or .svg.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a graph says about an entity, as text and as a picture."""
    from knowclip.commands.summary import tell_replaced
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
    from knowclip.knowledge.graph.picture import draw_neighbourhood
    from knowclip.knowledge.graph.statistics import neighbourhood_lines

    _ready(picture, "--picture")
    opened = KnowledgeGraph(graph)
    index = opened.entity(entity)
    if picture:
        tell_replaced(picture)
        draw_neighbourhood(opened, index, picture, limit=limit)
    lines = neighbourhood_lines(opened, index, limit=limit)
    id, text = opened.arrays.entity_id[index], opened.arrays.entity_text[index]
    total = len(opened.outgoing(index)) + len(opened.incoming(index))
    if as_json:
        images = [str(image.path) for image in opened.images(index)]
        print(json.dumps({"id": id, "text": text, "images": images, "triplets": total, "shown": lines}))
    else:
        console = Screen()
        fewer = f", the {len(lines):,} heaviest shown" if len(lines) < total else ""
        console.print(f"{text or '(image)'}  {id}  {amount(total, 'triplets')}{fewer}")
        for image in opened.images(index)[:limit]:
            console.print(f"  {image.path} {image.box or ''}")
        for line in lines:
            console.print(f"  {line}")
    _tell_written(picture)


def _ready(picture: Path | None, option: str) -> None:
    """Refuse a picture that cannot be written, or is a person's own."""
    from knowclip.preflight import machine as preflight

    if picture is not None:
        preflight.picture(picture, option)


def _tell_written(picture: Path | None) -> None:
    if picture is not None:
        Screen(stderr=True).print(f"written: {picture}")


def print_tally(tally: Tally | None) -> None:
    """Print what became of the records that a graph was made of, where that is known."""
    for line in tally.lines() if tally else ():
        Screen().print(line)


def print_summary(graph: KnowledgeGraph, *, as_json: bool) -> None:
    """Print what ``graph`` holds, as tables or as one JSON object."""
    from knowclip.knowledge.graph.statistics import stats as describe

    facts = describe(graph)
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    console = Screen()
    console.print(f"{graph.path}: " + ", ".join(amount(n, name) for name, n in graph.counts.items()))
    print_tally(graph.tally)
    sources = Table("source", "triplets", "licence", "left out by its import")
    for source in facts["sources"]:
        left_out = "\n".join(f"{count:,} {reason}" for reason, count in source["skipped"].items())
        sources.add_row(source["name"], f"{source['triplets']:,}", source["licence"], left_out)
    console.print(sources)
    relations = Table("relation", "triplets")
    for id, count in list(facts["relation_histogram"].items())[:15]:
        relations.add_row(id, f"{count:,}")
    if (more := graph.counts["relations"] - 15) > 0:
        relations.add_row(f"({more:,} more)", "")
    console.print(relations)
    for key in ("degree", "entity_modalities", "triplet_modalities"):
        described = ", ".join(
            f"{IN_WORDS.get(name, name)} {f'{value:,.1f}'.removesuffix('.0')}"
            for name, value in facts[key].items()
        )
        console.print(f"{key.replace('_', ' ')}: {described}")
