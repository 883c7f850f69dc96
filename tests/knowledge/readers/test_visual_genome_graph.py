"""Visual Genome's files as a graph: the whole of what it holds, which files are read, where images lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from graph_contents import Calls, entities, facts, pictures, readings, relations
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.graph.tally import Tally
from knowclip.knowledge.readers.registry import import_graph

MAN = {"object_id": 1, "name": "Man", "x": 10, "y": 20, "w": 30, "h": 40}
HAT = {"object_id": 2, "names": ["topper"], "x": 12, "y": 15, "w": 10, "h": 8}
WEARS = {"predicate": "WEARS", "subject": MAN, "object": HAT}
LICENCE, URL = "CC BY 4.0", "https://homes.cs.washington.edu/~ranjay/visualgenome/api.html"
HALF = "the phrase holds half a surrogate pair, which is no letter"
UNSEEN = "region of an image that is not in the image folder"


def write(folder: Path, **files: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for stem, content in files.items():
        (folder / f"{stem}.json").write_text(json.dumps(content))
    return folder


def with_images(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        Image.new("RGB", (60, 80)).save(folder / name)
    return folder


def image(number: int, key: str, *records: Any) -> dict[str, Any]:
    return {"image_id": number, key: list(records)}


def test_all_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    region = {"id": 3, "phrase": " a man \n in a hat ", "x": 0, "y": 0, "width": 90, "height": 80}
    folder = write(
        tmp_path / "vg",
        relationships=[image(5, "relationships", WEARS, WEARS)],
        attributes=[image(5, "attributes", MAN, {**HAT, "attributes": ["Red", "red", "tall"]})],
        objects=[image(5, "objects", HAT)],
        region_descriptions=[{"id": 5, "regions": [region]}],
        image_data=[{"id": 5, "width": 60, "height": 80, "coco_id": 139}],
    )
    with_images(folder, "5.jpg")
    (folder / "object_alias.txt").write_text("hat,topper\n")
    calls: Calls = []
    graph = import_graph(
        "visual-genome",
        folder,
        tmp_path / "g",
        options={"objects": True, "regions": True},
        report=lambda *call: calls.append(call),
    )
    man, hat, place, phrase = "vg/5/1", "vg/5/2", "vg/5/region/3", "vg/5/phrase/3"
    assert facts(graph) == dict.fromkeys(
        [
            (man, "vg:wears", hat), (hat, "vg:is", "/c/en/red"), (hat, "vg:is", "/c/en/tall"),
            (hat, "vg:shows", "/c/en/hat"), (place, "vg:image of", phrase),
            (phrase, "vg:caption of", place),
        ],
        1.0,
    )  # fmt: skip
    assert entities(graph) == {
        man: "man", hat: "hat", place: None, phrase: "a man in a hat",
        "/c/en/red": "red", "/c/en/tall": "tall", "/c/en/hat": "hat",
    }  # fmt: skip
    names = ("wears", "is", "shows", "image of", "caption of")
    assert relations(graph) == {f"vg:{name}": name for name in names}
    whole = ("vg/5", 139, 60, 80)
    assert pictures(graph) == {
        (man, "5.jpg", 10, 20, 30, 40, *whole),
        (hat, "5.jpg", 12, 15, 10, 8, *whole),
        (place, "5.jpg", 0, 0, 60, 80, *whole),
    }
    root, without = str(folder.resolve()), {"object without attributes": 1}
    options = {"objects": True, "regions": True}
    assert graph.sources == (
        Source(
            "visual-genome", LICENCE, URL, path=str(folder), image_root=root, options=options, skipped=without
        ),
    )
    assert graph.tally == Tally(read=10, kept=6, merged=2, described=1, skipped=without)
    parts = ("relationships", "attributes", "objects", "region_descriptions")
    assert {stage for stage, _ in readings(calls)} == {f"reading {part}.json" for part in parts}


def test_objects_and_regions_are_left_out_by_default(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "vg",
        relationships=[image(5, "relationships", WEARS)],
        objects=[image(5, "objects", HAT)],
        region_descriptions=[image(5, "regions", {"region_id": 3, "phrase": "a hat", **HAT})],
    )
    graph = import_graph("visual-genome", folder, tmp_path / "g", options={"name": "mine", "licence": "MIT"})
    assert facts(graph) == {("vg/5/1", "vg:wears", "vg/5/2"): 1.0}
    source = graph.sources[0]
    assert (source.name, source.licence, source.url) == ("mine", "MIT", "")
    assert source.skipped == {UNSEEN: 2}


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (("relationships",), {"vg:wears": "vg/5/2"}),
        (("attributes",), {"vg:is": "/c/en/new"}),
        (("scene_graphs",), {"vg:near": "vg/5/2", "vg:is": "/c/en/old"}),
        (("relationships", "scene_graphs"), {"vg:wears": "vg/5/2", "vg:is": "/c/en/old"}),
        (("attributes", "scene_graphs"), {"vg:near": "vg/5/2", "vg:is": "/c/en/new"}),
        (
            ("relationships", "attributes", "scene_graphs"),
            {"vg:wears": "vg/5/2", "vg:is": "/c/en/new"},
        ),
    ],
)
def test_which_files_are_read(tmp_path: Path, there: tuple[str, ...], expected: dict[str, str]) -> None:
    near = {"predicate": "near", "subject_id": 1, "object_id": 2}
    objects = [MAN, {**HAT, "attributes": ["old"]}]
    files: dict[str, Any] = {
        "relationships": [image(5, "relationships", WEARS)],
        "attributes": [image(5, "attributes", {**HAT, "attributes": ["new"]})],
        "scene_graphs": [{"image_id": 5, "objects": objects, "relationships": [near]}],
    }
    folder = write(tmp_path / "vg", **{name: files[name] for name in there})
    graph = import_graph("visual-genome", folder, tmp_path / "g")
    assert {relation: tail for _, relation, tail in facts(graph)} == expected


@pytest.mark.parametrize("asked", ["objects", "regions"])
def test_a_file_that_is_asked_for_and_not_there_is_named(tmp_path: Path, asked: str) -> None:
    folder = write(tmp_path / "vg", relationships=[image(5, "relationships", WEARS)])
    with pytest.raises(FileNotFoundError) as error:
        import_graph("visual-genome", folder, tmp_path / "g", options={asked: True})
    stem = {"objects": "objects", "regions": "region_descriptions"}[asked]
    assert str(error.value) == f"{folder}: no {stem}.json (nor .gz or .zip), which was asked for"


def test_what_cannot_be_read_at_all_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "vg")
    with pytest.raises(FileNotFoundError) as error:
        import_graph("visual-genome", folder, tmp_path / "g")
    assert str(error.value) == (
        f"{folder}: no relationships.json, attributes.json or scene_graphs.json (nor .gz or .zip of them)"
    )
    with pytest.raises(FileNotFoundError) as error:
        import_graph("visual-genome", tmp_path / "no", tmp_path / "g")
    assert str(error.value) == (
        f"{tmp_path / 'no'}: no such folder; the one that holds Visual Genome's files is wanted"
    )
    with pytest.raises(ValueError) as told:
        import_graph("visual-genome", folder, tmp_path / "g", options={"max_relations": -1})
    assert str(told.value) == "max_relations=-1: must be 0 (all) or more"


@pytest.mark.parametrize(
    ("options", "kept"), [({}, 1000), ({"max_relations": 0}, 1002), ({"max_relations": 1}, 1)]
)
def test_the_most_frequent_predicates_are_kept(tmp_path: Path, options: dict[str, int], kept: int) -> None:
    said = [{**WEARS, "predicate": f"p{number:04d}"} for number in range(1002)]
    folder = write(tmp_path / "vg", relationships=[image(5, "relationships", *said)])
    graph = import_graph("visual-genome", folder, tmp_path / "g", options=options)
    assert set(relations(graph)) == {f"vg:p{number:04d}" for number in range(kept)}
    cut = {f"predicate not among the {kept} most frequent": 1002 - kept} if kept < 1002 else {}
    assert graph.sources[0].skipped == cut | {UNSEEN: 2 * 1002}


@pytest.mark.parametrize(
    ("inside", "beside", "given", "found"),
    [
        (True, True, False, "vg"), (False, True, False, "images"), (False, False, False, "vg"),
        (True, True, True, "given"), (False, True, True, "given"),
    ],
)  # fmt: skip
def test_where_images_are_looked_for(
    tmp_path: Path, inside: bool, beside: bool, given: bool, found: str
) -> None:
    folder = write(tmp_path / "vg", relationships=[image(5, "relationships", WEARS)])
    if inside:
        with_images(folder, "5.jpg")
    if beside:
        with_images(tmp_path / "images", "5.jpg")
    options = {"images": with_images(tmp_path / "given")} if given else {}  # an empty one
    graph = import_graph("visual-genome", folder, tmp_path / "g", options=options)
    assert graph.sources[0].image_root == str((tmp_path / found).resolve())
    assert graph.counts["images"] == (2 if (inside or beside) and not given else 0)


def test_an_image_is_found_by_its_address_before_its_number(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "vg",
        relationships=[
            image(5, "relationships", WEARS) | {"image_url": "https://x/elsewhere.jpg"},
            image(6, "relationships", WEARS) | {"image_url": "https://x/b.jpg"},
            image(7, "relationships", WEARS) | {"image_url": 7},
        ],
        image_data=[{"image_id": 5, "url": "https://x/a.jpg"}],
    )
    with_images(folder, "5.jpg", "6.jpg", "7.jpg", "a.jpg", "b.jpg")
    graph = import_graph("visual-genome", folder, tmp_path / "g")
    found = {(entity, path) for entity, path, *_ in pictures(graph)}
    assert found == {
        (f"vg/{number}/{region}", path)
        for number, path in ((5, "a.jpg"), (6, "b.jpg"), (7, "7.jpg"))
        for region in (1, 2)
    }


def test_every_fault_is_counted_and_its_first_place_named(tmp_path: Path) -> None:
    on = {"predicate": "on", "subject_id": 1, "object_id": 2}
    folder = write(
        tmp_path / "vg",
        relationships=[
            image(
                5,
                "relationships",
                {**on, "subject_id": 9},
                {**on, "object_id": "2"},
                on,
                {**on, "predicate": 1},
            )
            | {"objects": [5, MAN, HAT]},
            image(6, "objects"),
            {"image_id": "7"},
        ],
        attributes=[image(5, "attributes", {**MAN, "attributes": 5})],
        region_descriptions=[
            image(
                5,
                "regions",
                {**MAN, "region_id": 1, "phrase": 5},
                {**MAN, "phrase": "\ud83d"},
                {**MAN, "phrase": "x"},
            )
        ],
        image_data=[{}, {"image_id": 5}, {"image_id": 6}],
    )
    graph = import_graph("visual-genome", folder, tmp_path / "g", options={"regions": True}, max_bad=1.0)
    assert facts(graph) == {("vg/5/1", "vg:on", "vg/5/2"): 1.0}
    faults = {
        "subject_id 9 is no object of the image": "relationships.json: $[0].relationships[0]",
        "no whole number 'object_id'": "relationships.json: $[0].relationships[1]",
        "no whole number 'object_id' or 'id'": "relationships.json: $[0].objects[0]",
        "no predicate": "relationships.json: $[0].relationships[3]",
        "no list 'relationships' in the image": "relationships.json: $[1]",
        "no whole number 'image_id' or 'id'": "image_data.json: $[0]",
        "attributes are no list": "attributes.json: $[0].attributes[0]",
        "no phrase": "region_descriptions.json: $[0].regions[0]",
        HALF: "region_descriptions.json: $[0].regions[1]",
        "no whole number 'region_id' or 'id'": "region_descriptions.json: $[0].regions[2]",
    }
    counts = dict.fromkeys(faults, 1) | {"no whole number 'image_id' or 'id'": 2}
    assert graph.tally == Tally(
        read=14,
        kept=1,
        described=2,
        skipped={f"malformed: {reason}": count for reason, count in counts.items()},
        first={f"malformed: {reason}": f"{folder}/{place}" for reason, place in faults.items()},
    )
