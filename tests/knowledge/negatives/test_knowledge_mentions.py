"""Where a caption says what its graph holds: words, phrases, and what they are part of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_graphs import graph, layout

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
    ("caption", "attributes", "phrase"),
    [
        ("he sees the dog", "", "the dog"),
        ("he sees his dog", "", "his dog"),
        ("he sees dogs", "", "dogs"),
        ("dog", "", "dog"),
        ("he sees two very large dogs", "0 large", "two very large dogs"),
        ("he sees large, red and tan dogs", "0 large, 0 red, 0 tan", "large, red and tan dogs"),
        ("he sees red & tan dogs", "0 red:red, 0 tan", "red & tan dogs"),
        ("he sees cats, red dogs", "0 red", "red dogs"),
        ("he sees cats and dogs", "", "dogs"),
        ("he sees the cat's dog", "", "the cat's dog"),
        ("he sees the cat\u2019s dog", "", "the cat\u2019s dog"),
        ("he sees a nearly red dog", "0 red", "a nearly red dog"),
        ("he sees a group of the dogs", "", "the dogs"),
        ("he sees a group of dogs", "", "a group of dogs"),
        ("he sees the top of dogs", "", "dogs"),
        ("of dogs", "", "dogs"),
        ("of dogs in a pile", "", "dogs"),
        ("group of dogs", "", "group of dogs"),
        ("he sees pair of dogs", "", "pair of dogs"),
        (", dogs", "0 red", "dogs"),
        ("red and dogs", "0 red:red", "red and dogs"),
    ],
)
def test_a_phrase_opens_with_its_determiner_and_what_describes_the_noun(caption, attributes, phrase) -> None:
    read = layout(caption, "dog", attributes)
    assert caption[slice(*read.phrase(0, read.mentions[0][0]))] == phrase


@pytest.mark.parametrize(
    ("caption", "attributes", "relations", "phrase"),
    [
        ("a man that is tall sees a cat", "0 tall:tall", "", "a man that is tall"),
        ("a man tall and red sees a cat", "0 tall:tall, 0 red:red", "", "a man tall and red"),
        ("a man tall or red sees a cat", "0 tall:tall, 0 red:red", "", "a man tall"),
        ("a man dressed in blue sees a cat", "0 dressed:dressed", "", "a man"),
        ("a man DRESSED in blue sees a cat", "0 dressed:DRESSED", "", "a man"),
        ("a man smiling at boys sees a cat", "0 smiling:smiling", "", "a man"),
        ("a man smiling sees a cat", "0 smiling:smiling", "", "a man smiling"),
        ("a man tall in blue sees a cat", "0 tall:tall", "", "a man tall"),
        ("a man in a hat sees a cat", "", "0 in 2", "a man in a hat"),
        ("a man, in a hat, sees a cat", "", "0 in 2", "a man, in a hat"),
        ("a man who is in a hat sees a cat", "", "0 in 2", "a man who is in a hat"),
        ("a man is in a hat sees a cat", "", "0 in 2", "a man"),
        ("a man who wears a hat sees a cat", "", "0 wear:wears 2", "a man who wears a hat"),
        ("a man wears a hat sees a cat", "", "0 wear:wears 2", "a man"),
        ("a man wearing a hat sees a cat", "", "0 wear:wearing 2", "a man wearing a hat"),
        ("a man in a hat and a coat sees a cat", "", "0 in 2, 0 in 3", "a man in a hat and a coat"),
        ("a man in a hat with a coat sees a cat", "", "0 in 2, 2 with 3", "a man in a hat with a coat"),
        ("a man in a hat that is red sees a cat", "2 red:red", "0 in 2", "a man in a hat that is red"),
        ("a man in the way of a hat sees a cat", "", "0 in 2", "a man"),  # its words do not lead to the hat
        ("a man in, a hat sees a cat", "", "0 in 2", "a man"),
        ("a man in a hat sees a cat", "", "0 under 2, 0 in 2", "a man in a hat"),
        ("a man far from a hat sees a cat", "", "0 far:far 2", "a man"),
    ],
)
def test_a_full_phrase_goes_on_with_what_is_said_right_behind_the_noun(
    caption, attributes, relations, phrase
) -> None:
    read = layout(caption, "man cat hat coat", attributes, relations)
    man = read.mentions[0][0]
    for limit in (len(caption), len(phrase)):
        assert caption[slice(*read.full_phrase(0, man, limit=limit))] == phrase
    # what would reach beyond the limit stays behind
    assert caption[slice(*read.full_phrase(0, man, limit=len(phrase) - 1))] != phrase or phrase == "a man"
    assert caption[slice(*read.full_phrase(0, man, limit=len("a man")))] == "a man"


def test_a_full_phrase_goes_on_four_things_far() -> None:
    caption = "a man in a hat in a box in a car in a barn in a town"
    places = [at for at in range(len(caption)) if caption.startswith("in ", at)]
    chain = tuple(Relation(item, "in", item + 1, (at, at + 2)) for item, at in enumerate(places))
    read = Layout(caption, replace(graph(caption, "man hat box car barn town"), relations=chain))
    far = read.full_phrase(0, read.mentions[0][0], limit=len(caption))
    assert caption[slice(*far)] == "a man in a hat in a box in a car in a barn"


@pytest.mark.parametrize(
    ("caption", "things", "attributes", "relations", "broken"),
    [
        ("a cat sees a horse and a dog", "horse dog", "", "", (True, False)),  # the dog may do something
        ("a cat sees a horse and dog", "horse dog", "", "", (True, True)),
        ("a cat sees a horse, a dog", "horse dog", "", "", (True, False)),
        ("a cat sees a horse and dog barks", "horse dog", "1 bark:barks", "", (True, True)),
        ("a horse and a dog sleep", "horse dog", "", "", (True, True)),
        ("a horse or a dog sleeps", "horse dog", "", "", (True, True)),
        ("a horse & a dog sleep", "horse dog", "", "", (True, True)),
        ("a horse, a dog sleep", "horse dog", "", "", (True, True)),
        ("a cat sees a horse by a dog", "horse dog", "", "", (False, False)),
        # two clauses, not two things, if a verb is said of a being
        ("a cat sees a horse and a dog barks", "horse dog", "1 bark:barks", "", (False, False)),
        ("a cat sees a horse and a dog is barking", "horse dog", "1 bark:barking", "", (False, False)),
        ("a cat sees a horse and a dog will soon bark", "horse dog", "1 bark:bark", "", (True, False)),
        ("a cat sees a horse and a dog eats a bone", "horse dog bone", "", "1 eat:eats 2", (False, False)),
        ("a cat sees a horse and a dog in a hat", "horse dog hat", "", "1 in 2", (True, False)),
        ("a cat sees a horse and a red dog", "horse dog", "1 red", "", (True, False)),
        ("a cat sees a horse and a crew waves", "horse crew", "1 wave:waves", "", (False, True)),
        ("a cat sees a horse and a car waits", "horse car", "1 wait:waits", "", (True, True)),
        ("he sings and a horse eats, a dog", "horse dog", "", "", (False, False)),
        ("a horse eats and dogs sit", "horse dog", "", "", (False, True)),
    ],
)
def test_a_phrase_that_shares_its_place_with_a_neighbour_is_not_moved(
    caption, things, attributes, relations, broken
) -> None:
    read = layout(caption, things, attributes, relations)
    if "sees" in caption:  # the horse is seen
        seen = Relation(0, "see", 0, (6, 10))
        read = Layout(
            caption, SceneGraph(read.graph.objects, read.graph.attributes, (*read.graph.relations, seen))
        )
    phrases = [read.phrase(item, read.mentions[item][0]) for item in (0, 1)]
    assert tuple(read.breaks_coordination(phrase, item) for item, phrase in enumerate(phrases)) == broken


@pytest.mark.parametrize(
    ("caption", "things", "cut"),
    [
        ("he sees a dog", "dog", False),
        ("dogs", "dog", False),
        ("he sees dogs", "dog", False),
        ("he sees a fruit market", "market", True),
        ("he sees fruit market", "market fruit", True),
        ("he sees a rope course", "rope course", True),
        ("he sees an old, odd piece", "piece", False),
        ("he sees the dog ' s tail", "dog", True),
        ("he sees the dog \u2019 s tail", "dog", True),
        ("he sees a dog 7", "dog", True),
        ("he sees his mother's dog", "dog", False),
        ("he sees mother 's dog", "dog", True),
        ("he sees mother \u2019s dog", "dog", True),
        ("an odd dog", "dog", True),
        ("he sees her with dogs", "dog", False),
        ("the dog in dogs", "dogs", False),
    ],
)
def test_a_phrase_may_be_cut_from_a_longer_one(caption, things, cut) -> None:
    read = layout(caption, things)
    assert read.is_cut(read.phrase(0, read.mentions[0][0])) == cut


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
