"""Scene graphs that users bring in place of parsing: ``graphs.jsonl``, or Visual Genome annotations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from knowclip.knowledge.readers.visual_genome_scene_graphs import read_visual_genome_graphs
from knowclip.knowledge.records import graph_from_json
from knowclip.storage.text_files import open_text
from knowclip.types import Attribute, Example, Relation, SceneGraph, SceneObject, Span

FindGraph = Callable[[Example], SceneGraph | None]


def read_graphs(path: Path) -> FindGraph:
    """Read graphs, and return what finds the one of an example (None where there is none).

    A ``.jsonl`` file has the lines of ``knowclip parse``; a graph belongs to the examples with its key and
    caption, else to those with its caption. A folder has Visual Genome's ``attributes.json`` and
    ``relationships.json``; a graph belongs to the captions of the image whose file is named by its
    ``image_id``, and is cut down to what the caption says. Missing spans are looked for in the caption.

    Raises:
        ValueError: Neither of these is there, or a record is broken; names file and record.
    """
    if path.is_dir():
        return _visual_genome(path)
    if path.suffix == ".jsonl" and path.is_file():
        return _lines(path)
    raise ValueError(
        f"{path} holds no scene graphs: give a .jsonl file as 'knowclip parse' writes it, or a folder with "
        "Visual Genome's attributes.json and relationships.json"
    )


def _lines(path: Path) -> FindGraph:
    found: dict[tuple[str | None, str], SceneGraph] = {}
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                record = json.loads(line)
                key, caption = record["key"], record["caption"]
                if not isinstance(caption, str):
                    raise TypeError(f"its caption is {caption!r}")
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                raise ValueError(f"{where} is no record of 'knowclip parse': {error}") from error
            graph = ground(graph_from_json(record, caption, where), caption)
            found[str(key), caption] = graph
            found.setdefault((None, caption), graph)
    return lambda example: found.get((example.key, example.caption)) or found.get((None, example.caption))


def _visual_genome(folder: Path) -> FindGraph:
    scenes = {image: _by_name(graph) for image, graph in read_visual_genome_graphs(folder).items()}

    def find(example: Example) -> SceneGraph | None:
        stem = example.image.path.stem
        scene = scenes.get(int(stem)) if stem.isdecimal() else None
        return _stated(scene, example.caption) if scene is not None else None

    return find


def _by_name(graph: SceneGraph) -> SceneGraph:
    """Make objects of one name one object, with the box of the first: a caption does not tell them apart."""
    first: dict[str, SceneObject] = {}
    for thing in graph.objects:
        first.setdefault(thing.name, thing)
    place = {name: number for number, name in enumerate(first)}
    number = [place[thing.name] for thing in graph.objects]
    attributes = dict.fromkeys(replace(a, object=number[a.object]) for a in graph.attributes)
    relations = dict.fromkeys(
        replace(r, subject=number[r.subject], object=number[r.object]) for r in graph.relations
    )
    return SceneGraph(tuple(first.values()), tuple(attributes), tuple(relations))


def _stated(graph: SceneGraph, caption: str) -> SceneGraph:
    """What of ``graph`` the caption says."""
    text = caption.lower()
    kept = [
        index
        for index, thing in enumerate(graph.objects)
        if thing.name in text and _find(_noun(thing.name), caption)
    ]
    number = {index: place for place, index in enumerate(kept)}
    stated = ground(
        SceneGraph(
            tuple(graph.objects[index] for index in kept),
            tuple(
                Attribute(number[a.object], a.name)
                for a in graph.attributes
                if a.object in number and a.name in text
            ),
            tuple(
                Relation(number[r.subject], r.name, number[r.object])
                for r in graph.relations
                if {r.subject, r.object} <= number.keys() and r.subject != r.object and r.name in text
            ),
        ),
        caption,
    )
    attributes = tuple(a for a in stated.attributes if a.span is not None)
    relations = tuple(r for r in stated.relations if r.span is not None)
    return SceneGraph(stated.objects, attributes, relations)


def ground(graph: SceneGraph, caption: str) -> SceneGraph:
    """Fill in missing spans where the caption plainly says the words.

    An attribute right before its object or behind "is"; a relation between its subject and its object, in
    this order and in one sentence. What is said in any other way (passives, pronouns) keeps no span.
    """
    nouns = [_noun(item.name) for item in graph.objects]
    own: dict[int, list[str]] = {}
    for attribute in graph.attributes:
        own.setdefault(attribute.object, []).append(re.escape(attribute.name))

    def attribute_pattern(attribute: Attribute) -> str:
        noun, name = nouns[attribute.object], re.escape(attribute.name)
        others = "|".join(own[attribute.object])
        before = rf"\b({name})(?:[\s,]+(?:and\s+)?(?:{others}))*\s+(?={noun})"
        return rf"{before}|{noun}\s+(?:is|are|was|were)\s+({name})\b"

    def relation_pattern(relation: Relation) -> str:
        words = rf"\b({re.escape(relation.name)})\b"
        return rf"{nouns[relation.subject]}[^.!?;]*?{words}[^.!?;]*?{nouns[relation.object]}"

    return SceneGraph(
        tuple(
            replace(o, span=o.span or _find(noun, caption))
            for o, noun in zip(graph.objects, nouns, strict=True)
        ),
        tuple(replace(a, span=a.span or _find(attribute_pattern(a), caption)) for a in graph.attributes),
        tuple(replace(r, span=r.span or _find(relation_pattern(r), caption)) for r in graph.relations),
    )


def _noun(name: str) -> str:
    return rf"\b{re.escape(name)}(?:e?s)?\b"


def _find(pattern: str, caption: str) -> Span | None:
    """Where the group of a pattern that took part matches, or the whole of it."""
    match = re.search(pattern, caption, re.IGNORECASE)
    return match.span(match.lastindex or 0) if match else None
