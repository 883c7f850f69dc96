"""What a part of a caption may become, with what it claims; and which attributes a part has."""

from __future__ import annotations

from random import Random

import pytest
from hand_graphs import graph

from knowclip.knowledge.content_hashes import stable_hash
from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.subgraph_edits import Scene, edits
from knowclip.knowledge.negatives.subgraphs import Phrase, Stated, Subgraph, subgraphs
from knowclip.knowledge.negatives.truths import Truths, claim_keys
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject


def changed(one: Subgraph, kind: str, *others: str) -> set[Subgraph]:
    """What 60 draws of one kind make of a part, beside other captions of its image."""
    scene = Scene(Said([one.text, *others], [one.graph]), [])
    return {edit for seed in range(60) for name, edit in edits(one, scene, Random(seed)) if name == kind}


def related(relation: Stated, first: str = "dog", second: str = "cat") -> Subgraph:
    return Subgraph("relation", (Phrase(first), Phrase(second)), relation)


@pytest.mark.parametrize(
    ("relation", "item", "expected"),
    [
        (("run into", "run", "into", "running into"), "house",
         {("run out of", "run", "out of", "running out of")}),
        (("next to", "", "next to", "next to"), "cat", {("far from", "", "far from", "far from")}),
        (("chase", "chase", "", "chasing"), "cat",
         {("lick", "lick", "", "licking"), ("carry", "carry", "", "carrying")}),
        (("sit with", "sit", "with", "sitting with"), "boy",
         {("lie with", "lie", "with", "lying with"), ("walk with", "walk", "with", "walking with"),
          ("stand with", "stand", "with", "standing with")}),
        (("chew on", "chew", "on", "chewing on"), "bone", set()),  # not where, but what
    ],
)  # fmt: skip
def test_another_relation_is_known_by_its_name_its_words_and_their_parts(relation, item, expected) -> None:
    one = related(Stated(*relation), second=item)
    assert changed(one, "relation_replacement") == {related(Stated(*new), second=item) for new in expected}


@pytest.mark.parametrize("other", ["A cow licks its calf", "licking"])
def test_what_anyone_does_is_no_other_relation(other: str) -> None:
    carried = related(Stated("carry", "carry", "", "carrying"))
    chased = related(Stated("chase", "chase", "", "chasing"))
    assert changed(chased, "relation_replacement", other) == {carried}


def test_a_thing_and_another_called_after_it_change_no_places() -> None:
    eaten = Stated("eat", "eat", "", "eating")
    assert changed(related(eaten, "dog", "hot dog"), "relation_swap") == set()
    assert changed(related(eaten, "dog", "food"), "relation_swap") == {related(eaten, "food", "dog")}


def test_one_thing_is_replaced_at_a_time() -> None:
    chased = Stated("chase", "chase", "", "chasing")
    pairs = {tuple(p.name for p in edit.phrases) for edit in changed(related(chased), "object_replacement")}
    assert all((one == "dog") != (other == "cat") for one, other in pairs)
    assert {one for one, other in pairs} > {"dog", "horse"} and {other for one, other in pairs} > {
        "cat",
        "cow",
    }


def described(name: str, attribute: str, *, excludes: bool = True) -> Subgraph:
    return Subgraph("attribute", (Phrase(name, attribute=attribute, excludes=excludes),))


@pytest.mark.parametrize(
    ("one", "others", "expected"),
    [
        (described("gate", "closed"), [], {"open"}),
        (described("gate", "closed"), ["An open door"], set()),
        (described("gate", "closed"), ["A man opens a door"], set()),
        (described("ball", "red"), [], {"green", "yellow", "blue", "white", "black", "brown"}),
        (described("ball", "red"), ["white and a navy sky"], {"green", "yellow", "brown"}),
        (described("ball", "red", excludes=False), [], set()),
    ],
)
def test_another_value_is_one_that_nothing_is_said_to_have(one, others, expected) -> None:
    found = changed(one, "attribute_replacement", *others)
    assert {edit.phrases[0].attribute for edit in found} == expected
    assert all(edit.phrases[0].name == one.phrases[0].name for edit in found)


def test_every_phrase_with_a_value_of_its_own_may_have_another() -> None:
    chased = Stated("chase", "chase", "", "chasing")
    phrases = Phrase("dog", attribute="red"), Phrase("gate", attribute="closed", excludes=True)
    found = changed(Subgraph("relation", phrases, chased), "attribute_replacement")
    assert {tuple(phrase.attribute for phrase in edit.phrases) for edit in found} == {("red", "open")}


