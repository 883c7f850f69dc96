"""Graphs from graphs: ``merge`` several, ``filter_graph`` one."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from knowclip.console.counts import amount
from knowclip.knowledge.graph.excluded_images import ImageSet
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.staging import GraphBuilder, graph_builder
from knowclip.knowledge.graph.store import Source, literal, read_manifest
from knowclip.knowledge.graph.tally import SELF_LOOP

_log = logging.getLogger(__name__)


def merge(paths: Sequence[Path], out: Path, **build: Any) -> KnowledgeGraph:
    """Join graphs by entity and relation ids into a new one at ``out``.

    Texts of the first graph that has an entity win. How many entities several of them have is logged; where
    there is none, though entities are called alike, a warning says what makes them one. Sources keep their
    names; a second, different source of a name gets "-2". ``build``: see ``graph_build.graph_builder``.

    Raises:
        ValueError: Fewer than two graphs, or one of them is no graph.
    """
    if len(paths) < 2:
        raise ValueError(f"merging takes two graphs or more, got {len(paths)}")
    sources: list[Source] = []
    with graph_builder(out, **build) as builder:
        for path in paths:
            indices = [_place(source, sources) for source in read_manifest(path).sources]
            _stage(builder, path, indices)
        _tell_shared(builder, paths)
        builder.finish(tuple(sources))
    return KnowledgeGraph(out)


def _tell_shared(builder: GraphBuilder, paths: Sequence[Path]) -> None:
    """Say how many entities are in more than one of the graphs; warn where none is and names are."""
    union = " UNION ALL ".join(
        f"SELECT id, lower(text) AS text, {number} AS graph FROM {table(path, 'entities')}"
        for number, path in enumerate(paths)
    )

    def in_several(column: str) -> tuple[int, str | None]:
        groups = f"SELECT {column} AS name FROM ({union}) WHERE {column} IS NOT NULL GROUP BY 1"
        several = f"SELECT count(*), min(name) FROM ({groups} HAVING count(DISTINCT graph) > 1)"
        return builder.connection.execute(several).fetchone() or (0, None)

    shared, _ = in_several("id")
    _log.info("%s in more than one of the %s graphs", amount(shared, "entities"), len(paths))
    if shared:
        return
    alike, name = in_several("text")
    if alike:
        warnings.warn(
            f"the graphs share no entity, though {amount(alike, 'names')} (such as {name!r}) stand in more "
            "than one of them: entities are joined by their ids, and those of words are ConceptNet's "
            "(/c/en/hot_dog). Import plain words with `graph import triples FILE words=true`, Visual Genome "
            "with objects=true",
            stacklevel=3,
        )


def filter_graph(
    path: Path,
    out: Path,
    *,
    sources: Collection[str] = (),
    relations: Collection[str] = (),
    without_relations: Collection[str] = (),
    min_weight: float | None = None,
    min_relation_count: int = 1,
    without_images: ImageSet | None = None,
    **build: Any,
) -> KnowledgeGraph:
    """Keep the triplets that pass every condition, and the entities and relations these use.

    Args:
        path: The graph.
        out: Folder to make.
        sources: Names of sources to keep; empty keeps all.
        relations: Ids of relations to keep; empty keeps all.
        without_relations: Ids of relations to drop.
        min_weight: Least weight.
        min_relation_count: Drop relations with fewer triplets (of the whole graph).
        without_images: Drop triplets within these images, such as those a benchmark holds.
        **build: See ``graph_build.graph_builder``.

    Raises:
        ValueError: A source or relation that the graph does not have, or nothing left.
    """
    graph = KnowledgeGraph(path)
    names = [source.name for source in graph.sources]
    relation_ids = [str(graph.arrays.relation_id[i]) for i in range(graph.counts["relations"])]
    _check("source", sources, names)
    _check("relation", [*relations, *without_relations], relation_ids)
    frequent = Counter(dict(graph.sql("SELECT relation, count(*) FROM triplets GROUP BY 1").fetchall()))
    unwanted = [
        index
        for index, id in enumerate(relation_ids)
        if (relations and id not in relations) or id in without_relations
    ]
    rare = [index for index in range(len(relation_ids)) if frequent[index] < min_relation_count]
    keep = [index for index, name in enumerate(names) if not sources or name in sources]
    others = [index for index in range(len(names)) if index not in keep]
    left_out = [
        ("source not asked for", f"x.source IN ({_numbers(others)})"),
        ("relation not asked for", f"x.relation IN ({_numbers(unwanted)})"),
        (f"relation with fewer than {min_relation_count} triplets", f"x.relation IN ({_numbers(rare)})"),
    ]
    if min_weight is not None:
        left_out.append(("weight too low", f"NOT x.weight >= {float(min_weight)}"))
    with graph_builder(out, **build) as builder:
        if without_images is not None:
            without_images.mark(builder.connection, path)
            held = "(SELECT entity FROM held_entities)"
            left_out.append(("within an image to keep out", f"(x.head IN {held} OR x.tail IN {held})"))
        indices = [keep.index(index) if index in keep else 0 for index in range(len(names))]
        _stage(builder, path, indices, left_out=left_out, only_used=True)
        builder.finish(tuple(graph.sources[index] for index in keep))
    return KnowledgeGraph(out)


def table(path: Path, name: str) -> str:
    """SQL of a table of the graph at ``path``, with ``row``, its row numbers."""
    return f"(SELECT *, file_row_number AS row FROM read_parquet({literal(path / f'{name}.parquet')}))"


def _stage(
    builder: GraphBuilder,
    path: Path,
    indices: list[int],
    *,
    left_out: Sequence[tuple[str, str]] = (),
    only_used: bool = False,
) -> None:
    """Stage the triplets of the graph at ``path``; source i becomes ``indices[i]``.

    ``left_out`` are (reason, SQL condition on triplets x) of those that are not taken.
    """
    builder.report(f"reading {path.name}", 0.0)
    run: Callable[[str], Any] = builder.connection.execute
    renumber = f"[{', '.join(map(str, indices))}][{{}}.source + 1]"
    entities, relations, triplets, images = (
        table(path, name) for name in ("entities", "relations", "triplets", "images")
    )
    left_out = [*left_out, (SELF_LOOP, "x.head = x.tail")]
    cases = " ".join(f"WHEN {condition} THEN {code}" for code, (_, condition) in enumerate(left_out))
    code = f"CASE {cases} END"
    for why, count in run(f"SELECT {code}, count(*) FROM {triplets} x GROUP BY 1 ORDER BY 1").fetchall():
        builder.records += count
        if why is not None:
            builder.skip(left_out[why][0], count)
    run(
        f"""INSERT INTO stage_triplets
            SELECT h.id, r.id, t.id, x.weight, {renumber.format("x")}
            FROM {triplets} x JOIN {entities} h ON x.head = h.row JOIN {entities} t ON x.tail = t.row
            JOIN {relations} r ON x.relation = r.row WHERE {code} IS NULL"""
    )
    used = "true"
    if only_used:
        used = "e.id IN (SELECT head FROM stage_triplets UNION ALL SELECT tail FROM stage_triplets)"
    run(
        f"""INSERT INTO stage_entities SELECT e.id, e.text, {renumber.format("e")} FROM {entities} e
            WHERE {used}"""
    )
    run(f"INSERT INTO stage_relations SELECT id, text FROM {relations}")
    run(
        f"""INSERT INTO stage_images SELECT e.id, i.* EXCLUDE (entity, source, row), {renumber.format("i")}
            FROM {images} i JOIN {entities} e ON i.entity = e.row"""
    )


def _place(source: Source, sources: list[Source]) -> int:
    """Index of ``source`` among ``sources``, to which it is added under a name not yet taken."""
    # an equal source is one, as where parts of a split are merged again
    if source in sources:
        return sources.index(source)
    taken, name, number = {other.name for other in sources}, source.name, 2
    while name in taken:
        name, number = f"{source.name}-{number}", number + 1
    sources.append(replace(source, name=name))
    return len(sources) - 1


def _check(what: str, wanted: Collection[str], known: Sequence[str]) -> None:
    if unknown := sorted(set(wanted) - set(known)):
        shown = ", ".join(known[:40]) + (" ..." if len(known) > 40 else "")
        raise ValueError(f"the graph has no {what} {', '.join(unknown)}; it has {shown}")


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(map(str, values)) or "NULL"
