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


@pytest.mark.parametrize(
    ("there", "missing"), [("attributes", "relationships"), ("relationships", "attributes")]
)
def test_missing_files_are_named(tmp_path: Path, there: str, missing: str) -> None:
    write(tmp_path, **{there: []})
    with pytest.raises(ValueError) as error:
        read_visual_genome_graphs(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: no {missing}.json (nor .gz or .zip), which Visual Genome's graphs need"
    )


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
    said = [{"predicate": "on", "subject": item(1, "mat"), "object": item(k, "mat")} for k in (1, 2, 1)]
    write(tmp_path, attributes=[], relationships=[{"image_id": 1, "relationships": said}])
    with pytest.warns(UserWarning) as told:
        graphs = read_visual_genome_graphs(tmp_path)
    assert graphs[1].relations == (Relation(0, "on", 1),)
    assert [str(warning.message) for warning in told] == [
        f"{tmp_path}: 2 relations of an object with itself left out"
    ]


def test_images_and_objects_may_have_the_older_id(tmp_path: Path) -> None:
    thing = {"id": 7, "name": "dog", "x": 1, "y": 2, "width": 3, "height": 4}
    write(tmp_path, attributes=[{"id": 1, "attributes": [thing]}], relationships=[])
    assert read_visual_genome_graphs(tmp_path) == {1: SceneGraph((SceneObject("dog", None, (1, 2, 3, 4)),))}


def test_images_that_are_none_count_as_a_broken_record(tmp_path: Path) -> None:
    things = [item(number, "dog") for number in range(199)]
    write(tmp_path, attributes=[{"image_id": 1, "attributes": things}, 5, {"image_id": 2}], relationships=[])
    with pytest.warns(UserWarning) as told:
        graphs = read_visual_genome_graphs(tmp_path)
    assert len(graphs[1].objects) == 199
    first = f"{tmp_path / 'attributes.json'}: $[1] is no image of Visual Genome: "
    assert [str(warning.message) for warning in told] == [
        f"2 of 201 records left out, the first: {first}no whole number 'image_id' or 'id'"
    ]


@pytest.mark.parametrize(
    ("part", "record", "reason"),
    [
        ("attributes", {}, "no whole number 'object_id' or 'id'"),
        ("attributes", item(1, "_"), "no name"),
        ("attributes", item(1, "\ud83d"), "the name holds half a surrogate pair, which is no letter"),
        ("attributes", item(1, "dog", w="3"), "no box x, y, w, h"),
        ("attributes", item(1, "dog", attributes=5), "attributes are no list"),
        ("attributes", item(1, "dog", attributes=[" "]), "no attribute"),
        ("relationships", {"subject": item(1, "a"), "object": item(2, "b")}, "no predicate"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(
    tmp_path: Path, part: str, record: dict[str, Any], reason: str
) -> None:
    write(tmp_path, **{"attributes": [], "relationships": [], part: [{"image_id": 1, part: [record]}]})
    with pytest.raises(ValueError) as error:
        read_visual_genome_graphs(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / part}.json: $[0].{part}[0] is no record of Visual Genome: {reason}; "
        "1 of 1 records are broken: is this the right file?"
    )
