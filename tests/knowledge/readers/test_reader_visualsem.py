"""VisualSem's files: all that the graph holds of them, other names of the files, what is said of faults."""

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

NODES = {"bn:1n": {"ms": "dog", "ims": ["abc1", "gone", 5, "abc2", "abc3"]}, "bn:2n": {"ms": "kept_animal"}}
TUPLES: dict[str, Any] = {"bn:2n": [{"s": "bn:1n", "r": "is-a", "r_id": 3}]}
FACT = {("bn:1n", "visualsem:is-a", "bn:2n"): 1.0}
NONE = (None,) * 8


def write(folder: Path, **files: Any) -> Path:
    folder.mkdir()
    for stem, content in ({"nodes": NODES, "tuples": TUPLES} | files).items():
        (folder / f"{stem}.json").write_text(json.dumps(content))
    return folder


def with_images(folder: Path) -> Path:
    (folder / "ab").mkdir(parents=True)
    for number in (1, 2, 3):
        Image.new("RGB", (4, 4)).save(folder / "ab" / f"abc{number}.jpg")
    return folder


def test_without_images_and_glosses_words_are_left(tmp_path: Path) -> None:
    folder = write(tmp_path / "vs")
    calls: Calls = []
    graph = import_graph("visualsem", folder, tmp_path / "g", report=lambda *call: calls.append(call))
    assert facts(graph) == FACT
    assert entities(graph) == {"bn:1n": "dog", "bn:2n": "kept animal"}
    assert relations(graph) == {"visualsem:is-a": "is a"}
    assert pictures(graph) == set()
    assert graph.sources == (
        Source(
            "visualsem",
            "BabelNet non-commercial licence (CC BY-NC-SA 3.0)",
            "https://github.com/iacercalixto/visualsem",
            path=str(folder),
            skipped={"image without an image folder": 5},
        ),
    )
    assert graph.tally == Tally(read=3, kept=1, described=2)
    assert {stage for stage, _ in readings(calls)} == {"reading nodes.json", "reading tuples.json"}
    assert all(0.0 <= share <= 1.0 for _, share in calls)


@pytest.mark.parametrize("stem", ["nodes", "tuples"])
def test_both_files_are_needed(tmp_path: Path, stem: str) -> None:
    folder = write(tmp_path / "vs")
    (folder / f"{stem}.json").unlink()
    with pytest.raises(FileNotFoundError) as error:
        import_graph("visualsem", folder, tmp_path / "g")
    assert str(error.value) == f"{folder}: nodes.v2.json and tuples.v2.json are both needed"


@pytest.mark.parametrize(
    ("limit", "above", "kept"), [(0, 0, "123"), (1, 2, "1"), (2, 1, "12"), (3, 0, "123"), (9, 0, "123")]
)
def test_images_above_the_limit_are_counted(tmp_path: Path, limit: int, above: int, kept: str) -> None:
    images = with_images(tmp_path / "pictures")
    options = {"images": images, "max_images": limit}
    graph = import_graph("visualsem", write(tmp_path / "vs"), tmp_path / "g", options=options)
    assert pictures(graph) == {("bn:1n", f"ab/abc{number}.jpg", *NONE) for number in kept}
    told = {"image above the limit an entity": above, "image that is not in the image folder": 2}
    assert graph.sources[0].skipped == {reason: count for reason, count in told.items() if count}
    assert graph.sources[0].image_root == str(images.resolve())


def test_images_beside_the_files_are_found(tmp_path: Path) -> None:
    folder = write(tmp_path / "vs")
    images = with_images(folder / "images")
    graph = import_graph("visualsem", folder, tmp_path / "g")
    assert graph.sources[0].image_root == str(images.resolve()) and graph.counts["images"] == 3


def test_glosses_may_be_texts_lists_or_none(tmp_path: Path) -> None:
    glosses = [
        {"available_languages": ["en", "de"]},
        {"bn:1n": {"en": " a \n pet "}, "bn:2n": {"de": ["Tier"]}},
        {"bn:2n": {"en": None}},
    ]
    folder = write(tmp_path / "vs", **{"nodes.glosses": glosses})
    calls: Calls = []
    graph = import_graph("visualsem", folder, tmp_path / "g", report=lambda *call: calls.append(call))
    assert entities(graph) == {"bn:1n": "dog: a pet", "bn:2n": "kept animal"}
    assert graph.tally == Tally(read=5, kept=1, described=4)
    assert "reading nodes.glosses.json" in {stage for stage, _ in calls}


def test_glosses_need_no_list_of_languages(tmp_path: Path) -> None:
    folder = write(tmp_path / "vs", **{"nodes.glosses": [{"bn:1n": {"en": ["a pet"]}}]})
    assert entities(import_graph("visualsem", folder, tmp_path / "g"))["bn:1n"] == "dog: a pet"


@pytest.mark.parametrize(("languages", "there"), [(["de", 5], "de, 5"), ("de", "'de'"), (None, "None")])
def test_the_languages_that_are_there_are_named(tmp_path: Path, languages: object, there: str) -> None:
    folder = write(tmp_path / "vs", **{"nodes.glosses": [{"available_languages": languages}]})
    with pytest.raises(ValueError) as error:
        import_graph("visualsem", folder, tmp_path / "g")
    file = folder / "nodes.glosses.json"
    assert str(error.value) == f"{file}: no glosses in language='en'; there are {there}"


def test_every_fault_is_counted_and_its_first_place_named(tmp_path: Path) -> None:
    is_a = {"s": "bn:1n", "r": "is-a"}
    nodes = {**NODES, "bn:3n": 5, "bn:4n": {"ms": None}, "bn:5n": {"ms": "x\ud83d"}, "bn:6n": {"ms": "fox"}}
    tuples = {
        **TUPLES,
        "bn:6n": is_a,  # an entry alone stands for a list of one
        "bn:\ud83d": [is_a],
        "bn:1n": [5, {"s": "bn:2n"}, {"r": "is-a"}, {"s": "bn:2n", "r": "eats"}],
    }
    glosses = [{"bn:1n": {"en": ["a pet"]}}, {"bn:2n": 5}, 5]
    folder = write(tmp_path / "vs", nodes=nodes, tuples=tuples, **{"nodes.glosses": glosses})
    graph = import_graph("visualsem", folder, tmp_path / "g")
    assert facts(graph) == FACT | {("bn:1n", "visualsem:is-a", "bn:6n"): 1.0}
    faults = {
        "not of the form {id: {language: [gloss, ...]}}": (2, "nodes.glosses.json: $[1]"),
        "no id or no main sense 'ms'": (2, "nodes.json: $.bn:3n"),
        "id or main sense 'ms' holds half a surrogate pair, which is no letter": (
            1,
            "nodes.json: $.'bn:5n'",
        ),
        "head or tail is no node": (1, r"tuples.json: $.'bn:\ud83d'[0]"),
        "no head 's' or no relation 'r'": (3, "tuples.json: $.bn:1n[0]"),
        "relation 'eats' is none of VisualSem's 13": (1, "tuples.json: $.bn:1n[3]"),
    }
    assert graph.tally == Tally(
        read=16,
        kept=2,
        described=4,
        skipped={f"malformed: {reason}": count for reason, (count, _) in faults.items()},
        first={f"malformed: {reason}": f"{folder}/{place}" for reason, (_, place) in faults.items()},
    )
