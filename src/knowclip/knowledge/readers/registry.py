"""Reader names, and the one call that turns a source into a graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from knowclip.console.counts import listed
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.staging import graph_builder
from knowclip.plugins import known


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader: ``knowclip.knowledge.readers.<module>.<function>``, and what PATH is to it."""

    module: str
    function: str
    path: str


_TYPES = "bool, int, float, str, Path (each or None), tuple[str, ...]"
READERS = {
    "visual-genome": Reader("visual_genome", "read_visual_genome", "folder of Visual Genome's JSON files"),
    "conceptnet": Reader("conceptnet", "read_assertions", "conceptnet-assertions-5.7.0.csv.gz"),
    "cn100k": Reader("conceptnet", "read_cn100k", "train100k.txt.gz"),
    "visualsem": Reader("visualsem", "read_visualsem", "folder of nodes.v2.json and tuples.v2.json"),
    "wordnet": Reader("wordnet", "read_wordnet", "WordNet's dict folder (data.noun, data.verb, ...)"),
    "triples": Reader("triples", "read_triples", "TSV, CSV or Parquet of head, relation, tail[, weight]"),
    "depictions": Reader(
        "depictions", "read_depictions", "folder of images named, or sorted, by what they show"
    ),
    "captions": Reader(
        "captions", "read_captions_as_triplets", "image captions, as 'knowclip train' reads them"
    ),
    "concepts": Reader("concepts", "read_concepts", "(none: facts on the demo's nouns, in the package)"),
}


def reader_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of reader ``name``: its keyword-only parameters.

    Raises:
        ValueError: There is no such reader.
    """
    return {
        key: parameter
        for key, parameter in inspect.signature(_function(name)).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def parse_options(name: str, assignments: list[str]) -> dict[str, Any]:
    """Turn ``["language=en", "relations=IsA,HasA"]`` into typed options of reader ``name``.

    Raises:
        ValueError: An unknown option, or a value that is not of its type.
    """
    allowed = reader_options(name)
    hints = get_type_hints(_function(name))
    options = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if key not in allowed or not equals:
            near = get_close_matches(key, allowed, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"{assignment!r}: {name} takes key=value options {sorted(allowed) or '(none)'}{hint}"
            )
        options[key] = _convert(assignment, value, hints.get(key))
    return options


def import_graph(
    name: str,
    path: Path | Any,
    out: Path,
    *,
    options: Mapping[str, Any] | None = None,
    left_out: Mapping[str, int] | None = None,
    **build: Any,
) -> KnowledgeGraph:
    """Read a source into a new graph at ``out``.

    Args:
        name: A key of ``READERS``, or a plug-in's.
        path: What the reader reads; for ``captions`` the examples themselves.
        out: Folder to make.
        options: Of the reader.
        left_out: Reason -> records that were left out before, as by the readers of captions.
        **build: ``memory_limit``, ``threads``, ``max_bad``, ``report`` of ``graph_build.graph_builder``.
    """
    read = _function(name)
    options = dict(options or {})
    if unknown := set(options) - set(reader_options(name)):
        raise ValueError(
            f"{name} has no options {listed(sorted(unknown))}; it has {listed(sorted(reader_options(name)))}"
        )
    with graph_builder(out, **build) as builder:
        for reason, count in (left_out or {}).items():
            builder.records += count
            builder.skip(reason, count)
        source = read(path, builder, **options)
        kept = {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}
        origin = {"path": str(path) if isinstance(path, Path) else "", "options": kept}
        builder.finish((source,), origin=origin)
    return KnowledgeGraph(out)


def path_of(name: str) -> str:
    """What PATH is to a reader: for a plug-in, the first line of its docstring.

    Raises:
        ValueError: There is no such reader.
    """
    if name in READERS:
        return READERS[name].path
    return (inspect.getdoc(_function(name)) or "as its package says").partition("\n")[0]


def _function(name: str) -> Callable[..., Any]:
    plugin = known("reader", name, READERS)
    if plugin is not None:
        return plugin.load()
    reader = READERS[name]
    return getattr(import_module(f"knowclip.knowledge.readers.{reader.module}"), reader.function)


def _convert(assignment: str, value: str, hint: Any) -> Any:
    if hint is bool:
        if value.lower() not in ("true", "false"):
            raise ValueError(f"{assignment!r}: true or false expected")
        return value.lower() == "true"
    if hint == tuple[str, ...]:
        return tuple(part for part in value.split(",") if part)
    kind = next((kind for kind in (int, float, str, Path) if hint in (kind, kind | None)), None)
    if kind is None:  # of a plug-in
        raise ValueError(f"{assignment!r}: its reader must say of what type it is, and one of {_TYPES}")
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{assignment!r}: {kind.__name__} expected") from None
