"""Captions and depictions: all that the graph holds of them, what is left out, what is reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from graph_contents import Calls, entities, facts, pictures, readings, relations
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.readers.registry import import_graph
from knowclip.types import Example, ImageRef

NONE = (None, None, None, None)


def test_captions_are_stated_both_ways(tmp_path: Path) -> None:
    photo = tmp_path / "photos" / "a.jpg"
    examples = [
        Example("a#0", "a", ImageRef(photo), " "),
        Example("a#1", "a", ImageRef(photo, (1, 2, 3, 4)), "a dog"),
    ]
    graph = import_graph("captions", examples, tmp_path / "g")
    image, caption = "captions/image/a", "captions/caption/a#1"
    assert facts(graph) == {(image, "image of", caption): 1.0, (caption, "caption of", image): 1.0}
    assert entities(graph) == {image: None, caption: "a dog"}
    assert relations(graph) == {"image of": "image of", "caption of": "caption of"}
    assert pictures(graph) == {(image, "a.jpg", 1, 2, 3, 4, image, None, None, None)}
    assert graph.sources == (
        Source(
            "captions", "not stated", image_root=str(photo.parent.resolve()), skipped={"empty caption": 2}
        ),
    )


def test_captions_keep_the_name_and_the_licence_that_are_given(tmp_path: Path) -> None:
    examples = [Example("a#0", "a", ImageRef(tmp_path / "a.jpg"), "a dog")]
    options = {"name": "mine", "licence": "CC0"}
    graph = import_graph("captions", examples, tmp_path / "g", options=options)
    assert set(entities(graph)) == {"mine/image/a", "mine/caption/a#0"}
    assert graph.sources == (Source("mine", "CC0", image_root=str(tmp_path.resolve()), options=options),)


def test_no_captions_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^no image-caption pairs to import$"):
        import_graph("captions", [], tmp_path / "g")


def test_every_ten_thousandth_caption_is_reported(tmp_path: Path) -> None:
    first = Example("a#0", "a", ImageRef(tmp_path / "a.jpg"), "a dog")
    blank = Example("a#1", "a", ImageRef(tmp_path / "a.jpg"), "")
    calls: Calls = []
    import_graph(
        "captions", [first, *[blank] * 10_000], tmp_path / "g", report=lambda *call: calls.append(call)
    )
    assert readings(calls) == [("reading captions", 0.0), ("reading captions", 10_000 / 10_001)]


def test_depictions_are_named_by_file_or_folder(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    for name in ("17.png", "hot-dog_2.png", "cat/17.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)
    graph = import_graph("depictions", folder, tmp_path / "g")
    dog, cat = "depictions/hot-dog_2.png", "depictions/cat/17.png"
    assert facts(graph) == {
        ("/c/en/hot_dog", "depicted by", dog): 1.0,
        ("/c/en/cat", "depicted by", cat): 1.0,
    }
    assert entities(graph) == {"/c/en/hot_dog": "hot dog", "/c/en/cat": "cat", dog: None, cat: None}
    assert relations(graph) == {"depicted by": "is depicted by"}
    assert pictures(graph) == {
        (dog, "hot-dog_2.png", *NONE, dog, None, None, None),
        (cat, "cat/17.png", *NONE, cat, None, None, None),
    }
    reason = "malformed: a file name without the noun it shows"
    root = str(folder.resolve())
    assert graph.sources == (
        Source("depictions", "not stated", path=str(folder), image_root=root, skipped={reason: 1}),
    )
    assert graph.tally is not None and graph.tally.first == {reason: str(folder / "17.png")}


def test_depictions_keep_the_name_and_the_licence_that_are_given(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "dog.png")
    options = {"name": "mine", "licence": "CC0"}
    graph = import_graph("depictions", tmp_path, tmp_path / "g", options=options)
    assert set(entities(graph)) == {"/c/en/dog", "mine/dog.png"}
    assert (graph.sources[0].name, graph.sources[0].licence) == ("mine", "CC0")
