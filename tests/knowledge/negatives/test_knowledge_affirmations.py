"""No change inside a denial, but for taking it back."""

from __future__ import annotations

import pytest
from hand_graphs import graph, layout

from knowclip.knowledge.negatives.affirmations import is_denied, within
from knowclip.knowledge.negatives.caption_editing import Edit
from knowclip.knowledge.negatives.generate import SEMANTIC, generate
from knowclip.knowledge.parsing.negation import is_negated
from knowclip.knowledge.parsing.parsers import parse
from knowclip.types import Relation, SceneGraph, SceneObject

pytest.importorskip("spacy")


def texts(caption: str) -> set[str]:
    (graph,) = parse([caption])
    found = (generate(caption, graph, kinds=list(SEMANTIC), seed=seed) for seed in range(8))
    return {n.caption for several in found for n in several}


@pytest.mark.parametrize(
    ("caption", "kept", "affirmed"),
    [
        ("A man who is not wearing a hat walks a dog", "not wearing a hat", None),
        ("An empty street with no cars", "no cars", "An empty street with cars"),
        ("A boy without a helmet rides a bike", "without a helmet", "A boy with a helmet rides a bike"),
        ("A boy with no helmet rides a bike", "with no helmet", "A boy with a helmet rides a bike"),
        ("A boy wearing no shirt on a beach", "wearing no shirt", "A boy wearing a shirt on a beach"),
        ("A man without any shoes on a beach", "without any shoes", "A man with shoes on a beach"),
        ("Without a helmet, a boy rides a bike.", "a helmet", "With a helmet, a boy rides a bike."),
        ("A boy with no water on a beach", "no water", "A boy with water on a beach"),
        ("A boy wearing no glasses", "no glasses", "A boy wearing glasses"),
        ("A man holding no old umbrella", "no old umbrella", "A man holding an old umbrella"),
        ("No hats the boy has", "No hats", None),
        ("There are no dogs on the beach", "no dogs on the beach", None),
        ("A table with neither a plate nor a cup", "neither a plate nor a cup", None),
        ("A dog never chases a cat", "never chases a cat", None),
        ("A man isn't riding a horse on a beach", "isn't riding a horse", None),
    ],
)  # fmt: skip
def test_a_denial_stays_or_is_taken_back(caption: str, kept: str, affirmed: str | None) -> None:
    found = texts(caption)
    assert all(kept in text for text in found - {affirmed})
    assert affirmed is None or affirmed in found


def test_nothing_is_replaced_inside_a_denial_of_a_graph_that_claims_it() -> None:
    """Another parser's graph may hold what the caption denies."""
    caption = "A man not wearing a hat"
    objects = (SceneObject("man", (2, 5)), SceneObject("hat", (20, 23)))
    graph = SceneGraph(objects, (), (Relation(0, "wear", 1, (10, 17)),))
    for n in generate(caption, graph, kinds=list(SEMANTIC)):
        assert not any(is_negated(n.caption, span) for span in n.changed)


@pytest.mark.parametrize(
    ("objects", "relations", "claimed", "thing"),
    [
        ("boy bike", "0 on:on 1", "boy bike HELMET", 2),
        # a parser that claims what is denied, of whomever: it is claimed as it is said
        ("boy helmet bike", "0 wear:on 1, 2 with 1, 0 on:on 2", "boy HELMET bike", 1),
    ],
)
def test_what_is_affirmed_is_claimed_and_nothing_else_of_it(
    objects: str, relations: str, claimed: str, thing: int
) -> None:
    """Once the boy is said to have a helmet, it is he who has it; he is still on the bike."""
    caption = "A boy with no helmet on a bike"
    made = generate(caption, graph(caption, objects, "", relations), kinds=["relation_replacement"])
    (negative,) = [n for n in made if n.caption == "A boy with a helmet on a bike"]
    places = {"boy": (2, 5), "HELMET": (13, 19), "bike": (25, 29)}
    things = tuple(SceneObject(name.lower(), places[name]) for name in claimed.split())
    on = Relation(0, "on", claimed.split().index("bike"), (20, 22))
    assert negative.graph == SceneGraph(things, (), (on, Relation(0, "with", thing, (6, 10))))
    assert negative.changed == ((11, 12),)


def test_with_is_not_denied_twice() -> None:
    assert not any("without" in text for text in texts("A woman with long hair and no hat"))
    assert "A man without a dog" in texts("A man with a dog")


