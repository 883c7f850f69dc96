"""Visual Genome's annotations as scene graphs of images (``readers`` make a knowledge graph of them)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import knowclip.knowledge.readers.visual_genome_records as fields
from knowclip.knowledge.readers.json_stream import find_file, iterate_array
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject

MAX_BROKEN = 0.01


def read_visual_genome_graphs(folder: Path) -> dict[int, SceneGraph]:
    """Scene graph of each image, by ``image_id``, from ``attributes.json`` and ``relationships.json``.

    ``objects.json`` is read too where it is there; each may be compressed as ``.json.gz`` or ``.json.zip``.
    Records of one ``object_id`` in an image are one object. Names are lower-cased; graphs of images have no
    spans.

    The genuine files hold a few broken records (no name, a box without area) and relations of an object with
    itself: these are left out with a warning that counts them.

    Raises:
        ValueError: A file is missing, or more than 1% of its records are broken; names the first.
    """
    images: dict[int, _ImageGraph] = {}
    for part, required in (("attributes", True), ("relationships", True), ("objects", False)):
        if path := find_file(folder, part):
            _read(path, part, images)
        elif required:
            raise ValueError(f"{folder}: no {part}.json (nor .gz or .zip), which Visual Genome's graphs need")
    if loops := sum(graph.loops for graph in images.values()):
        warnings.warn(f"{folder}: {loops} relations of an object with itself left out", stacklevel=2)
    return {key: graph.graph() for key, graph in images.items()}


def _read(path: Path, part: str, images: dict[int, _ImageGraph]) -> None:
    total, broken = 0, []
    for number, image in enumerate(iterate_array(path)):
        where = f"{path}: $[{number}]"
        try:
            graph = images.setdefault(fields.integer(image, "image_id", "id"), _ImageGraph())
            for place, record in fields.records(image, part):
                total += 1
                try:
                    graph.add(part, record)
                except fields.BadRecordError as error:
                    broken.append(f"{where}{place} is no record of Visual Genome: {error}")
        except fields.BadRecordError as error:
            total += 1
            broken.append(f"{where} is no image of Visual Genome: {error}")
    if len(broken) > MAX_BROKEN * total:
        raise ValueError(f"{broken[0]}; {len(broken)} of {total} records are broken: is this the right file?")
    if broken:
        warnings.warn(f"{len(broken)} of {total} records left out, the first: {broken[0]}", stacklevel=3)


class _ImageGraph:
    """What the files say of one image."""

    def __init__(self) -> None:
        self.objects: dict[int, SceneObject] = {}
        self.numbers: dict[int, int] = {}
        self.attributes: dict[tuple[int, str], Attribute] = {}
        self.relations: dict[tuple[int, str, int], Relation] = {}
        self.loops = 0

    def add(self, part: str, record: dict[str, Any]) -> None:
        if part == "relationships":
            subject, item = self._object(record.get("subject")), self._object(record.get("object"))
            name = fields.words(record.get("predicate"), "predicate")
            if subject == item:
                self.loops += 1
                return
            self.relations[subject, name, item] = Relation(subject, name, item)
            return
        item = self._object(record)
        for name in fields.attributes(record):
            self.attributes[item, name] = Attribute(item, name)

    def _object(self, record: Any) -> int:
        identity = fields.integer(record, "object_id", "id")
        if identity not in self.numbers:
            thing = SceneObject(fields.name(record), None, fields.box(record))
            self.numbers[identity] = len(self.objects)
            self.objects[identity] = thing
        return self.numbers[identity]

    def graph(self) -> SceneGraph:
        return SceneGraph(
            tuple(self.objects.values()), tuple(self.attributes.values()), tuple(self.relations.values())
        )
