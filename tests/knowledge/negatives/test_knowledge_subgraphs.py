"""Sub-graphs of captions as texts, their edits, and what is true of which image."""

from __future__ import annotations

from random import Random

import pytest
from hand_graphs import graph

from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.subgraph_edits import Scene, edits
from knowclip.knowledge.negatives.subgraphs import KINDS, Subgraph, subgraphs
from knowclip.knowledge.negatives.truths import Truths, claim_keys
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject

CAPTION = "A red dog chases a blue cat."


DOG = SceneGraph(
    (SceneObject("dog", (6, 9)), SceneObject("cat", (24, 27))),
    (Attribute(0, "red", (2, 5)), Attribute(1, "blue", (19, 23))),
    (Relation(0, "chase", 1, (10, 16)),),
)


def by_kind(caption: str, of: SceneGraph) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in subgraphs(caption, of):
        found.setdefault(one.kind, []).append(one.text)
    return found


def test_every_kind_is_written_out() -> None:
    assert by_kind(CAPTION, DOG) == {
        "object": ["a dog", "a cat"],
        "attribute": ["a red dog", "a blue cat"],
        "pair": ["a red dog and a blue cat"],
        "relation": ["a dog chasing a cat"],
    }
    assert list(by_kind(CAPTION, DOG)) == list(KINDS)
    assert [one.kind for one in subgraphs(CAPTION, DOG, kinds=["pair"])] == ["pair"]


@pytest.mark.parametrize(
    ("caption", "objects", "attributes", "relations", "expected"),
    [
        ("an old owl behind snow", "owl snow", "0 old", "0 behind 1",
         ["an owl", "snow", "an old owl", "an owl behind snow"]),
        ("Two dogs are next to the red balls.", "dog ball", "0 two, 1 red", "0 next to 1",
         ["dogs", "balls", "two dogs", "red balls", "dogs next to balls"]),
        ("a brown and white dog", "dog", "0 brown, 0 white", "",
         ["a dog", "a brown dog", "a white dog"]),
        ("a man without a hat", "man hat", "", "0 without 1", ["a man"]),
    ],
)  # fmt: skip
def test_texts_are_english(caption, objects, attributes, relations, expected) -> None:
    found = [one.text for one in subgraphs(caption, graph(caption, objects, attributes, relations))]
    assert [text for text in expected if text not in found] == []
    assert set(found) == set(expected)


@pytest.mark.parametrize(
    ("words", "name", "said"),
    [
        ("covered with", "cover with", "covered with"),
        ("lies on", "lie on", "lying on"),
        ("chased by", "chase", "chasing"),
        ("has", "have", "with"),
    ],
)
def test_relations_stand_behind_their_subject(words, name, said) -> None:
    caption = f"a street {words} a dog"
    thing = SceneObject("dog", (len(caption) - 3, len(caption)))
    related = Relation(0, name, 1, (9, 9 + len(words)))
    of = SceneGraph((SceneObject("street", (2, 8)), thing), (), (related,))
    assert by_kind(caption, of)["relation"] == [f"a street {said} a dog"]


def scene(said: Said | None = None) -> Scene:
    described = [one.phrases[0] for one in subgraphs(CAPTION, DOG) if one.kind == "attribute"]
    return Scene(said or Said([CAPTION], [DOG]), described)


def edited(text: str, said: Said | None = None, seed: int = 0) -> dict[str, list[str]]:
    one = next(one for one in subgraphs(CAPTION, DOG) if one.text == text)
    found: dict[str, list[str]] = {}
    for kind, changed in edits(one, scene(said), Random(seed)):
        found.setdefault(kind, []).append(changed.text)
    return found


def test_edits_by_kind() -> None:
    assert edited("a red dog")["attribute_swap"] == ["a blue dog"]
    assert edited("a red dog and a blue cat")["attribute_swap"] == ["a blue dog and a red cat"]
    assert edited("a dog chasing a cat")["relation_swap"] == ["a cat chasing a dog"]
    replaced = edited("a dog chasing a cat")["relation_replacement"]
    assert replaced[0].startswith("a dog ") and replaced[0].endswith("ing a cat")
    assert set(edited("a dog")) == {"object_replacement"}
    colours = {edited("a red dog", seed=seed)["attribute_replacement"][0] for seed in range(20)}
    assert colours == {"a white dog", "a black dog", "a brown dog"}


def test_nothing_that_another_caption_says_is_an_edit() -> None:
    other = "A dog chases a cat and a cat chases a dog, a blue dog."
    also = SceneGraph(
        (SceneObject("dog"), SceneObject("cat")),
        (Attribute(0, "blue"),),
        (Relation(0, "chase", 1), Relation(1, "chase", 0)),
    )
    said = Said([CAPTION, other], [DOG, also])
    assert "relation_swap" not in edited("a dog chasing a cat", said)
    assert "attribute_swap" not in edited("a red dog", said)
    animals = Said([CAPTION, "Animals play."], [DOG])
    assert "object_replacement" not in edited("a dog", animals)


def test_a_two_coloured_dog_is_not_repainted() -> None:
    caption = "a brown and white dog and a black cat"
    of = graph(caption, "dog cat", "0 brown, 0 white, 1 black")
    found = subgraphs(caption, of)
    assert not any(one.kind == "pair" for one in found)
    described = [one.phrases[0] for one in found if one.kind == "attribute"]
    brown = next(one for one in found if one.text == "a brown dog")
    kinds = {kind for kind, _ in edits(brown, Scene(Said([caption], [of]), described), Random(0))}
    assert kinds == {"object_replacement"}


def claims(caption: str, of: SceneGraph, text: str) -> set[int]:
    return set(claim_keys(next(one for one in subgraphs(caption, of) if one.text == text).graph))


