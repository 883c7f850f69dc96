"""Scene graphs that users bring in place of parsing: ``graphs.jsonl``, or Visual Genome annotations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from knowclip.knowledge.readers.json_stream import find_file, iterate_array
from knowclip.knowledge.records import graph_from_json
from knowclip.types import Attribute, Box, Example, Relation, SceneGraph, SceneObject, Span

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
    with open(path, encoding="utf-8") as file:
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
    scenes: dict[int, _Scene] = {}
    for name in ("attributes", "relationships"):
        path = find_file(folder, name)
        if path is None:
            raise ValueError(f"{folder} has no {name}.json, as Visual Genome's annotations have")
        for i, image in enumerate(iterate_array(path)):
            try:
                scene = scenes.setdefault(int(image["image_id"]), _Scene())
                for record in image[name]:
                    getattr(scene, f"add_{name}")(record)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise ValueError(
                    f"{path}, element {i} is no image of Visual Genome's {name} "
                    f"({type(error).__name__}: {error})"
                ) from error

    def find(example: Example) -> SceneGraph | None:
        stem = example.image.path.stem
        scene = scenes.get(int(stem)) if stem.isdecimal() else None
        return scene.stated(example.caption) if scene is not None else None

    return find


class _Scene:
    """The annotations of one image; objects of one name are one, since a caption does not tell them apart."""

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {}
        self.attributes: dict[tuple[str, str], None] = {}  # in place of sets, to keep the order
        self.relations: dict[tuple[str, str, str], None] = {}

    def add_attributes(self, record: dict[str, Any]) -> None:
        """Take an object and its attributes, if it has any."""
        item = self._object(record)
        self.attributes |= {(item, _words(name)): None for name in record.get("attributes") or []}

    def add_relationships(self, record: dict[str, Any]) -> None:
        """Take a relationship and the objects it is between."""
        subject, item = self._object(record["subject"]), self._object(record["object"])
        self.relations[subject, _words(record["predicate"]), item] = None

    def _object(self, record: dict[str, Any]) -> str:
        name = _words(record["name"] if "name" in record else record["names"][0])
        box = (int(record["x"]), int(record["y"]), int(record["w"]), int(record["h"]))
        self.boxes.setdefault(name, box)
        return name

    def stated(self, caption: str) -> SceneGraph:
        """Return what of it the caption says."""
        text = caption.lower()
        names = [name for name in self.boxes if name and name in text and _find(_noun(name), caption)]
        number = {name: i for i, name in enumerate(names)}
        graph = ground(
            SceneGraph(
                tuple(SceneObject(name, None, self.boxes[name]) for name in names),
                tuple(Attribute(number[o], a) for o, a in self.attributes if o in number and a and a in text),
                tuple(
                    Relation(number[s], r, number[o])
                    for s, r, o in self.relations
                    if s in number and o in number and s != o and r and r in text
                ),
            ),
            caption,
        )
        attributes = tuple(a for a in graph.attributes if a.span is not None)
        relations = tuple(r for r in graph.relations if r.span is not None)
        return SceneGraph(graph.objects, attributes, relations)


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


def _words(value: str) -> str:
    return " ".join(value.lower().split())
