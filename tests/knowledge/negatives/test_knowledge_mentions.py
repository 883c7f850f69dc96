"""Where a caption says what its graph holds: words, mentions, and what they are."""

from __future__ import annotations

import pytest
from hand_graphs import layout

from knowclip.knowledge.negatives.mentions import Layout
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject


def test_words_stand_at_or_after_a_place_and_before_it() -> None:
    read = layout("A T-shirt, it's \u00e9t\u00e9", "")
    words = ["a", "t-shirt", ",", "it's", "\u00e9t\u00e9"]
    assert read.words == words
    assert read.tokens == [(0, 1), (2, 9), (9, 10), (11, 15), (16, 19)]
    assert [read.token_at(place) for place in (0, 1, 2, 9, 16, 17)] == [0, 1, 1, 2, 4, 5]
    assert [read.word_at(place) for place in (0, 1, 10, 16, 17)] == [
        "a",
        "t-shirt",
        "it's",
        "\u00e9t\u00e9",
        "",
    ]
    assert [read.word_before(place) for place in (0, 1, 10, 99)] == ["", "a", ",", words[-1]]
    assert [read.occurrences(word) for word in ("a", "A", "it")] == [1, 0, 0]


def texts(read: Layout, item: int) -> list[str]:
    return [f"{start} {read.caption[start:end]}" for start, end in read.mentions[item]]


@pytest.mark.parametrize(
    ("caption", "place", "expected"),
    [
        ("a dog and the dog", 2, ["2 dog", "14 dog"]),
        ("a dog and the Dogs", 2, ["2 dog"]),
        ("a slide by her slide", 2, ["2 slide", "15 slide"]),
        ("a slide, red slide", 2, ["2 slide", "13 slide"]),  # red is what the slide is said to be
        ("a slide, slide", 2, ["2 slide"]),  # it may be a verb
        ("a slide on slide", 2, ["2 slide", "11 slide"]),
        ("a slide to slide", 2, ["2 slide"]),
        ("slide on a slide by the slide", 11, ["11 slide", "24 slide"]),
        ("a slide by the slide's end", 2, ["2 slide"]),
    ],
)
def test_a_thing_is_named_again_by_the_same_words_where_they_are_no_verb(caption, place, expected) -> None:
    name = caption[place : place + 5].split()[0].rstrip(",")
    things = (SceneObject(name, (place, place + len(name))),)
    assert texts(Layout(caption, SceneGraph(things, (Attribute(0, "Red"),))), 0) == expected


def test_words_that_two_things_have_are_of_neither_and_long_names_are_found_first() -> None:
    read = layout("a hot dog, a dog, the hot dog, the dog", "hot_dog dog")
    assert read.graph.objects[1].span == (6, 9)  # users' graphs find the first place
    both = (SceneObject("hot dog", (2, 9)), SceneObject("dog", (13, 16)), SceneObject("x"))
    read = Layout(read.caption, SceneGraph(both))
    assert [texts(read, item) for item in range(3)] == [["2 hot dog", "22 hot dog"], ["13 dog", "35 dog"], []]
    twins = (SceneObject("dog", (13, 16)), SceneObject("dog", (35, 38)), SceneObject("do", (13, 15)))
    read = Layout(read.caption, SceneGraph(twins))
    assert [texts(read, item) for item in range(3)] == [["13 dog"], ["35 dog"], []]


def test_claims_are_of_the_mentions_nearest_to_their_words() -> None:
    caption = "a dog and a cat. The cat is red. The dog sees the cat"
    things = (SceneObject("dog", (2, 5)), SceneObject("cat", (12, 15)), SceneObject("owl"))
    read = Layout(caption, SceneGraph(things))
    assert read.ends(Relation(0, "see", 1, (41, 45))) == ((37, 40), (50, 53))
    assert read.ends(Relation(0, "see", 1, (28, 31))) == ((37, 40), (21, 24))
    assert read.ends(Relation(0, "see", 1)) is None is read.ends(Relation(0, "see", 2, (41, 45)))
    assert read.ends(Relation(2, "see", 0, (41, 45))) is None
    assert read.said_of(Attribute(1, "red", (28, 31))) == (21, 24)
    near = Layout(
        "the cat, red cat", SceneGraph((SceneObject("cat", (4, 7)),), (Attribute(0, "red", (9, 12)),))
    )
    assert near.said_of(near.graph.attributes[0]) == (13, 16)
    assert read.said_of(Attribute(1, "red")) is None is read.said_of(Attribute(2, "red", (28, 31)))


