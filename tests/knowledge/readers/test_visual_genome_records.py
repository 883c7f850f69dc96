"""Fields of Visual Genome's records: what is read of each of their forms, and what is said of a bad one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from knowclip.knowledge.readers import visual_genome_records as fields

LARGEST = 2**31 - 1


def refused(read: Any, *given: Any, **options: Any) -> str:
    with pytest.raises(fields.BadRecordError) as error:
        read(*given, **options)
    return str(error.value)


def test_records_have_their_place_and_are_objects() -> None:
    assert list(fields.records({"objects": [{"a": 1}, 5]}, "objects")) == [
        (".objects[0]", {"a": 1}), (".objects[1]", {}),
    ]  # fmt: skip
    assert list(fields.records({}, "objects", required=False)) == []
    for image in ({}, {"objects": {}}, 5):
        assert refused(list, fields.records(image, "objects")) == "no list 'objects' in the image"
    broken = fields.records({"objects": 5}, "objects", required=False)
    assert refused(list, broken) == "no list 'objects' in the image"


@pytest.mark.parametrize("record", [{"id": 3}, {"object_id": 3, "id": 4}, {"object_id": True, "id": 3}])
def test_the_first_whole_number_is_taken(record: dict[str, Any]) -> None:
    assert fields.integer(record, "object_id", "id") == 3


@pytest.mark.parametrize("record", [{}, {"id": "3"}, {"id": 3.0}, {"id": None}, {"id": False}, 3])
def test_what_is_no_whole_number_is_refused(record: Any) -> None:
    assert refused(fields.integer, record, "object_id", "id") == "no whole number 'object_id' or 'id'"


@pytest.mark.parametrize(
    ("value", "words"), [(" Red \n HAT ", "red hat"), ("/a_", "/a_"), ("Gentleman", "man")]
)
def test_words_are_in_lower_case_or_their_alias(value: str, words: str) -> None:
    assert fields.words(value, "name", {"gentleman": "man", "Gentleman": "x"}) == words


@pytest.mark.parametrize("value", [None, 3, ["dog"], "", " ", "/_ /"])
def test_what_has_no_words_is_refused(value: object) -> None:
    assert refused(fields.words, value, "name") == "no name"


def test_half_a_surrogate_pair_is_refused() -> None:
    told = "the predicate holds half a surrogate pair, which is no letter"
    assert refused(fields.words, "on \ud83d", "predicate") == told


@pytest.mark.parametrize(
    "record",
    [{"name": "Hat"}, {"names": ["hat", "cap"]}, {"names": "hat"}, {"name": "hat", "names": ["cap"]},
     {"name": "", "names": ["hat"]}, {"name": ["hat"]}, {"name": "topper"}],
)  # fmt: skip
def test_a_name_is_the_first_that_is_said(record: dict[str, Any]) -> None:
    assert fields.name(record, {"topper": "hat"}) == "hat"


@pytest.mark.parametrize("record", [{}, {"names": []}, {"names": [None, "hat"]}, {"name": 3}])
def test_an_object_without_a_name_is_refused(record: dict[str, Any]) -> None:
    assert refused(fields.name, record) == "no name"


@pytest.mark.parametrize(
    ("said", "words"),
    [(None, []), ("", []), ([], []), ("Red", ["red"]), (["Red", "red ", "big"], ["red", "red", "big"])],
)
def test_attributes_are_a_text_or_several(said: object, words: list[str]) -> None:
    assert fields.attributes({"attributes": said}) == words
    assert fields.attributes({}) == []


def test_attributes_that_are_none_are_refused() -> None:
    assert refused(fields.attributes, {"attributes": {"a": 1}}) == "attributes are no list"
    assert refused(fields.attributes, {"attributes": ["red", 3]}) == "no attribute"


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, 1), (LARGEST, LARGEST), (LARGEST + 1, None), (0, None), (-1, None), (True, None), (None, None),
     ("3", None), (3.0, None)],
)  # fmt: skip
def test_coco_s_number_is_a_whole_one_above_0(value: object, number: int | None) -> None:
    assert fields.coco_id({"coco_id": value}) == number


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(1, 1, (1, 1)), (LARGEST, LARGEST, (LARGEST, LARGEST)), (LARGEST + 1, 9, None), (9, LARGEST + 1, None),
     (0, 9, None), (9, 0, None), (None, 9, None), (9, None, None), (9.5, 9, None), (9, "9", None)],
)  # fmt: skip
def test_the_size_of_an_image_is_known_where_both_sides_are(
    width: object, height: object, size: tuple[int, int] | None
) -> None:
    assert fields.image_size({"width": width, "height": height}) == size


def test_the_address_is_the_first_that_is_said() -> None:
    assert fields.url({}, {"image_url": "b.jpg"}) == "b.jpg"
    assert fields.url({"url": "a.jpg"}, {"image_url": "b.jpg"}) == "a.jpg"
    assert fields.url({"url": ""}, {"image_url": 5, "url": "b.jpg"}) == "b.jpg"
    assert fields.url({"url": 5}) == ""


BOX = {"x": 1, "y": 2, "w": 3, "h": 4}


@pytest.mark.parametrize(
    ("record", "box"),
    [
        (BOX, (1, 2, 3, 4)),
        ({"x": 1, "y": 2, "width": 3, "height": 4}, (1, 2, 3, 4)),
        ({**BOX, "width": 9, "height": 9}, (1, 2, 3, 4)),
        ({"x": 0.6, "y": 1.9, "w": 3.2, "h": 3.7}, (1, 2, 3, 4)),
        ({**BOX, "x": -1}, (0, 2, 2, 4)),
        ({**BOX, "y": -3}, (1, 0, 3, 1)),
        ({**BOX, "x": 0, "y": 0, "w": 99, "h": 99}, (0, 0, 10, 20)),
        ({**BOX, "x": 9, "y": 19}, (9, 19, 1, 1)),
    ],
)
def test_a_box_is_cut_at_the_borders_of_the_image(record: dict[str, Any], box: tuple[int, ...]) -> None:
    assert fields.box(record, (10, 20)) == box


def test_a_box_is_cut_at_0_alone_where_the_size_is_not_known() -> None:
    assert fields.box({"x": -2, "y": 0, "w": LARGEST, "h": LARGEST}) == (0, 0, LARGEST - 2, LARGEST)


@pytest.mark.parametrize("side", "xywh")
@pytest.mark.parametrize(
    "value", [None, "3", float("nan"), float("inf"), -float("inf"), LARGEST + 1, 10**400]
)
def test_a_box_of_what_are_no_pixels_is_refused(side: str, value: object) -> None:
    assert refused(fields.box, {**BOX, side: value}) == "no box x, y, w, h"


@pytest.mark.parametrize(
    "change", [{"w": 0}, {"h": 0}, {"w": -1}, {"x": -3}, {"y": -4}, {"x": 10}, {"y": 20}, {"w": 0.4}]
)
def test_a_box_without_area_in_the_image_is_refused(change: dict[str, Any]) -> None:
    assert refused(fields.box, {**BOX, **change}, (10, 20)) == "box without area inside the image"


def test_aliases_are_lines_of_which_the_first_name_stands_for_all(tmp_path: Path) -> None:
    file = tmp_path / "relationship_alias.txt"
    assert fields.aliases(file) == {}
    file.write_text("Wears,wearing, HAS  on,\n,nothing\nnear\n\nby,beside\n")
    assert fields.aliases(file) == {"wearing": "wears", "has on": "wears", "beside": "by"}
