"""Visual Genome in its versions: names, ids, missing parts, aliases, damage, the genuine files."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.readers.registry import import_graph
from knowclip.types import Triplet

MAN = {"object_id": 1, "name": "Man", "x": 10, "y": 20, "w": 30, "h": 40, "synsets": ["man.n.01"]}
HAT = {"object_id": 2, "names": ["red hat"], "x": 12, "y": 15, "w": 10, "h": 8}
WEARS = {"predicate": "WEARS ", "subject": MAN, "object": HAT, "relationship_id": 7, "synsets": []}


def vg(folder: Path, images: tuple[int, ...] = (5,), **files: Any) -> Path:
    folder.mkdir()
    for number in images:
        (folder / "VG_100K").mkdir(exist_ok=True)
        Image.new("RGB", (60, 80)).save(folder / "VG_100K" / f"{number}.jpg")
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def triplets(graph: KnowledgeGraph) -> set[Triplet]:
    return {graph.triplet(row) for row in range(graph.counts["triplets"])}


def test_regions_relations_attributes(tmp_path: Path) -> None:
    folder = vg(
        tmp_path / "vg",
        relationships=[{"image_id": 5, "relationships": [WEARS]}],
        attributes=[{"image_id": 5, "attributes": [{**HAT, "attributes": ["Red", "red", "tall"]}, MAN]}],
        image_data=[
            {"image_id": 5, "width": 60, "height": 80, "coco_id": 139, "url": "https://x/VG_100K/5.jpg"}
        ],
    )
    graph = import_graph("visual-genome", folder, tmp_path / "g")
    assert triplets(graph) == {
        Triplet("vg/5/1", "vg:wears", "vg/5/2"),
        Triplet("vg/5/2", "vg:is", "/c/en/red"),
        Triplet("vg/5/2", "vg:is", "/c/en/tall"),
    }
    man, hat = graph.entity("vg/5/1"), graph.entity("vg/5/2")
    assert (graph.arrays.entity_text[man], graph.arrays.entity_text[hat]) == ("man", "red hat")
    (image,) = graph.images(hat)
    assert image.path == (folder / "VG_100K" / "5.jpg").resolve() and image.box == (12, 15, 10, 8)
    assert graph.sql("SELECT DISTINCT image_id, coco_id, image_width FROM images").fetchall() == [
        ("vg/5", 139, 60)
    ]
    assert graph.arrays.group[man] == graph.arrays.group[hat] >= 0 > graph.arrays.group[graph.entity("red")]


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    folder = vg(tmp_path / "vg", images=(), relationships=[{"image_id": 5, "relationships": [WEARS]}])
    pictures = vg(tmp_path / "pictures")
    graph = import_graph("visual-genome", folder, tmp_path / "g", options={"images": pictures})
    assert graph.counts["images"] == 2 and graph.sources[0].options == {"images": str(pictures)}
    with pytest.raises(FileNotFoundError, match="no such folder; the one that holds Visual Genome"):
        import_graph("visual-genome", tmp_path / "none", tmp_path / "x")


def test_old_keys_and_scene_graphs(tmp_path: Path) -> None:
    old = [{"id": 1, "names": ["man"], "x": 1, "y": 2, "width": 3, "height": 4}]
    old += [{"id": 2, "name": "hat", "x": 1, "y": 2, "w": 3, "h": 4, "attributes": ["red"]}]
    relation = {"predicate": "wears", "subject_id": 1, "object_id": 2}
    broken = {"predicate": "wears", "subject_id": 1, "object_id": 9}
    folder = vg(
        tmp_path / "vg", scene_graphs=[{"id": 5, "objects": old, "relationships": [relation, broken]}]
    )
    graph = import_graph("visual-genome", folder, tmp_path / "g")
    assert triplets(graph) == {
        Triplet("vg/5/1", "vg:wears", "vg/5/2"),
        Triplet("vg/5/2", "vg:is", "/c/en/red"),
    }
    assert graph.images(graph.entity("vg/5/1"))[0].box == (1, 2, 3, 4)
    assert graph.sources[0].skipped == {
        "malformed: object_id 9 is no object of the image": 1,
        "object without attributes": 1,
    }


def test_objects_and_regions_on_request(tmp_path: Path) -> None:
    region = {
        "region_id": 3,
        "image_id": 5,
        "phrase": "a man  in a hat",
        "x": 0,
        "y": 0,
        "width": 60,
        "height": 80,
    }
    folder = vg(
        tmp_path / "vg",
        relationships=[{"image_id": 5, "relationships": [WEARS]}],
        objects=[{"image_id": 5, "objects": [HAT]}],
        region_descriptions=[{"id": 5, "regions": [region, {**region, "region_id": 4, "phrase": " "}]}],
    )
    graph = import_graph("visual-genome", folder, tmp_path / "g", options={"objects": True, "regions": True})
    assert triplets(graph) == {
        Triplet("vg/5/1", "vg:wears", "vg/5/2"),
        Triplet("vg/5/2", "vg:shows", "/c/en/red_hat"),
        Triplet("vg/5/region/3", "vg:image of", "vg/5/phrase/3"),
        Triplet("vg/5/phrase/3", "vg:caption of", "vg/5/region/3"),
    }
    assert graph.arrays.entity_text[graph.entity("vg/5/phrase/3")] == "a man in a hat"
    assert graph.sources[0].skipped == {"malformed: no phrase": 1}
    (folder / "objects.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no objects\.json"):
        import_graph("visual-genome", folder, tmp_path / "x", options={"objects": True})


def test_aliases_and_the_cut_of_relations(tmp_path: Path) -> None:
    def said(predicate: str, subject: int) -> dict[str, Any]:
        return {
            **WEARS,
            "predicate": predicate,
            "subject": {**MAN, "object_id": subject, "name": "gentleman"},
        }

    records = [said("wears", 10), said("wearing", 11), said("has on", 12), said("near", 13), said("by", 14)]
    folder = vg(tmp_path / "vg", relationships=[{"image_id": 5, "relationships": records}])
    (folder / "relationship_alias.txt").write_text("wears,wearing,has on\nnear,next to\n")
    (folder / "object_alias.txt").write_text("man,gentleman,guy\n ,man\n")
    graph = import_graph("visual-genome", folder, tmp_path / "g", options={"max_relations": 2})
    assert sorted(t.relation for t in triplets(graph)) == ["vg:by", "vg:wears", "vg:wears", "vg:wears"]
    assert graph.sources[0].skipped == {"predicate not among the 2 most frequent": 1}
    assert graph.arrays.entity_text[graph.entity("vg/5/10")] == "man"


@pytest.mark.parametrize("ending", ["json.gz", "json.zip"])
def test_compressed_files(tmp_path: Path, ending: str) -> None:
    folder = vg(tmp_path / "vg")
    content = json.dumps([{"image_id": 5, "relationships": [WEARS]}])
    file = folder / f"relationships.{ending}"
    if ending.endswith("gz"):
        file.write_bytes(gzip.compress(content.encode()))
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("relationships.json", content)
    assert import_graph("visual-genome", folder, tmp_path / "g").counts["triplets"] == 1


BAD_OBJECTS = {
    "no name": {key: value for key, value in MAN.items() if key != "name"},
    "blank name": {**MAN, "name": "  "},
    "half a surrogate pair": {**MAN, "name": "man \ud83d"},
    "name without words": {**MAN, "name": "_ /"},
    "empty names": {**HAT, "names": []},
    "no id": {**MAN, "object_id": None},
    "id as text": {**MAN, "object_id": "1"},
    "no width": {key: value for key, value in MAN.items() if key != "w"},
    "no area": {**MAN, "w": 0},
    "outside": {**MAN, "x": 500},
    "left of it": {**MAN, "x": -50},
    "not an object": ["man"],
    "a number": 3,
}


@pytest.mark.parametrize("bad", BAD_OBJECTS.values(), ids=BAD_OBJECTS.keys())
def test_malformed_records_are_counted_then_refused_by_path(tmp_path: Path, bad: Any) -> None:
    size = [{"image_id": 5, "width": 60, "height": 80}]
    broken = {**WEARS, "subject": bad}
    folder = vg(
        tmp_path / "few", relationships=[{"image_id": 5, "relationships": [WEARS, broken]}], image_data=size
    )
    graph = import_graph("visual-genome", folder, tmp_path / "g")
    assert graph.counts["triplets"] == 1 and sum(graph.sources[0].skipped.values()) == 1
    records = [WEARS, *[broken] * 11]
    folder = vg(tmp_path / "many", relationships=[{"image_id": 5, "relationships": records}], image_data=size)
    with pytest.raises(
        ValueError, match=r"relationships\.json: \$\[0\]\.relationships\[11\]: .*11 of 13 records"
    ):
        import_graph("visual-genome", folder, tmp_path / "x")


@pytest.mark.parametrize("element", [{}, {"image_id": 5}, {"image_id": 5, "relationships": {}}, [], None, 3])
def test_malformed_images_are_counted(tmp_path: Path, element: Any) -> None:
    good = {"image_id": 5, "relationships": [WEARS]}
    folder = vg(tmp_path / "vg", relationships=[good, element])
    graph = import_graph("visual-genome", folder, tmp_path / "g")
    assert graph.counts["triplets"] == 1 and sum(graph.sources[0].skipped.values()) == 1


def test_an_image_that_is_not_there_leaves_words(tmp_path: Path) -> None:
    folder = vg(tmp_path / "vg", images=(), relationships=[{"image_id": 5, "relationships": [WEARS]}])
    graph = import_graph("visual-genome", folder, tmp_path / "g")
    assert graph.counts["images"] == 0
    assert graph.sources[0].skipped == {"region of an image that is not in the image folder": 2}


@pytest.mark.parametrize("share", [0.2, 0.6, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    folder = vg(tmp_path / "vg", relationships=[{"image_id": 5, "relationships": [WEARS] * 3}] * 20)
    file = folder / "relationships.json"
    text = file.read_text()
    file.write_text(text[: int(len(text) * share)])
    with pytest.raises(ValueError, match=r"relationships\.json: broken JSON .*download"):
        import_graph("visual-genome", folder, tmp_path / "g")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"no relationships\.json, attributes\.json or scene_graphs\.json"
    ):
        import_graph("visual-genome", vg(tmp_path / "vg"), tmp_path / "g")


@pytest.mark.conformance
def test_the_genuine_files(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "visual_genome"
    relations = json.loads((folder / "relationships.json").read_text())
    attributes = json.loads((folder / "attributes.json").read_text())
    expected = {
        (
            e["image_id"],
            r["subject"]["object_id"],
            " ".join(r["predicate"].lower().split()),
            r["object"]["object_id"],
        )
        for e in relations
        for r in e["relationships"]
        if r["subject"]["object_id"] != r["object"]["object_id"]
    }
    said = {
        (e["image_id"], a["object_id"], " ".join(value.lower().split()))
        for e in attributes
        for a in e["attributes"]
        for value in a.get("attributes", [])
    }
    graph = import_graph("visual-genome", folder, tmp_path / "g")
    assert graph.counts["triplets"] == len(expected) + len(said) == 191
    regions = {(i, o) for i, s, _, t in expected for o in (s, t)} | {(i, o) for i, o, _ in said}
    words = {value.replace("/", " ") for _, _, value in said}
    assert graph.counts["entities"] == len(regions) + len(words)
    assert graph.counts["images"] == len([1 for image, _ in regions if image in (1, 2)])