@pytest.mark.parametrize(
    ("caption", "place", "bound", "verb"),
    [
        ("a pair of shoes", 10, True, False),
        ("a pile of shoes", 10, False, False),
        ("shoes", 0, False, False),
        ("a ropes course", 2, True, False),
        ("an apples pie", 3, True, False),
        ("by a ropes course", 5, True, False),
        ("jumps like this", 0, False, True),
        ("the ropes course", 4, False, False),
        ("a rope course", 2, False, False),
        ("men in uniform", 7, True, False),
        ("men on uniform", 7, False, False),
        ("men in a uniform", 9, False, False),
        ("boys play football", 10, True, False),
        ("boys kick a football", 12, False, False),
        ("boys skipping rope", 14, True, False),
        ("boys skip the rope", 13, False, False),
        ("boys holding rope", 13, False, False),
        # nouns in the plural that may be verbs
        ("a dog jumps", 6, False, True),
        ("the dog's jumps", 10, False, True),
        ("the jumps", 4, False, False),
        ("his jumps", 4, False, False),
        ("jumps", 0, False, True),
        ("a dog jump", 6, False, False),
        ("a dog balls", 6, False, False),
    ],
)  # fmt: skip
def test_a_mention_may_be_bound_to_what_stands_before_it_or_be_a_verb(caption, place, bound, verb) -> None:
    end = next((at for at in range(place, len(caption)) if caption[at] == " "), len(caption))
    name = caption[place:end]
    singular = name.removesuffix("s") if name.endswith("s") else name
    read = Layout(caption, SceneGraph((SceneObject(singular, (place, end)),)))
    assert (read.is_bound(0, (place, end)), read.may_be_verb((place, end))) == (bound, verb)


@pytest.mark.parametrize(
    ("caption", "noun", "attributes", "complexion"),
    [
        ("a black man", "man", "0 black", True),
        ("a man with dark skin", "skin", "0 dark", True),
        ("a tall man", "man", "0 tall", False),
        ("dark bare skin", "bare_skin", "0 dark:dark", True),
        ("a man in fair", "man", "0 fair:fair", False),
        ("a black car", "car", "0 black", False),
        ("a green wizard", "wizard", "0 green", False),
        ("a red haired black man", "man", "0 black", True),
        ("a man in black", "man", "0 black:black", False),
        ("a man wears dark red and black", "man", "0 black:black", False),
        ("a man wearing all white, black", "man", "0 black:black", False),
        ("a man is black", "man", "0 black:black", True),
        ("a man", "man", "0 black", False),
        ("black man", "man", "0 black", True),
    ],
)
def test_a_colour_of_people_is_of_their_skin_unless_they_wear_it(
    caption, noun, attributes, complexion
) -> None:
    read = layout(caption, noun, attributes)
    assert read.is_complexion(read.graph.attributes[0]) == complexion


def test_the_colours_of_a_thing_are_the_last_words_of_what_it_is_said_to_be() -> None:
    read = layout("a cat", "cat dog", "0 Dark Red, 0 white, 0 big, 0 red hot")
    assert [read.colours_of(item) for item in (0, 1)] == [{"red", "white"}, set()]


@pytest.mark.parametrize(
    ("caption", "name", "surface", "plural", "number"),
    [
        ("the dog", "dog", "dog", False, False),
        ("the dogs", "dog", "dogs", True, True),
        ("the Men", "man", "Men", True, True),
        ("his shorts", "shorts", "shorts", True, True),
        ("police", "police", "police", True, True),
        ("a sheep", "sheep", "sheep", False, False),
        ("one sheep", "sheep", "sheep", False, False),
        ("two sheep", "sheep", "sheep", True, True),
        ("these sheep", "sheep", "sheep", True, True),
        ("the hot dog", "hot dog", "hot dog", False, False),
        ("the hot dogs", "hot dog", "hot dogs", True, True),
        ("a group of dogs", "dog", "dogs", True, None),
        ("a group of red dogs", "dog", "dogs", True, None),
        ("two red sheep", "sheep", "sheep", True, True),
        ("the pile of snow", "snow", "snow", False, None),
        ("a couple of dogs", "dog", "dogs", True, True),
        ("two groups of dogs", "dog", "dogs", True, True),
        ("this group of dogs", "dog", "dogs", True, True),
        ("a side of beef", "beef", "beef", False, False),
    ],
)
def test_a_noun_is_plural_by_its_form_and_takes_a_verb_by_its_phrase(
    caption, name, surface, plural, number
) -> None:
    at = caption.index(surface)
    span = at, at + len(surface)
    red = caption.find("red ")
    of = SceneGraph((SceneObject(name, span),), (Attribute(0, "red", (red, red + 3)),) if red >= 0 else ())
    assert Layout(caption, of).number(0, span) == number
    read = Layout(caption, of)
    assert (read.is_plural(0, span), read.number(0, span)) == (plural, number)


@pytest.mark.parametrize(
    ("span", "whole", "alone"),
    [
        ((2, 8), True, True),
        ((2, 13), True, True),
        ((9, 13), True, False),  # where a relation begins
        ((3, 8), False, False),
        ((2, 7), False, False),
        ((1, 8), False, False),
        ((2, 2), False, False),
        ((17, 23), False, False),
    ],
)
def test_words_are_whole_and_stand_alone_where_they_begin_no_relation(span, whole, alone) -> None:
    things = (SceneObject("wooden", (2, 8)),)
    relations = (Relation(0, "full of", 0, (9, 16)), Relation(0, "of", 0))
    read = Layout("a wooden full of hooded-coats", SceneGraph(things, (), relations))
    assert (read.is_whole(span), read.stands_alone(span)) == (whole, alone)
