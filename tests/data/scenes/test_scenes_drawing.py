"""Drawings: recolouring keeps the lines, the order of a relation's nouns shows, boxes frame what is drawn."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from knowclip.data.scenes.drawing import draw
from knowclip.data.scenes.nouns import COLOURS, NOUNS, RELATIONS
from knowclip.data.scenes.sprites import recolour, sprite
from knowclip.data.scenes.wording import Wording
from knowclip.data.scenes.world import Scene, Thing, draw_scenes

PAIR = (Thing("horse", "red"), Thing("astronaut", "blue"))


def scene(relation: str, subject: int = 0) -> Scene:
    words = next(r for r in RELATIONS if r.name == relation)
    return Scene(PAIR, subject, words, (), None, Wording("{a} and {b}", (True, True), False), True)


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_shows_its_colour(noun: str) -> None:
    pixels = np.asarray(sprite(noun, "red"), dtype=int)
    opaque = pixels[pixels[..., 3] > 200]
    reddish = (opaque[:, 0] > 100) & (opaque[:, 0] > opaque[:, 1] + 40) & (opaque[:, 0] > opaque[:, 2] + 40)
    assert len(opaque) > 500
    assert reddish.mean() > 0.12


@pytest.mark.parametrize("noun", NOUNS)
def test_no_noun_looks_alike_in_all_colours(noun: str) -> None:
    red, blue = (np.asarray(sprite(noun, colour), dtype=int) for colour in ("red", "blue"))
    changed = np.abs(red - blue).max(axis=2) > 60
    assert changed.mean() > 0.1


def test_recolouring_leaves_the_line_layer_alone() -> None:
    svg = '<svg><g id="color"><path fill="#fff"/></g><g id="line"><path stroke="#000000"/></g></svg>'
    painted = recolour(svg, COLOURS["blue"])
    assert 'stroke="#000000"' in painted and "#fff" not in painted
    late = '<svg><g id="line"><path stroke="#000000"/></g><g id="color"><path fill="#fff"/></g></svg>'
    assert recolour(late, COLOURS["blue"]).count("#000000") == 1 and "#fff" not in recolour(
        late, COLOURS["blue"]
    )


@pytest.mark.parametrize("relation", [r.name for r in RELATIONS])
def test_the_order_of_the_nouns_shows(relation: str) -> None:
    pictures = [
        np.asarray(draw(scene(relation, subject), size=64, random=Random(1)).image, dtype=float)
        for subject in (0, 1)
    ]
    assert np.abs(pictures[0] - pictures[1]).mean() > 8


def test_relations_look_different() -> None:
    pictures = [
        np.asarray(draw(scene(r.name), size=64, random=Random(3)).image, dtype=float).ravel()
        for r in RELATIONS
    ]
    distances = [np.abs(a - b).mean() for i, a in enumerate(pictures) for b in pictures[:i]]
    assert min(distances) > 4


def test_boxes_frame_the_drawings_in_the_orbits_order() -> None:
    left = draw(scene("to the left of"), size=64, random=Random(0)).boxes
    swapped = draw(scene("to the left of", subject=1), size=64, random=Random(0)).boxes
    assert left[0][0] < left[1][0] and swapped[0][0] > swapped[1][0]


def test_drawing_leaves_shared_backgrounds_untouched() -> None:
    one = draw_scenes("train", 20, 0)[0]
    first = draw(one, size=64, random=Random(7)).image.tobytes()
    for other in draw_scenes("train", 20, 0):
        draw(replace(other, distractor=None), size=64, random=Random(7))
    assert draw(one, size=64, random=Random(7)).image.tobytes() == first
