"""What the page makes of captions: counterfactuals of triples, ranks, contributions, drawings."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from knowclip.knowledge.parsing.triple_phrases import triplets_of
from knowclip.serving.limits import Limits, RefusedError
from knowclip.serving.page import views
from knowclip.serving.page.comparison import (
    CAPTIONS,
    Reading,
    captions_of,
    contributions,
    ranking,
    read_captions,
    score_all,
)
from knowclip.serving.page.scene_drawing import draw_scene
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject
from tiny import tiny_model


@pytest.fixture(scope="module")
def readings() -> list[Reading]:
    return read_captions(
        ["an astronaut riding a horse", "two red and blue birds sit beside an old house", "the shirt is red"]
    )


def twins(reading: Reading) -> dict[tuple[str, str, str], tuple[str, str]]:
    return {(t.triple.head, t.triple.relation, t.triple.tail): (t.how, t.caption) for t in reading.twins}


def test_a_triple_is_swapped_where_it_can_be_and_removed_where_it_cannot(readings: list[Reading]) -> None:
    assert twins(readings[0]) == {("astronaut", "ride", "horse"): ("swap", "a horse riding an astronaut")}
    birds = twins(readings[1])
    assert birds["bird", "is", "blue"] == ("removal", "two red birds sit beside an old house")
    assert birds["bird", "is", "red"] == ("removal", "two blue birds sit beside an old house")
    assert birds["house", "is", "old"] == ("removal", "two red and blue birds sit beside a house")
    assert twins(readings[2])["shirt", "is", "red"] == ("none", "")
    for reading in readings:
        assert [twin.triple for twin in reading.twins] == list(triplets_of(reading.graph))


def test_a_relation_that_cannot_be_swapped_becomes_and() -> None:
    caption = "a man is next to a man"  # equal objects: no swap
    (reading,) = read_captions([caption])
    assert {how for how, _ in twins(reading).values()} == {"removal"}
    assert {text for _, text in twins(reading).values()} == {"a man and a man"}


def test_a_caption_that_ties_with_its_negatives_ranks_last(readings: list[Reading]) -> None:
    reading = readings[0]
    constant = {text: 0.5 for text in reading.texts}
    best = {**dict.fromkeys(reading.texts, 0.1), reading.caption: 0.9}
    rows = ranking(reading, {"constant": constant, "best": best})
    caption = next(row for row in rows if row.kind == "caption")
    assert rows[0] is caption  # in the order of the last model
    assert caption.ranks == {"constant": len(reading.negatives) + 1, "best": 1}
    assert len(rows) == len(reading.negatives) + 1


def test_a_rank_is_among_all_negatives_also_those_that_are_not_shown(readings: list[Reading]) -> None:
    longest = max(readings, key=lambda reading: len(reading.negatives))
    negatives = tuple(
        replace(longest.negatives[0], caption=f"{longest.caption} {number}") for number in range(30)
    )
    reading = replace(longest, negatives=negatives, twins=())
    scores = {text: float(number < 20) for number, text in enumerate(reading.texts[1:])}
    page = views.comparison([reading], {"m": {**scores, reading.caption: 0.5}})
    assert "rank 21 of 31" in page
    assert "19 more negatives are not shown, 9 of them above the caption." in page
    page = views.comparison([reading], {"m": {**scores, reading.caption: 2.0}})
    assert "rank 1 of 31" in page and "19 more negatives are not shown." in page


def test_a_contribution_is_the_score_less_that_without_the_triple(readings: list[Reading]) -> None:
    scores = {text: float(place) for place, text in enumerate(readings[1].texts)}
    for row in contributions(readings[1], {"m": scores}):
        assert row.gains["m"] == scores[readings[1].caption] - scores[row.twin.caption]
    (none,) = [row for row in contributions(readings[2], {"m": dict.fromkeys(readings[2].texts, 0.0)})]
    assert none.gains == {"m": None}


def test_every_text_is_scored_by_every_model_as_the_model_itself_scores_it(readings: list[Reading]) -> None:
    models = {"a": tiny_model(seed=0), "b": tiny_model(seed=1)}
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    scores = score_all(models, image, readings)
    for name, model in models.items():
        texts = list(scores[name])
        assert set(texts) == {text for reading in readings for text in reading.texts}
        assert np.allclose(list(scores[name].values()), model.score(image, texts)[0], atol=1e-6)
    page = views.comparison(readings, scores)
    assert page.count("<svg") == len(readings) and "a horse riding an astronaut" in page


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (" \n \n", "type a caption"),
        (
            "\n".join(f"a dog {n}" for n in range(CAPTIONS + 1)),
            f"{CAPTIONS + 1} captions: at most {CAPTIONS}",
        ),
        ("a dog\n" + "a" * 101, "caption 2 has 101 characters: at most 100"),
    ],
)
def test_what_is_typed_has_limits_that_are_told(typed: str, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        captions_of(typed, Limits(characters=100))


def test_captions_are_lines_and_equal_ones_count_once() -> None:
    assert captions_of("a dog\n\n  a cat \r\na dog\n", Limits()) == ["a dog", "a cat"]


def test_a_drawing_is_sound_and_says_all_that_the_graph_says() -> None:
    objects = tuple(map(SceneObject, ("a<b", "dog", "dog", "car")))
    relations = (
        Relation(0, "next to & over", 3),
        Relation(1, "on", 2),
        Relation(2, "on", 1),
        Relation(1, "sees", 1),
    )
    graph = SceneGraph(objects, (Attribute(0, "red"), Attribute(0, "very small")), relations)
    svg = ET.fromstring(draw_scene(graph))
    texts = ["".join(node.itertext()) for node in svg if node.tag == "text"]
    assert sorted(texts) == sorted(
        ["a<b", "dog", "dog", "car", "next to & over", "on", "on", "sees", "red", "very small"]
    )
    assert (
        svg[0].text
        == "a<b next to & over car; dog on dog; dog on dog; dog sees dog; a<b is red; a<b is very small"
    )
    width, height = float(svg.get("width", 0)), float(svg.get("height", 0))
    for box in (node for node in svg if node.tag == "rect"):
        x, y = float(box.get("x", 0)), float(box.get("y", 0))
        assert 0 <= x and x + float(box.get("width", 0)) <= width
        assert 0 <= y and y + float(box.get("height", 0)) <= height
    assert "No object" in draw_scene(SceneGraph())


def test_what_others_wrote_is_escaped() -> None:
    (reading,) = read_captions(["a <script>alert(1)</script> dog beside a cat"])
    page = views.comparison([reading], {"<b>": dict.fromkeys(reading.texts, 0.0)})
    assert "<script" not in page and "<b>:" not in page and "&lt;script&gt;" in page
