"""Which questions are asked: of captions, of annotated images, and which are fair."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowclip.evaluation.diagnosis import questions as asked
from knowclip.evaluation.diagnosis.annotated import SEVERAL, questions_of_graphs
from knowclip.evaluation.diagnosis.captioned import NONE, UNCLEAR, questions_of_captions
from knowclip.evaluation.diagnosis.questions import Question, about_attributes, about_roles, prepare
from knowclip.knowledge.negatives.generate import generate
from knowclip.types import Attribute, Example, ImageRef, Negative, Relation, SceneGraph, SceneObject

IMAGE = ImageRef(Path("one.jpg"))
CAPTION = "a red horse chases a blue dog"
GRAPH = SceneGraph(
    (SceneObject("horse", (6, 11)), SceneObject("dog", (26, 29))),
    (Attribute(0, "red", (2, 5)), Attribute(1, "blue", (21, 25))),
    (Relation(0, "chase", 1, (12, 18)),),
)


def test_a_caption_asks_once_for_each_of_its_swaps() -> None:
    example = Example("k", "one.jpg", IMAGE, CAPTION, GRAPH, tuple(generate(CAPTION, GRAPH)))
    plain = Example("l", "two.jpg", IMAGE, "a horse", SceneGraph())
    found, skipped = questions_of_captions([example, plain])
    (attributes,), (roles,) = found["attributes"], found["roles"]
    assert attributes.swap == "a blue horse chases a red dog"
    assert attributes.true == (("horse", "red"), ("dog", "blue"))
    assert attributes.false == (("horse", "blue"), ("dog", "red"))
    assert roles.swap == "a blue dog chases a red horse"
    assert roles.true == (("horse", "chase: subject"), ("dog", "chase: object"))
    assert skipped == {NONE: 1}


HORSES = SceneGraph((SceneObject("horse"), SceneObject("horse")), GRAPH.attributes, GRAPH.relations)
TWO = SceneGraph(GRAPH.objects, (), (*GRAPH.relations, Relation(0, "see", 1)))


@pytest.mark.parametrize(
    ("graph", "kind", "attributes", "relations"),
    [
        (GRAPH, "attribute_swap", [(0, "blue")], None),  # the other is lost
        (GRAPH, "attribute_swap", [(0, "red"), (1, "green")], None),  # one alone is changed
        (GRAPH, "attribute_swap", [(0, "blue"), (1, "green")], None),
        (HORSES, "attribute_swap", [(0, "blue"), (1, "red")], None),  # which of the two is asked?
        (TWO, "relation_swap", None, [(1, "chase", 0), (1, "see", 0)]),
        (GRAPH, "relation_swap", None, [(1, "see", 0)]),
        (HORSES, "relation_swap", None, [(1, "chase", 0)]),
        (GRAPH, "relation_swap", None, None),  # nothing says what it claims
    ],
)
def test_a_swap_that_changes_more_than_one_claim_asks_nothing(
    graph: SceneGraph,
    kind: str,
    attributes: list[tuple[int, str]] | None,
    relations: list[tuple[int, str, int]] | None,
) -> None:
    claims = SceneGraph(
        graph.objects,
        graph.attributes if attributes is None else tuple(Attribute(*each) for each in attributes),
        graph.relations if relations is None else tuple(Relation(*each) for each in relations),
    )
    told = None if attributes is relations is None else claims
    example = Example("k", "one.jpg", IMAGE, CAPTION, graph, (Negative("swapped", kind, graph=told),))
    found, skipped = questions_of_captions([example])
    assert found == {"attributes": [], "roles": []} and skipped == {UNCLEAR: 1}


def test_an_annotated_image_asks_about_objects_that_no_other_is_called_like() -> None:
    objects = tuple(SceneObject(name) for name in ("horse", "dog", "cat", "cat"))
    attributes = tuple(Attribute(i, name) for i, name in enumerate(("red", "blue", "white", "black")))
    relations = (Relation(0, "chasing", 1), Relation(0, "near", 1), Relation(2, "on", 0))
    found, skipped = questions_of_graphs({"1": SceneGraph(objects, attributes, relations)}, {"1": IMAGE})
    (colours,), (roles,) = found["attributes"], found["roles"]
    assert {colours.caption, colours.swap} == {
        "the blue dog and the red horse",
        "the red dog and the blue horse",
    }
    assert colours.caption == "the blue dog and the red horse"
    assert (roles.caption, roles.swap) == ("the horse is chasing the dog", "the dog is chasing the horse")
    assert skipped == {SEVERAL: 2}


def test_an_image_that_is_not_there_is_counted() -> None:
    found, skipped = questions_of_graphs({"7": GRAPH}, {})
    assert not found["attributes"]
    assert skipped == {"image not found": 1}


def colours(image: str, one: str, other: str, nouns: tuple[str, str] = ("horse", "dog")) -> Question:
    return about_attributes(image, IMAGE, image, ("caption", "swap"), nouns, (one, other))


def test_fair_questions_are_kept_and_the_others_counted_by_reason() -> None:
    fit = [
        colours(f"{i}{s}", *pair)
        for i in range(3)
        for s, pair in (("a", ("red", "blue")), ("b", ("blue", "red")))
    ]
    test = [
        colours("t1", "red", "blue"),
        colours("t2", "blue", "red"),
        colours("t3", "red", "green"),  # no horse is green, no dog red
        colours("0a", "red", "blue"),
        colours("t4", "red", "blue", ("cow", "pig")),
        colours("t5", "blue", "red", ("cow", "pig")),
    ]
    prepared = prepare("attributes", fit, test)
    assert [question.key for question in prepared.test] == ["t1", "t2"]
    assert prepared.skipped == {asked.SAME_IMAGE: 1, asked.BLIND: 1, asked.UNKNOWN: 2}
    assert len(prepared.test) + prepared.skipped.total() == len(test)
    assert prepared.new == [False, False]


def test_roles_are_new_by_relation_and_nouns_in_either_order() -> None:
    def role(key: str, subject: str, item: str, relation: str = "chase") -> Question:
        return about_roles(key, IMAGE, key, ("caption", "swap"), (subject, item), relation)

    nouns = [
        ("horse", "dog"),
        ("dog", "horse"),
        ("cat", "dog"),
        ("dog", "cat"),
        ("cat", "pig"),
        ("pig", "cat"),
    ]
    fit = [role(f"{i}{nouns}", *pair) for i in range(2) for pair in nouns]
    prepared = prepare("roles", fit, [role("t1", "dog", "horse"), role("t2", "horse", "dog"),
                                      role("t3", "horse", "cat"), role("t4", "cat", "horse")])  # fmt: skip
    assert dict(zip([q.key for q in prepared.test], prepared.new, strict=True)) == {
        "t1": False, "t2": False, "t3": True, "t4": True
    }  # fmt: skip
