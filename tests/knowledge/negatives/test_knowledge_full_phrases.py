"""Noun phrases of a caption: where they begin and end, and what they are part of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_graphs import graph, layout

from knowclip.knowledge.negatives.mentions import Layout
from knowclip.types import Relation, SceneGraph


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
