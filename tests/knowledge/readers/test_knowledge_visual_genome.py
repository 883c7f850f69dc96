"""Scene graphs of images from Visual Genome's files, in both of their forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from knowclip.knowledge.readers.visual_genome_scene_graphs import read_visual_genome_graphs
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject


def item(number: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"object_id": number, "x": number, "y": 2, "w": 3, "h": 4, "names": [name], **fields}


def write(folder: Path, **parts: Any) -> None:
    for part, value in parts.items():
        (folder / f"{part}.json").write_text(json.dumps(value))


def test_graph_of_an_image(tmp_path: Path) -> None:
    dog = {**item(7, ""), "name": "Dog"}
    write(
        tmp_path,
        attributes=[
            {"image_id": 1, "attributes": [item(7, "dog", attributes=["Red ", "red"]), item(8, "Cat")]}
        ],
        relationships=[
            {"image_id": 1, "relationships": [{"predicate": "ON", "subject": dog, "object": item(9, "mat")}]},
            {"image_id": 2, "relationships": []},
        ],
        objects=[{"image_id": 1, "objects": [item(8, "cat"), item(10, "box")]}],
    )
    names = (("dog", 7), ("cat", 8), ("mat", 9), ("box", 10))
    assert read_visual_genome_graphs(tmp_path) == {
        1: SceneGraph(
            tuple(SceneObject(name, None, (number, 2, 3, 4)) for name, number in names),
            (Attribute(0, "red"),),
            (Relation(0, "on", 2),),
        ),
        2: SceneGraph(),
    }


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    write(tmp_path, attributes=[{"image_id": 1, "attributes": [{"object_id": 3}]}], relationships=[])
    with pytest.raises(ValueError, match=r"attributes\.json: \$\[0\]\.attributes\[0\] is no record"):
        read_visual_genome_graphs(tmp_path)


def test_a_few_broken_records_are_left_out_with_a_warning(tmp_path: Path) -> None:
    flat = {**item(500, "shadow"), "h": 0}
    records = [*(item(number, "dog") for number in range(199)), flat]
    write(tmp_path, attributes=[{"image_id": 1, "attributes": records}], relationships=[])
    with pytest.warns(UserWarning, match=r"1 of 200 .*attributes\[199\].*box without area"):
        graphs = read_visual_genome_graphs(tmp_path)
    assert len(graphs[1].objects) == 199


def test_missing_files_are_named(tmp_path: Path) -> None:
    write(tmp_path, attributes=[])
    with pytest.raises(ValueError, match=r"no relationships\.json"):
        read_visual_genome_graphs(tmp_path)


@pytest.mark.conformance
def test_genuine_files(real_data: Path) -> None:
    graphs = read_visual_genome_graphs(real_data / "visual_genome")
    assert set(graphs) == {1, 2, 3}
    first = graphs[1]
    said = {(first.objects[r.subject].name, r.name, first.objects[r.object].name) for r in first.relations}
    assert {("shade", "on", "sidewalk"), ("man", "wears", "shoes"), ("car", "has", "headlight")} <= said
    attributes = {(first.objects[a.object].name, a.name) for a in first.attributes}
    assert {("clock", "green"), ("clock", "tall"), ("bike", "parked")} <= attributes
    assert all(thing.box is not None and thing.span is None for thing in first.objects)


def test_an_object_has_no_relation_to_itself(tmp_path: Path) -> None:
    said = [{"predicate": "on", "subject": item(1, "mat"), "object": item(k, "mat")} for k in (1, 2)]
    write(tmp_path, attributes=[], relationships=[{"image_id": 1, "relationships": said}])
    with pytest.warns(UserWarning, match="1 relations of an object with itself left out"):
        graphs = read_visual_genome_graphs(tmp_path)
    assert graphs[1].relations == (Relation(0, "on", 1),)
