"""Visual Genome's annotations as scene graphs of images (``readers`` make a knowledge graph of them)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from knowclip.knowledge.readers.json_stream import find_file, iterate_array
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject


def read_visual_genome_graphs(folder: Path) -> dict[int, SceneGraph]:
    """Scene graph of each image, by ``image_id``, from ``attributes.json`` and ``relationships.json``.

    ``objects.json`` is read too where it is there; each may be compressed as ``.json.gz`` or ``.json.zip``.
    Records of one ``object_id`` in an image are one object. Versions of the files differ: ``name`` or
    ``names``, missing ``attributes``. Names are lower-cased; graphs of images have no spans.

    Raises:
        ValueError: if a file is missing or a record is broken, naming file, image and record.
    """
    images: dict[int, _ImageGraph] = {}
    for part, required in (("attributes", True), ("relationships", True), ("objects", False)):
        path = find_file(folder, part)
        if path is None:
            if required:
                raise ValueError(
                    f"{folder}: no {part}.json (nor .gz or .zip), which Visual Genome's graphs need"
                )
            continue
        for number, image in enumerate(iterate_array(path)):
            where = f"{path}: $[{number}]"
            try:
                graph = images.setdefault(int(image["image_id"]), _ImageGraph())
                for index, record in enumerate(image[part]):
                    where = f"{path}: $[{number}].{part}[{index}]"
                    graph.add(part, record)
            except (LookupError, TypeError, ValueError) as error:
                raise ValueError(f"{where} is no record of Visual Genome: {error!r}") from error
    return {key: graph.graph() for key, graph in images.items()}


class _ImageGraph:
    """What the files say of one image."""

    def __init__(self) -> None:
        self.objects: dict[int, SceneObject] = {}
        self.numbers: dict[int, int] = {}
        self.attributes: dict[tuple[int, str], Attribute] = {}
        self.relations: dict[tuple[int, str, int], Relation] = {}

    def add(self, part: str, record: dict[str, Any]) -> None:
        if part == "relationships":
            subject, item = self._object(record["subject"]), self._object(record["object"])
            name = _name(record["predicate"])
            self.relations[subject, name, item] = Relation(subject, name, item)
            return
        item = self._object(record)
        for value in record.get("attributes") or ():
            name = _name(value)
            self.attributes[item, name] = Attribute(item, name)

    def _object(self, record: dict[str, Any]) -> int:
        identity = int(record["object_id"])
        if identity not in self.numbers:
            name = _name(record["name"] if "name" in record else record["names"][0])
            x, y, width, height = (int(record[side]) for side in "xywh")
            self.numbers[identity] = len(self.objects)
            self.objects[identity] = SceneObject(name, None, (x, y, width, height))
        return self.numbers[identity]

    def graph(self) -> SceneGraph:
        return SceneGraph(
            tuple(self.objects.values()), tuple(self.attributes.values()), tuple(self.relations.values())
        )


def _name(value: str) -> str:
    return " ".join(value.lower().split())