@pytest.mark.parametrize(
    ("caption", "affirmed"),
    [
        ("A boy with no shirt runs", "A boy with a shirt runs"),
        ("A boy with no dog jumps", "A boy with a dog jumps"),
        ("A boy with no runs", "A boy with runs"),
        ("A boy with no even floor", None),
        ("A boy without running", None),
        ("A boy without 7", None),
        ("A boy with no", None),
        ("A boy without a red hat and coat", "A boy with a red hat and coat"),
        ("A boy w/o a hat", "A boy with a hat"),
        ("A boy sans hat", "A boy with hat"),
        ("A boy lacks a hat", None),
        ("A boy not in a hat", None),
        ("A boy eats no apple", None),
        ("a hat without a boy's apple", "a hat with a boy's apple"),
    ],
)
def test_the_first_thing_that_is_denied_outright_is_affirmed(caption: str, affirmed: str | None) -> None:
    of = graph(caption, "boy" if "hat without" not in caption else "hat")
    for seed in range(5):
        found = generate(caption, of, kinds=["relation_replacement"], seed=seed)
        assert [n.caption for n in found] == [affirmed] * (affirmed is not None)
        assert all(n.kind == "relation_replacement" for n in found)


@pytest.mark.parametrize(
    ("caption", "objects", "claim"),
    [
        ("a boy by a girl with no red hat", "boy girl", (1, "with", "hat")),
        ("a girl by a boy wearing no hats", "boy girl", (0, "wear", "hat")),
        ("without hats, a boy sees a girl", "girl boy", (1, "with", "hat")),
        ("a boy has no hats", "boy", (0, "have", "hat")),
        ("a boy with no red shirt runs", "boy", (0, "with", "shirt")),
        ("a boy with no even floor and a girl with no hats", "boy girl", (1, "with", "hat")),
        ("a boy holding no hats", "boy", (0, "hold", "hat")),
    ],
)
def test_what_is_affirmed_belongs_to_what_is_named_nearest_before_it_or_first_behind(
    caption: str, objects: str, claim: tuple[int, str, str]
) -> None:
    of = graph(caption, objects)
    (negative,) = generate(caption, of, kinds=["relation_replacement"])
    assert negative.graph is not None
    (relation,) = negative.graph.relations
    assert (relation.subject, relation.name, negative.graph.objects[relation.object].name) == claim
    assert relation.object == len(of.objects)


def test_what_is_denied_does_not_have_itself() -> None:
    caption = "without hats, a boy sees a girl"
    (negative,) = generate(caption, graph(caption, "hat boy"), kinds=["relation_replacement"])
    assert negative.graph is not None and negative.graph.relations == (Relation(1, "with", 0, (0, 4)),)


def test_nothing_is_affirmed_that_nobody_is_named_to_have() -> None:
    assert generate("without a hat", SceneGraph(), kinds=["relation_replacement"]) == []


DENIED = "A boy with no red hat and a dog without its leash"
NO, RED, HAT, WITHOUT, ITS, LEASH = (11, 13), (14, 17), (18, 21), (32, 39), (40, 43), (44, 49)


@pytest.mark.parametrize(
    ("span", "denied"),
    [
        ((2, 5), False),
        (NO, True),
        ((NO[0] - 1, NO[0]), False),
        ((NO[0] - 1, NO[0] + 1), True),
        (RED, True),
        (HAT, True),
        ((HAT[1], HAT[1] + 3), False),
        (LEASH, True),
        ((WITHOUT[0] - 4, WITHOUT[0] - 1), False),
    ],
)
def test_words_are_denied_that_deny_or_stand_where_something_is_denied(span, denied) -> None:
    assert is_denied(layout(DENIED, "boy dog"), span) == denied


@pytest.mark.parametrize(
    ("edits", "inside"),
    [
        ([Edit((2, 5), "girl")], False),
        ([Edit((6, NO[0]), "x")], False),
        ([Edit((HAT[1], HAT[1] + 3), "x")], False),
        ([Edit(NO, "a")], True),
        ([Edit(RED, "blue")], True),
        ([Edit((2, 5), "girl"), Edit(HAT, "cap")], True),
        ([Edit(LEASH, "cat"), Edit((2, 5), "girl")], True),
        # moved as a whole, or in part
        ([Edit((NO[0], HAT[1]), "x", (0, 1))], False),
        ([Edit((2, HAT[1]), "x", (0, 1))], False),
        ([Edit((NO[0], HAT[1]), "x")], True),
        ([Edit((NO[1], HAT[1]), "x", (0, 1))], True),
        ([Edit((NO[0], RED[1]), "x", (0, 1))], True),
        ([Edit((NO[0], HAT[1]), "x", (0, 1)), Edit(LEASH, "cat")], True),
        # a pronoun
        ([Edit(ITS, "his")], False),
        ([Edit(ITS, "his"), Edit(LEASH, "cat")], True),
    ],
)
def test_a_denial_is_left_alone_unless_it_moves_as_a_whole(edits, inside) -> None:
    assert within(layout(DENIED, "boy dog"), tuple(edits)) == inside
