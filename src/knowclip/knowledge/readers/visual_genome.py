"""Visual Genome (v1.0 to v1.4): image regions, what relates them, what they are like.

(region, predicate, region) from ``relationships`` and (region, is, attribute) from ``attributes``, or both
from ``scene_graphs`` where those files are absent; on request (region, shows, name) from ``objects``
and (region, image of, phrase) from ``region_descriptions``. Files may be ``.json``, ``.json.gz`` or
``.json.zip``.

The versions differ: ``name`` or ``names``, ``object_id`` or ``id``, ``image_id`` or ``id``, missing
``attributes``. Names are lower-cased; ``relationship_alias.txt`` and ``object_alias.txt`` are applied where
they are in the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import knowclip.knowledge.readers.visual_genome_records as fields
from knowclip.knowledge.graph.image_files import ImageFolder
from knowclip.knowledge.graph.staging import GraphBuilder
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.readers.conceptnet import concept
from knowclip.knowledge.readers.json_stream import find_file, iterate_array
from knowclip.storage.text_files import is_utf8

SOURCE = Source("visual-genome", "CC BY 4.0", "https://homes.cs.washington.edu/~ranjay/visualgenome/api.html")

_Step = tuple[str, Any, Callable[[Any], None]]
"""The place of a record within its image, the record, what to do with it."""


def read_visual_genome(
    path: Path,
    build: GraphBuilder,
    *,
    images: Path | None = None,
    name: str = SOURCE.name,
    licence: str = SOURCE.licence,
    max_relations: int = 1000,
    objects: bool = False,
    regions: bool = False,
) -> Source:
    """Read a folder of Visual Genome's files.

    Args:
        path: The folder.
        build: What to write to.
        images: Folder of the images, in ``VG_100K`` and ``VG_100K_2`` or not; by default ``path``, or
            ``images`` beside it.
        name: Name of the source, where files of this format are another data set.
        licence: Its licence, likewise.
        max_relations: Keep only the so many most frequent predicates (raw Visual Genome has over 36,000, most
            of them said once); 0 keeps all.
        objects: Also (region, shows, name) from ``objects``; joins regions to the concepts of other sources.
        regions: Also (region, image of, phrase) and back (caption of) from ``region_descriptions``.
    """
    if max_relations < 0:
        raise ValueError(f"max_relations={max_relations}: must be 0 (all) or more")
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder; the one that holds Visual Genome's files is wanted")
    beside = path.parent / "images"
    folder = ImageFolder(images or path)
    if images is None and not folder.paths and beside.is_dir():
        folder = ImageFolder(beside)
    reader = _Reader(path, build, folder)
    scenes = find_file(path, "scene_graphs")
    relationships, attributes = find_file(path, "relationships"), find_file(path, "attributes")
    if not (scenes or relationships or attributes):
        raise FileNotFoundError(
            f"{path}: no relationships.json, attributes.json or scene_graphs.json (nor .gz or .zip of them)"
        )
    if file := relationships or scenes:
        reader.read(file, reader.relationships)
        reader.cut_relations(max_relations)
    if attributes:
        reader.read(attributes, reader.attributes)
    elif scenes:
        reader.read(scenes, reader.scene_attributes)
    for wanted, stem, method in (
        (objects, "objects", reader.objects),
        (regions, "region_descriptions", reader.regions),
    ):
        if wanted:
            if (file := find_file(path, stem)) is None:
                raise FileNotFoundError(f"{path}: no {stem}.json (nor .gz or .zip), which was asked for")
            reader.read(file, method)
    url = SOURCE.url if name == SOURCE.name else ""
    return Source(name, licence, url, image_root=str(reader.folder.root.resolve()))


@dataclass(frozen=True, slots=True)
class _Image:
    id: int
    path: str | None
    size: tuple[int, int] | None
    coco_id: int | None


class _Reader:
    def __init__(self, path: Path, build: GraphBuilder, folder: ImageFolder) -> None:
        self.build = build
        self.folder = folder
        self.predicate_alias = fields.aliases(path / "relationship_alias.txt")
        self.object_alias = fields.aliases(path / "object_alias.txt")
        self.place = ""
        self.facts: dict[int, dict[str, Any]] = {}
        if file := find_file(path, "image_data"):
            for index, record in enumerate(iterate_array(file)):
                build.records += 1
                try:
                    self.facts[fields.integer(record, "image_id", "id")] = record
                except fields.BadRecordError as error:
                    build.bad(f"{file}: $[{index}]", str(error))
                else:
                    build.described += 1

    def read(self, file: Path, method: Callable[[_Image, Any], Iterator[_Step]]) -> None:
        """Call ``method`` on every image of ``file``, and its steps on every record; count malformed ones."""
        for index, element in enumerate(iterate_array(file, report=self.build.report)):
            where = self.place = f"{file}: $[{index}]"
            try:
                steps = method(self._image(element), element)
                for place, record, step in steps:
                    where = f"{file}: $[{index}]{place}"
                    self.build.records += 1
                    try:
                        step(record)
                    except fields.BadRecordError as error:
                        self.build.bad(where, str(error))
            except fields.BadRecordError as error:
                self.build.records += 1
                self.build.bad(where, str(error))

    def relationships(self, image: _Image, element: Any) -> Iterator[_Step]:
        known = {}
        for place, record in fields.records(element, "objects", required=False):
            try:
                known[fields.integer(record, "object_id", "id")] = record
            except fields.BadRecordError as error:
                self.build.records += 1
                self.build.bad(f"{self.place}{place}", str(error))

        def step(record: Any) -> None:
            ends = []
            for end in ("subject", "object"):
                found = record.get(end)
                if found is None:
                    id = fields.integer(record, f"{end}_id")
                    if id not in known:
                        raise fields.BadRecordError(f"{end}_id {id} is no object of the image")
                    found = known[id]
                ends.append(found)
            predicate = fields.words(record.get("predicate"), "predicate", self.predicate_alias)
            head, tail = (self._region(image, end) for end in ends)
            self._triplet(head, predicate, tail)

        for place, record in fields.records(element, "relationships"):
            yield place, record, step

    def attributes(self, image: _Image, element: Any, *, key: str = "attributes") -> Iterator[_Step]:
        def step(record: Any) -> None:
            said = fields.attributes(record)
            if not said:
                self.build.skip("object without attributes")
                return
            region = self._region(image, record)
            self.build.records += len(said) - 1
            for word in said:
                self._triplet(region, "is", concept(word))

        for place, record in fields.records(element, key):
            yield place, record, step

    def scene_attributes(self, image: _Image, element: Any) -> Iterator[_Step]:
        return self.attributes(image, element, key="objects")

    def objects(self, image: _Image, element: Any) -> Iterator[_Step]:
        def step(record: Any) -> None:
            self._triplet(
                self._region(image, record), "shows", concept(fields.name(record, self.object_alias))
            )

        for place, record in fields.records(element, "objects"):
            yield place, record, step

    def regions(self, image: _Image, element: Any) -> Iterator[_Step]:
        def step(record: Any) -> None:
            said = record.get("phrase")
            phrase = " ".join(said.split()) if isinstance(said, str) else ""
            if not phrase:
                raise fields.BadRecordError("no phrase")
            if not is_utf8(phrase):
                raise fields.BadRecordError("the phrase holds half a surrogate pair, which is no letter")
            number = fields.integer(record, "region_id", "id")
            region, words = f"vg/{image.id}/region/{number}", f"vg/{image.id}/phrase/{number}"
            self._show(image, region, record)
            self.build.entity(region, None)
            self.build.entity(words, phrase)
            self.build.records += 1  # it is stated both ways
            self._triplet(region, "image of", words)
            self._triplet(words, "caption of", region)

        for place, record in fields.records(element, "regions"):
            yield place, record, step

    def cut_relations(self, keep: int) -> None:
        """Keep the ``keep`` most frequent predicates staged so far (equal counts: first by name)."""
        if keep:
            self.build.flush()
            (dropped,) = self.build.connection.execute(
                f"""DELETE FROM stage_triplets WHERE relation NOT IN (
                    SELECT relation FROM stage_triplets GROUP BY relation
                    ORDER BY count(*) DESC, relation LIMIT {keep})"""
            ).fetchone() or (0,)
            self.build.skip(f"predicate not among the {keep} most frequent", dropped)

    def _image(self, element: Any) -> _Image:
        id = fields.integer(element, "image_id", "id")
        facts = self.facts.get(id, {})
        path = self.folder.find(str(id), fields.url(facts, element))
        return _Image(id, path, fields.image_size(facts), fields.coco_id(facts))

    def _region(self, image: _Image, record: Any) -> str:
        """Describe the region of an object and return its entity id."""
        entity = f"vg/{image.id}/{fields.integer(record, 'object_id', 'id')}"
        text = fields.name(record, self.object_alias)
        self._show(image, entity, record)
        self.build.entity(entity, text)
        return entity

    def _show(self, image: _Image, entity: str, record: Any) -> None:
        region = fields.box(record, image.size)
        if image.path is None:
            self.build.without_image("region of an image that is not in the image folder")
            return
        self.build.image(
            entity, image.path, box=region, image_id=f"vg/{image.id}", coco_id=image.coco_id, size=image.size
        )

    def _triplet(self, head: str, relation: str, tail: str) -> None:
        self.build.relation(f"vg:{relation}", relation)
        self.build.triplet(head, f"vg:{relation}", tail)
