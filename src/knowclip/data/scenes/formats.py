"""Scenes in the original files: Visual Genome, COCO captions, a Karpathy-style split, ARO."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from knowclip.data.scenes.sprites import LICENCE
from knowclip.data.scenes.world import Scene, Thing
from knowclip.types import Box

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A scene that stands in a file: ``boxes`` of pair (orbit order) and further objects."""

    image_id: int
    split: str
    scene: Scene
    boxes: tuple[Box, ...]

    @property
    def file_name(self) -> str:
        """COCO's form: the image id, twelve digits."""
        return f"{self.image_id:012d}.jpg"


def _things(drawn: Drawn) -> list[Thing]:
    return [*drawn.scene.pair, *(f.thing for f in drawn.scene.further)]


def _located(box: Box) -> Json:
    return dict(zip("xywh", box, strict=True))


def _object_id(drawn: Drawn, index: int) -> int:
    return drawn.image_id * 10 + index


def _vg_object(drawn: Drawn, index: int) -> Json:
    return {
        "object_id": _object_id(drawn, index),
        "names": [_things(drawn)[index].noun],
        "synsets": [],
        **_located(drawn.boxes[index]),
    }


def _vg_attributes(drawn: Drawn) -> list[Json]:
    entries = []
    for index, thing in enumerate(_things(drawn)):
        attributes = [thing.colour, *([thing.size] if thing.size else [])]
        entries.append({**_vg_object(drawn, index), "attributes": attributes})
    return entries


def _vg_relationships(drawn: Drawn) -> list[Json]:
    scene = drawn.scene
    stated = [(scene.subject, scene.relation.name, 1 - scene.subject)]
    stated += [(f.member, f.relation, 2 + i) for i, f in enumerate(scene.further)]
    entries = []
    for number, (subject, predicate, other) in enumerate(stated):
        ends = {"subject": _vg_object(drawn, subject), "object": _vg_object(drawn, other)}
        for end in ends.values():
            end["name"] = end.pop("names")[0]
        entry = {"relationship_id": _object_id(drawn, number), "predicate": predicate, "synsets": [], **ends}
        entries.append(entry)
    return entries


def visual_genome(drawn: Sequence[Drawn], *, size: int) -> dict[str, list[Json]]:
    """Visual Genome's four files, by name."""
    return {
        "image_data": [
            {"image_id": d.image_id, "url": f"images/{d.file_name}", "width": size, "height": size,
             "coco_id": d.image_id, "flickr_id": None}
            for d in drawn
        ],
        "objects": [
            {"image_id": d.image_id, "objects": [_vg_object(d, i) for i in range(len(d.boxes))]}
            for d in drawn
        ],
        "attributes": [{"image_id": d.image_id, "attributes": _vg_attributes(d)} for d in drawn],
        "relationships": [{"image_id": d.image_id, "relationships": _vg_relationships(d)} for d in drawn],
    }  # fmt: skip


def coco_captions(drawn: Iterable[Drawn], *, size: int) -> Json:
    """COCO's captions file."""
    drawn = list(drawn)
    licence = {"id": 1, "name": LICENCE, "url": "https://creativecommons.org/licenses/by-sa/4.0/"}
    return {
        "info": {"description": "knowclip OpenMoji scenes", "version": "1"},
        "licenses": [licence],
        "images": [
            {"id": d.image_id, "file_name": d.file_name, "width": size, "height": size, "license": 1}
            for d in drawn
        ],
        "annotations": [
            {"id": d.image_id, "image_id": d.image_id, "caption": d.scene.caption} for d in drawn
        ],
    }


def karpathy(drawn: Iterable[Drawn]) -> Json:
    """A Karpathy-style ``dataset.json``: every image with its split and sentences."""
    return {
        "dataset": "openmoji-scenes",
        "images": [
            {
                "filename": d.file_name,
                "filepath": "images",
                "split": d.split,
                "cocoid": d.image_id,
                "imgid": d.image_id,
                "sentids": [d.image_id],
                "sentences": [{"raw": d.scene.caption, "sentid": d.image_id, "imgid": d.image_id}],
            }
            for d in drawn
        ],
    }


def _pair_box(drawn: Drawn) -> Json:
    (x1, y1, w1, h1), (x2, y2, w2, h2) = drawn.boxes[:2]
    left, top = min(x1, x2), min(y1, y2)
    width, height = max(x1 + w1, x2 + w2) - left, max(y1 + h1, y2 + h2) - top
    return {"bbox_x": left, "bbox_y": top, "bbox_w": width, "bbox_h": height}


def _aro_item(drawn: Drawn, true: str, false: str) -> Json:
    return {
        "image_id": drawn.image_id,
        "image_path": drawn.file_name,
        **_pair_box(drawn),
        "true_caption": true,
        "false_caption": false,
    }


def aro_relation(drawn: Iterable[Drawn]) -> list[Json]:
    """``visual_genome_relation.json``: one item a scene, on its main relation."""
    items = []
    for d in drawn:
        a, b, name = d.scene.actor.noun, d.scene.patient.noun, d.scene.relation.name
        true, false = f"the {a} is {name} the {b}", f"the {b} is {name} the {a}"
        items.append(_aro_item(d, true, false) | {"relation_name": name})
    return items


def aro_attribution(drawn: Iterable[Drawn]) -> list[Json]:
    """``visual_genome_attribution.json``: both orders of mention for every scene of a full orbit."""
    items = []
    for d in drawn:
        if not d.scene.says_both:
            continue  # its attribute-swapped scene is not in the split: text alone could say something
        for a, b in (d.scene.pair, d.scene.pair[::-1]):
            true = f"the {a.colour} {a.noun} and the {b.colour} {b.noun}"
            false = f"the {b.colour} {a.noun} and the {a.colour} {b.noun}"
            extra = {"attributes": [a.colour, b.colour], "obj1_name": a.noun, "obj2_name": b.noun}
            items.append(_aro_item(d, true, false) | extra)
    return items
