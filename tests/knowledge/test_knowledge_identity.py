"""Content keys: equal for one scene in other words, different for different scenes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from knowclip.knowledge.content_hashes import graph_key
from knowclip.knowledge.negatives.generate import generate
from knowclip.knowledge.parsing.parsers import parse
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject


def key(caption: str) -> int:
    return graph_key(caption, next(parse([caption])))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a red horse riding a blue astronaut", "A blue astronaut is being ridden by a red horse."),
        ("a dog chasing a cat", "There is a dog that is chasing a cat."),
        ("a red apple and a green pear. The apple is inside the pear.", "a red apple inside a green pear"),
        ("an owl to the left of a crab", "a crab to the right of an owl"),
        ("a ghost behind a bus", "A bus is in front of a ghost."),
        ("the cat", "The  CAT."),
    ],
)
def test_one_scene_in_other_words(one: str, other: str) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a horse riding an astronaut", "an astronaut riding a horse"),
        ("a red horse riding an astronaut", "a horse riding a red astronaut"),
        ("a dog chasing a cat", "a dog chasing a mouse"),
        ("a red dog chasing a blue dog", "a blue dog chasing a red dog"),
        ("a dog near a cat. Another dog is on a box.", "a dog near a cat. The dog is on a box."),
        ("the cat", "the dog"),
    ],
)
def test_different_scenes(one: str, other: str) -> None:
    assert key(one) != key(other)


def test_a_relation_swap_has_the_key_of_the_swapped_scene() -> None:
    caption = "A small green frog is chased by a big yellow bus."
    negatives = generate(caption, next(parse([caption])), kinds=["relation_swap"])
    assert [graph_key(n.caption, n.graph) for n in negatives] == [
        key("a small green frog chasing a big yellow bus")
    ]


def test_order_and_spans_do_not_matter_but_direction_does() -> None:
    dog, cat = SceneObject("dog", (2, 5)), SceneObject("Cat")
    one = SceneGraph((dog, cat), (Attribute(0, "red"), Attribute(1, "big")), (Relation(0, "chase", 1),))
    same = SceneGraph((cat, dog), (Attribute(0, "big"), Attribute(1, "red")), (Relation(1, "chase", 0),))
    other = SceneGraph((cat, dog), (Attribute(0, "big"), Attribute(1, "red")), (Relation(0, "chase", 1),))
    assert graph_key("", one) == graph_key("x", same) != graph_key("", other)


def test_neighbours_tell_objects_of_one_name_apart() -> None:
    dogs = (SceneObject("dog"), SceneObject("dog"), SceneObject("cat"), SceneObject("box"))
    both = SceneGraph(dogs, (), (Relation(0, "on", 3), Relation(0, "see", 2)))
    each = SceneGraph(dogs, (), (Relation(0, "on", 3), Relation(1, "see", 2)))
    assert graph_key("", both) != graph_key("", each)


def test_keys_are_signed_64_bit_and_stable_across_processes() -> None:
    assert graph_key("a dog", None) == graph_key("A dog!", SceneGraph((SceneObject("dog"),)))
    assert -(2**63) <= graph_key("a dog", None) < 2**63
    code = "from knowclip.knowledge.content_hashes import graph_key; print(graph_key('a dog', None))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(output) == graph_key("a dog", None) == 6155808132994360295