def test_every_subgraph_is_true_of_its_own_image_and_no_edit_is() -> None:
    truths = Truths(["dog", "cat", "puppy", "horse", "animal"]).keys([DOG])
    for one in subgraphs(CAPTION, DOG):
        assert set(claim_keys(one.graph)) <= truths, one.text
        for _, changed in edits(one, scene(), Random(0)):
            assert not set(claim_keys(changed.graph)) <= truths, changed.text


@pytest.mark.parametrize(
    ("subgraph", "true"),
    [
        (("puppy",), True),
        (("animal",), True),
        (("horse",), False),
        (("puppy", "red"), True),
        (("puppy", "blue"), False),
        (("animal", "chase", "cat"), True),
        (("cat", "chase", "dog"), False),
    ],
)
def test_texts_of_other_images_may_be_true(subgraph, true) -> None:
    """By wider and narrower words too: what may be true is no negative."""
    truths = Truths(["dog", "cat", "puppy", "horse", "animal"]).keys([DOG])
    objects = (SceneObject(subgraph[0]),) + ((SceneObject(subgraph[2]),) if len(subgraph) == 3 else ())
    attributes = (Attribute(0, subgraph[1]),) if len(subgraph) == 2 else ()
    relations = (Relation(0, subgraph[1], 1),) if len(subgraph) == 3 else ()
    assert (set(claim_keys(SceneGraph(objects, attributes, relations))) <= truths) == true


def test_inverse_relations_claim_the_same() -> None:
    right = SceneGraph((SceneObject("dog"), SceneObject("cat")), (), (Relation(0, "to the right of", 1),))
    left = SceneGraph((SceneObject("cat"), SceneObject("dog")), (), (Relation(0, "to the left of", 1),))
    assert claim_keys(right) == claim_keys(left)


def test_a_subgraph_is_what_it_says() -> None:
    pair = next(one for one in subgraphs(CAPTION, DOG) if one.kind == "pair")
    assert isinstance(pair, Subgraph)
    assert pair.graph == SceneGraph(
        (SceneObject("dog"), SceneObject("cat")), (Attribute(0, "red"), Attribute(1, "blue"))
    )


def related(caption: str, objects: str, name: str, words: str) -> SceneGraph:
    """Two objects and the relation between them, which stands in the caption as ``words``."""
    plain, at = graph(caption, objects), caption.index(words)
    return SceneGraph(plain.objects, (), (Relation(0, name, 1, (at, at + len(words))),))


def drawn(kind: str, of: tuple[str, str, str, str], *others: tuple[str, str, str, str]) -> set[str]:
    """Every text that 40 draws make of the relation of a caption, beside what others say of its image."""
    graphs = [related(*each) for each in (of, *others)]
    told = Scene(Said([of[0], *(each[0] for each in others)], graphs), [])
    (one,) = (each for each in subgraphs(of[0], graphs[0]) if each.kind == "relation")
    made = [edit for seed in range(40) for edit in edits(one, told, Random(seed))]
    return {changed.text for name, changed in made if name == kind}


BENCH = ("a dog on a bench", "dog bench", "on", "on")
CHASE = ("a dog chases a cat", "dog cat", "chase", "chases")


@pytest.mark.parametrize(
    ("of", "others", "expected"),
    [
        (BENCH, [], {"a dog under a bench"}),
        (BENCH, [("a cat under a bench", "cat bench", "under", "under")], set()),
        (("a dog with a ball", "dog ball", "with", "with"), [], {"a dog without a ball"}),
        (("a dog runs into a house", "dog house", "run into", "runs into"), [],
         {"a dog running out of a house"}),
        (("a dog running with a boy", "dog boy", "run with", "running with"), [],
         {"a dog lying with a boy", "a dog sitting with a boy"}),
        (CHASE, [], {"a dog carrying a cat", "a dog licking a cat"}),
        (CHASE, [("a dog licks a cat", "dog cat", "lick", "licks")], {"a dog carrying a cat"}),
        (("a man plays a guitar", "man guitar", "play", "plays"), [],
         {"a man breaking a guitar", "a man repairing a guitar"}),
        (("a man plays a ball", "man ball", "play", "plays"), [], set()),
    ],
)  # fmt: skip
def test_relations_become_others_that_nothing_said_makes_true(of, others, expected) -> None:
    assert drawn("relation_replacement", of, *others) == expected


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (CHASE, {"a cat chasing a dog"}),
        (("a dog chases a winter", "dog winter", "chase", "chases"), set()),
        (("a winter chases a dog", "winter dog", "chase", "chases"), set()),
    ],
)
def test_what_does_nothing_and_has_nothing_done_to_it_changes_no_places(of, expected) -> None:
    assert drawn("relation_swap", of) == expected


def test_how_many_there_are_is_no_value_that_moves() -> None:
    caption = "two red dogs and three blue cats"
    of = graph(caption, "dog cat", "0 two, 0 red, 1 three, 1 blue")
    found = subgraphs(caption, of)
    described = [one.phrases[0] for one in found if one.kind == "attribute"]
    told = Scene(Said([caption], [of]), described)
    moved = {
        changed.text
        for one in found
        if one.kind == "attribute"
        for kind, changed in edits(one, told, Random(0))
        if kind == "attribute_swap"
    }
    assert moved == {"blue dogs", "red cats"}


def test_what_is_done_is_known_by_its_word_and_by_words_that_mean_the_same() -> None:
    said = Said(["a dog leaps over a selfie"], [SceneGraph()])
    assert said.may_do("leap") and said.may_do("jump")
    assert said.may_do("selfie")  # the word is said, whatever it means
    assert not said.may_do("sleep")