@pytest.mark.parametrize(
    ("caption", "objects", "attributes", "expected"),
    [
        ("a red dog", "dog", "0 red", [("a red dog", True)]),
        ("the other dog", "dog", "0 other", []),
        ("a dog that is not red", "dog", "0 red:red", []),
        ("a dog", "dog", "0 red", []),  # nowhere said
        ("a red puppy", "dog", "0 red:red", []),  # of what the caption does not name
        ("a gray dog", "dog", "0 grey:gray", []),  # in other words
        ("a dog in dark-red", "dog", "0 red:red", []),  # no word of its own
        (
            "a brown and white dog",
            "dog",
            "0 brown, 0 white",
            [("a brown dog", False), ("a white dog", False)],
        ),
        ("a black man", "man", "0 black", [("a black man", False)]),
        ("a black car", "car", "0 black", [("a black car", True)]),
        ("a fierce dog", "dog", "0 fierce", [("a fierce dog", False)]),
    ],
)
def test_an_attribute_stands_before_what_it_is_said_of(caption, objects, attributes, expected) -> None:
    found = subgraphs(caption, graph(caption, objects, attributes), kinds=["attribute"])
    assert [(one.text, one.phrases[0].excludes) for one in found] == expected


@pytest.mark.parametrize(
    ("caption", "relation", "stated"),
    [
        ("dog next to a hen", "next to", ("next to", "", "next to", "next to")),
        ("dog has a hen", "have:has", ("have", "", "with", "with")),
        ("dog chases a hen", "chase:chases", ("chase", "chase", "", "chasing")),
        ("dog sits on a hen", "sit on:sits on", ("sit on", "sit", "on", "sitting on")),
        (
            "dog covered with a hen",
            "cover with:covered with",
            ("cover with", "cover", "with", "covered with"),
        ),
        ("dog without a hen", "without", None),
        ("dog hunts a hen", "chase:hunts", None),  # not its words
        ("dog under a hen", "on:under", None),
        ("dog, a hen", "chase", None),  # nowhere said
    ],
)
def test_a_relation_is_stated_behind_its_subject(caption, relation, stated) -> None:
    found = subgraphs(caption, graph(caption, "dog hen", "", f"0 {relation} 1"), kinds=["relation"])
    phrases = Phrase("dog", has_article=False), Phrase("hen")
    assert found == ([Subgraph("relation", phrases, Stated(*stated))] if stated else [])


def test_things_have_an_article_if_they_are_counted_and_the_caption_opens_them() -> None:
    caption = "dog on the snow by a mat without a hat"
    found = subgraphs(caption, graph(caption, "dog snow mat hat sky"))
    assert [one.text for one in found] == ["dog", "snow", "a mat"]


def test_no_relation_of_a_thing_to_another_of_its_name_or_to_what_is_denied() -> None:
    caption = "a dog chases the puppy without a hat"
    of = graph(caption, "dog dog:puppy hat", "", "0 chase:chases 1, 0 see:chases 2")
    assert subgraphs(caption, of, kinds=["relation"]) == []


def test_an_attribute_that_begins_a_relation_is_none() -> None:
    caption = "a dog full of hay"
    of = graph(caption, "dog hay", "0 full:full", "0 full of:full of 1")
    assert subgraphs(caption, of, kinds=["attribute"]) == []


def test_claims_are_those_that_graphs_of_one_claim_make() -> None:
    dog, cat, owl = (SceneObject(name) for name in ("Dog", "cat", "owl"))
    seen = SceneGraph((dog, cat, owl), (Attribute(0, "Large"),), (Relation(0, "Chase", 1),))
    alone = [
        SceneGraph((SceneObject("owl"),)),
        SceneGraph((SceneObject("dog"),), (Attribute(0, "big"),)),
        SceneGraph((SceneObject("cat"), SceneObject("dog")), (), (Relation(1, "chase", 0),)),
    ]
    assert claim_keys(seen) == tuple(key for one in alone for key in claim_keys(one))
    assert claim_keys(alone[0]) == (stable_hash("claim\nowl"),)
    assert claim_keys(alone[1]) == (
        stable_hash("claim\ndog\tis\tbig large huge giant enormous great massive oversized"),
    )


def test_truths_are_claims_of_the_nouns_that_texts_can_make() -> None:
    truths = Truths(["Dog", "dog", "animal", "puppy", "cat", "apple"])
    assert truths.related("dog") == ("animal", "dog", "puppy")
    assert truths.related("fruit") == ("apple", "fruit")
    assert truths.related("xyzzy") == ("xyzzy",)
    red = SceneGraph(
        (SceneObject("Dog"), SceneObject("cat")), (Attribute(0, "Red"),), (Relation(1, "See", 0),)
    )
    claims = [(name,) for name in ("dog", "puppy", "animal", "cat")] + [
        (name, "is", "red") for name in ("dog", "puppy", "animal")
    ]
    claims += [(one, "see", other) for one in ("cat", "animal") for other in ("dog", "puppy", "animal")]
    assert truths.keys([red, SceneGraph()]) == {stable_hash("claim\n" + "\t".join(claim)) for claim in claims}
