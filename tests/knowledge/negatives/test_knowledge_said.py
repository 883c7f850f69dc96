"""What the captions of an image say together, and what may therefore be true of it."""

from __future__ import annotations

import pytest
from hand_graphs import graph

from knowclip.knowledge.negatives.falsity import Said, lemmatised, value_of
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject


def test_texts_are_compared_by_their_lemmas() -> None:
    texts = {
        "Two Men  riding, a horse!": "two man ride a horse",
        "It's a T-shirt": "it s a t shirt",
        "he_rides": "he ride",
        " , ": "",
    }
    assert {text: lemmatised(text) for text in texts} == texts | {
        "Two Men  riding, a horse!": "two man ride a horse"
    }
    assert Said(["A dog runs.", "Dogs run", "a cat"]).texts == {"a dog run", "dog run", "a cat"}


BIG = "big large huge giant enormous great massive oversized"


def test_values_have_one_text_word_by_word() -> None:
    values = {
        "large": BIG,
        "huge": BIG,
        "dark grey": "dark gray grey",
        "fierce": "fierce",
        "red": "red",
        "": "",
    }
    assert {attribute: value_of(attribute) for attribute in values} == values


def claims(first: str, attribute: str, relation: str, second: str, *, turned: bool = False) -> SceneGraph:
    ends = (1, 0) if turned else (0, 1)
    things = SceneObject(first), SceneObject(second)
    return SceneGraph(things, (Attribute(0, attribute),), (Relation(ends[0], relation, ends[1]),))


def test_statements_are_equal_in_words_of_one_meaning() -> None:
    said = Said(["x"])
    assert said.statements(claims("Xyzzy", "Fierce", "To The Right Of", "plugh")) == {
        ("xyzzy", "is", "fierce"),
        ("plugh", "to the left of", "xyzzy"),
    }
    dog = said.statements(claims("dog", "big", "behind", "cat"))
    assert (
        dog == said.statements(claims("Puppy", "Large", "in front of", "kitten", turned=True))
        and len(dog) == 2
    )
    assert dog.isdisjoint(said.statements(claims("cat", "small", "behind", "dog")))
    both = Said(
        ["x"], [claims("dog", "big", "behind", "cat"), claims("owl", "red", "see", "owl"), SceneGraph()]
    )
    assert both.stated == dog | said.statements(claims("owl", "red", "see", "owl")) and len(both.stated) == 4


SAID = Said(
    ["Several puppies leap over glasses.", "A tan, fierce cat"],
    [SceneGraph((SceneObject("Apple"), SceneObject("car")), (), (Relation(0, "Sit On", 1),)), SceneGraph()],
)


@pytest.mark.parametrize(
    ("question", "true", "false"),
    [
        # by synonym, hypernym, hyponym or a word used alike; of a graph as well; of the singular too
        ("may_show", "puppy dog animal wolf glass glasses cat kitten apple fruit car van",
         "horse truck shirt several leap over a xyzzy"),
        ("may_be", "tan brown yellow fierce two three six", "red wooden big puppy"),
        ("may_do", "leap jump run chase cat", "sit carry over"),
    ],
)  # fmt: skip
def test_what_is_said_may_be_shown_be_so_or_be_done(question: str, true: str, false: str) -> None:
    ask = getattr(SAID, question)
    assert [word for word in true.split() if not ask(word)] == []
    assert [word for word in false.split() if ask(word)] == []


def test_numbers_are_open_where_only_many_are_said_and_nothing_else_is() -> None:
    assert not Said(["two dogs"]).may_be("three") and Said(["two dogs"]).may_be("two")
    for many in ("several dogs", "Some dogs", "many dogs", "a few dogs", "a group of dogs", "another dog"):
        assert Said(["a cat", many]).may_be("three") and not Said(["a cat", many]).may_be("red"), many


def test_what_stands_somewhere_stands_in_every_shorter_relation_too() -> None:
    asked = {
        ("on", "car"): True, ("sit on", "car"): True, ("sit", "car"): False,
        ("on", "apple"): False, ("under", "car"): False,
    }  # fmt: skip
    assert {place: SAID.may_stand(*place) for place in asked} == asked


def test_graphs_are_all_that_is_known_of_a_caption_in_no_words() -> None:
    said = Said([], iter([graph("a dog on a mat", "dog mat", "", "0 on 1")]))
    assert said.texts == frozenset() and said.may_show("puppy") and said.may_stand("on", "mat")
    assert Said(["a dog"]).stated == frozenset() and not Said([]).may_show("dog")
