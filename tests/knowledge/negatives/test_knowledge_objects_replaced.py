"""What replaces an object: in its number, in every place that names it, with the pronouns of it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hand_graphs import graph

from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.generate import generate
from knowclip.knowledge.negatives.replacements import _drawn
from knowclip.types import Negative, SceneGraph, SceneObject


def made(caption: str, of: SceneGraph, *others: str) -> list[list[Negative]]:
    """Of each of many draws."""
    said = Said([caption, *others], [of])
    return [generate(caption, of, kinds=["object_replacement"], said=said, seed=seed) for seed in range(40)]


def texts(caption: str, things: str, *others: str) -> set[str]:
    return {n.caption for several in made(caption, graph(caption, things), *others) for n in several}


def test_two_different_choices_are_drawn_of_all_or_all_there_are() -> None:
    draw = Random(0)
    assert _drawn((), draw) == [] and _drawn("a", draw) == ["a"]
    assert {tuple(_drawn("abc", draw)) for _ in range(99)} == {(a, b) for a in "abc" for b in "abc" if a != b}
    assert {tuple(_drawn("ab", draw)) for _ in range(20)} == {("a", "b"), ("b", "a")}


@pytest.mark.parametrize(
    ("caption", "things", "expected"),
    [
        ("a fork", "fork", {"a knife", "a spoon"}),
        ("Forks by the forks", "fork", {"Knives by the knives", "Spoons by the spoons"}),
        # a plural without a singular is none of one thing, and some things are in or on no place
        ("a glove on it", "glove", {"a boot on it"}),
        ("his gloves", "glove", {"his boots", "his goggles", "his shorts"}),
        ("his shorts", "shorts", {"his goggles", "his gloves"}),
        ("a boy wearing glasses", "glass:glasses", {"a boy wearing shorts", "a boy wearing gloves"}),
        ("glasses of milk", "glass:glasses",
         {f"{many} of milk" for many in ("baskets", "buckets", "bottles", "bowls", "boxes", "suitcases")}),
        # what is part of a fixed phrase, or may be a verb, stays and hides no other
        ("a pair of shoes, a fork", "shoe fork", {"a pair of shoes, a knife", "a pair of shoes, a spoon"}),
        ("a dog slides, a fork", "slide fork", {"a dog slides, a knife", "a dog slides, a spoon"}),
        ("a xyzzy and a fork", "xyzzy sky fork", {"a xyzzy and a knife", "a xyzzy and a spoon"}),
    ],
)  # fmt: skip
def test_a_thing_becomes_another_of_its_sort(caption, things, expected) -> None:
    assert texts(caption, things) == expected


@pytest.mark.parametrize(
    ("before", "never"),
    [("on", {"forest", "desert", "hospital", "park"}), ("in", {"beach", "bridge", "roof", "stage"})],
)
def test_no_thing_stands_behind_a_preposition_that_it_is_not_said_with(before, never) -> None:
    found = {text.removeprefix(f"a man {before} a ") for text in texts(f"a man {before} a street", "street")}
    caption = f"a man {before} a wide street"
    wide = {n.caption for several in made(caption, graph(caption, "street", "0 wide")) for n in several}
    assert {text.removeprefix(f"a man {before} a wide ") for text in wide} == found
    other = {text.removeprefix("a man by a ") for text in texts("a man by a street", "street")}
    assert found and found == other - never and other & never


def test_what_is_said_elsewhere_replaces_nothing_and_hides_no_other() -> None:
    for several in made("a fork", graph("a fork", "fork"), "a spoon"):
        assert [n.caption for n in several] == ["a knife"]


def test_the_claims_are_those_of_the_caption_with_the_other_thing_in_its_place() -> None:
    caption = "a red fork by a mat on the fork, a hen"
    of = graph(caption, "mat fork hen", "1 red", "1 by 0")
    fork = SceneObject("fork", (6, 10), (1, 2, 3, 4))
    boxed = replace(of, objects=(of.objects[0], fork, of.objects[2]))
    found = {n.caption: n.graph for several in made(caption, boxed) for n in several}
    new = "a red knife by a mat on the knife, a hen"
    expected = graph(new, "mat knife hen", "1 red", "1 by 0")
    knife = SceneObject("knife", (6, 11), (1, 2, 3, 4))
    assert found[new] == replace(expected, objects=(expected.objects[0], knife, expected.objects[2]))


@pytest.mark.parametrize(
    ("caption", "things", "renamed"),
    [
        ("a man holds his fork", "man", "a woman holds her fork"),
        ("a woman sees her dog, which sees her", "woman", "a man sees his dog, which sees him"),
        ("a man and a boy with his fork", "man boy", "a woman and a boy with his fork"),
        ("a man holds its fork", "man", "a woman holds its fork"),
        ("men hold his fork", "man:men", "women hold his fork"),
        ("a bride holds her fork", "bride", "a groom holds his fork"),
        ("a skier holds his fork", "skier", "a surfer holds his fork"),
        ("a dog holds his fork", "dog", "a cat holds his fork"),
    ],
)
def test_pronouns_that_can_only_be_of_a_person_go_with_the_person(caption, things, renamed) -> None:
    assert renamed in texts(caption, things)
