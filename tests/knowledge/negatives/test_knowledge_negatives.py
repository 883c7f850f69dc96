"""Hard negatives: swaps worked by hand, English that stays English, and silence where nothing is valid."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowclip.knowledge.content_hashes import graph_key, normalised
from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.generate import generate
from knowclip.knowledge.parsing.parsers import parse
from knowclip.types import Attribute, Negative, Relation, SceneGraph, SceneObject

pytest.importorskip("spacy")


def negatives(caption: str, kind: str | None = None, **options: object) -> list[Negative]:
    (graph,) = parse([caption])
    kinds = [kind] if kind else ["relation_swap", "attribute_swap"]
    return generate(caption, graph, kinds=kinds, **options)  # type: ignore[arg-type]


def texts(caption: str, kind: str | None = None) -> set[str]:
    return {negative.caption for negative in negatives(caption, kind)}


RELATION_SWAPS = [
    ("a red horse riding a blue astronaut", "a blue astronaut riding a red horse"),
    (
        "The astronaut is red and the horse is blue; the astronaut is holding the horse.",
        "The astronaut is red and the horse is blue; the horse is holding the astronaut.",
    ),
    (
        "A small green frog is being chased by a big yellow bus.",
        "A big yellow bus is being chased by a small green frog.",
    ),
    ("a purple owl to the left of a brown crab", "a brown crab to the left of a purple owl"),
    ("There is a pink cat under a white piano.", "There is a white piano under a pink cat."),
    ("A fox that is wearing an orange crown", "An orange crown that is wearing a fox"),
    (
        "a red apple and a green pear. The apple is inside the pear.",
        "a red apple and a green pear. The pear is inside the apple.",
    ),
    (
        "The horse is red. The horse is riding the astronaut.",
        "The horse is red. The astronaut is riding the horse.",
    ),
    ("the horse that the man is riding", "the man that the horse is riding"),
    ("On a table is a cat.", "On a cat is a table."),
    ("Dogs chasing a cat", "A cat chasing dogs"),
    ("a group of people watching a man", "a man watching a group of people"),
    # verbs agree
    ("Two dogs are chasing a cat.", "A cat is chasing two dogs."),
    ("There are two dogs chasing a cat.", "There is a cat chasing two dogs."),
    ("Two dogs chase a cat.", "A cat chases two dogs."),
    ("A boy carries two boxes.", "Two boxes carry a boy."),
    # what is said right behind a noun moves with it; possessives stay
    ("A cat sleeps on a dog that is red.", "A dog that is red sleeps on a cat."),
    ("a girl holding her doll", "a doll holding her girl"),
    ("a girl holding her apple", "an apple holding her girl"),
]


@pytest.mark.parametrize(("caption", "negative"), RELATION_SWAPS)
def test_relation_swap(caption: str, negative: str) -> None:
    assert texts(caption, "relation_swap") == {negative}


def test_whole_noun_phrases_change_places() -> None:
    found = texts("A man in a red shirt is riding a brown horse.", "relation_swap")
    assert "A brown horse is riding a man in a red shirt." in found


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("a red horse riding a blue astronaut", {"a blue horse riding a red astronaut"}),
        ("The cat is red and the dog is blue.", {"The cat is blue and the dog is red."}),
        ("an orange cat and a red dog", {"a red cat and an orange dog"}),
        ("Red cars and blue trucks", {"Blue cars and red trucks"}),
        ("a big dog and a small cat", {"a small dog and a big cat"}),
        ("two dogs and three cats", {"three dogs and two cats"}),
        ("a dog running and a cat sleeping", {"a dog sleeping and a cat running"}),
        ("a red dog chasing a cat that is blue", {"a blue dog chasing a cat that is red"}),
        # nothing valid: synonyms, one object, equal names, another dimension, already true
        ("a big dog and a large cat", set()),
        ("a gray dog and a grey cat", set()),
        ("a small red dog", set()),
        ("a red ball and a blue ball", set()),
        ("a small dog and a brown cat", set()),
        ("a red and blue bird on a red box", set()),
        # said twice: one place alone would contradict the other
        ("a red dog and a blue cat. The red dog is on a mat.", set()),
    ],
)
def test_attribute_swap(caption: str, found: set[str]) -> None:
    assert texts(caption, "attribute_swap") == found


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "a dog",
        "a dog and a cat",
        "a dog next to a cat",
        "a man with a hat",
        "a dog standing next to a cat",
        "a dog facing a cat",
        "On a table are two cats.",
        "a dog chasing another dog",
        "a dog chasing a cat and a cat chasing a dog",
        "A dog chases a cat. The cat is chased by the dog.",
        "the dog is behind the cat and the cat is in front of the dog",
        "the leg of a man",
        "the man's dog",
        "A little girl and boy hold a ball",
    ],
)
def test_nothing_where_no_relation_swap_is_valid(caption: str) -> None:
    assert texts(caption, "relation_swap") == set()


@pytest.mark.parametrize("caption", [caption for caption, _ in RELATION_SWAPS])
def test_claims_of_a_negative_are_those_of_its_own_parse(caption: str) -> None:
    for negative in negatives(caption):
        (parsed,) = parse([negative.caption])
        assert graph_key(negative.caption, negative.graph) == graph_key(negative.caption, parsed)


@pytest.mark.parametrize("caption", [caption for caption, _ in RELATION_SWAPS])
def test_spans_are_of_the_new_text(caption: str) -> None:
    (graph,) = parse([caption])
    for negative in negatives(caption):
        assert negative.graph is not None
        for before, after in zip(graph.objects, negative.graph.objects, strict=True):
            assert before.span is not None and after.span is not None
            assert caption[slice(*before.span)].lower() == negative.caption[slice(*after.span)].lower()
        rest = negative.caption
        for start, end in reversed(negative.changed):
            rest = rest[:start] + "|" + rest[end:]
        kept = rest.split("|")
        assert all(part in caption for part in kept) and len(kept) == len(negative.changed) + 1


def test_changed_spans() -> None:
    (negative,) = negatives("an orange cat and a red dog")
    assert [negative.caption[a:b] for a, b in negative.changed] == ["a", "red", "an", "orange"]


def test_other_captions_of_the_image_are_never_negatives() -> None:
    caption = "a dog chasing a cat"
    assert len(negatives(caption)) == 1
    assert negatives(caption, said=Said([caption, "A cat  chasing a dog."])) == []


def test_equal_arguments_equal_lists_and_seeds_draw() -> None:
    caption = "a red horse riding a blue astronaut on a green hill under a yellow moon"
    runs = {seed: negatives(caption, seed=seed) for seed in range(12)}
    assert runs[3] == negatives(caption, seed=3)
    assert len({tuple(n.caption for n in run) for run in runs.values()}) > 4
    assert len({frozenset(n.caption for n in run) for run in runs.values()}) == 1
    assert {run[0].kind for run in runs.values()} == {"relation_swap", "attribute_swap"}


def test_graphs_without_spans_give_nothing() -> None:
    graph = SceneGraph(
        (SceneObject("dog"), SceneObject("cat")), (Attribute(0, "red"),), (Relation(0, "see", 1),)
    )
    assert generate("a red dog sees a cat", graph) == []


def test_users_own_graph() -> None:
    caption = "ein dog xyz ein cat"
    graph = SceneGraph(
        (SceneObject("dog", (4, 7)), SceneObject("cat", (16, 19))), (), (Relation(0, "xyz", 1, (8, 11)),)
    )
    assert [n.caption for n in generate(caption, graph)] == ["ein cat xyz ein dog"]


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind of negative 'shuffled': choose from relation_swap"):
        generate("a dog", SceneGraph(), kinds=["shuffled"])


WORDS = (
    "a an red blue big small dog cat dogs boxes man is are riding on in of and his two that was 's , . ; é 🐶"
).split()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(max_size=50))
def test_no_caption_breaks_it(caption: str) -> None:
    found = negatives(caption)
    plain = [normalised(negative.caption) for negative in found]
    assert len(set(plain)) == len(plain) and normalised(caption) not in plain
    for negative in found:
        assert negative.changed and all(a < b <= len(negative.caption) for a, b in negative.changed)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_graph_breaks_it(data: st.DataObject) -> None:
    """Users' graphs: spans anywhere in the text, names that have nothing to do with it."""
    caption = data.draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=10).map(" ".join))
    place = st.integers(0, len(caption) - 1)
    span = st.none() | st.tuples(place, place).map(lambda ends: (min(ends), max(ends) + 1))
    name = st.sampled_from(["", " ", "dog", "cat", "chase", "on", "red", "blue", "stand next to"])
    objects = data.draw(st.lists(st.builds(SceneObject, name, span), min_size=2, max_size=4))
    index = st.integers(0, len(objects) - 1)
    attributes = data.draw(st.lists(st.builds(Attribute, index, name, span), max_size=4))
    relations = data.draw(st.lists(st.builds(Relation, index, name, index, span), max_size=4))
    for negative in generate(caption, SceneGraph(tuple(objects), tuple(attributes), tuple(relations))):
        assert normalised(negative.caption) != normalised(caption)
