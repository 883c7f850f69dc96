"""What is made of a caption, how much of it, in which order, and with which claims."""

from __future__ import annotations

import pytest
from hand_graphs import graph

from knowclip.knowledge.negatives import generate as module
from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.generate import SEMANTIC, SWAPS, generate
from knowclip.types import Attribute, Negative, Relation, SceneGraph, SceneObject

CAPTION = "a red dog chases a blue cat"
CHASE = graph(CAPTION, "dog cat", "0 red, 1 blue", "0 chase:chases 1")


def test_a_negative_has_its_claims_where_they_stand_now_and_boxes_stay() -> None:
    caption = "a man by an old dog that licks a cat, 3 owls"
    things = (
        SceneObject("man", (2, 5), (1, 2, 3, 4)),
        SceneObject("dog", (16, 19), (5, 6, 7, 8)),
        SceneObject("cat", (33, 36), (9, 9, 9, 9)),
        SceneObject("owl", (40, 44), (0, 0, 1, 1)),
        SceneObject("sky", None, (2, 2, 2, 2)),
    )
    attributes = (Attribute(0, "tall", (2, 5)), Attribute(1, "old", (12, 15)), Attribute(4, "blue"))
    relations = (Relation(0, "by", 1, (6, 8)), Relation(1, "lick", 2, (25, 30)), Relation(4, "over", 0))
    (swap,) = generate(caption, SceneGraph(things, attributes, relations), kinds=["relation_swap"], seed=4)
    assert swap == Negative(
        "a man by a cat that licks an old dog, 3 owls",
        "relation_swap",
        ((9, 14), (26, 36)),
        SceneGraph(
            (
                things[0],
                SceneObject("dog", (33, 36), (5, 6, 7, 8)),
                SceneObject("cat", (11, 14), (9, 9, 9, 9)),
                SceneObject("owl", (40, 44), (0, 0, 1, 1)),
                things[4],
            ),
            (attributes[0], Attribute(1, "old", (29, 32)), attributes[2]),
            (Relation(0, "by", 2, (6, 8)), Relation(2, "lick", 1, (20, 25)), relations[2]),
        ),
        4,
    )


def test_by_default_the_swaps_of_the_paper_are_made_by_the_seed_0_beside_the_caption_alone() -> None:
    found = generate(CAPTION, CHASE)
    assert {n.kind for n in found} == set(SWAPS) and {n.seed for n in found} == {0}
    assert {n.caption for n in found} == {"a blue cat chases a red dog", "a blue dog chases a red cat"}
    assert found == generate(CAPTION, CHASE, kinds=SWAPS, said=Said([CAPTION], [CHASE]), seed=0)
    # what its own graph names in other words than the caption's is said as well
    fork = graph("a fork", "fork spoon")
    assert [n.caption for n in generate("a fork", fork, kinds=["object_replacement"])] == ["a knife"]


def test_a_kind_that_is_not_known_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError) as refused:
        generate("a dog", SceneGraph(), kinds=["shuffle", "swaps", "x"])
    assert str(refused.value) == (
        "unknown kind of negative 'swaps': choose from relation_swap, attribute_swap, object_replacement, "
        "attribute_replacement, relation_replacement, shuffle"
    )


def test_each_text_is_made_once_and_the_draws_differ_by_seed_and_caption() -> None:
    twice = generate(CAPTION, CHASE, kinds=["relation_swap", "relation_swap"])
    assert [n.caption for n in twice] == ["a blue cat chases a red dog"]
    orders = {tuple(n.kind for n in generate(CAPTION, CHASE, seed=seed)) for seed in range(9)}
    assert orders == {SWAPS, SWAPS[::-1]}
    texts = [f"{CAPTION}, {n}" for n in range(9)]
    assert {tuple(n.kind for n in generate(text, CHASE)) for text in texts} == orders
    full = generate(CAPTION, CHASE, kinds=SEMANTIC)
    assert len({n.caption for n in full}) == len(full) > 6


def test_a_claim_that_a_graph_makes_twice_is_changed_to_each_text_once() -> None:
    twice = SceneGraph(CHASE.objects, (CHASE.attributes[0],) * 2)
    for seed in range(20):
        made = [n.caption for n in generate(CAPTION, twice, kinds=["attribute_replacement"], seed=seed)]
        assert len(set(made)) == len(made) > 1


def test_what_an_image_says_in_other_forms_is_no_negative() -> None:
    for other in ("A blue cats chasing a red dog!", "a blue cat CHASED a red dogs"):
        found = generate(CAPTION, CHASE, said=Said([CAPTION, other], [CHASE]))
        assert [n.caption for n in found] == ["a blue dog chases a red cat"]


def test_most_negatives_and_most_candidates_of_a_kind_bound_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    caption = "a dog chases a cat. a hen sees an owl. a cow licks a pig"
    pairs = "0 chase:chases 1, 2 see:sees 3, 4 lick:licks 5"
    of = graph(caption, "dog cat hen owl cow pig", "", pairs)
    full = generate(caption, of)
    assert len(full) == 3
    monkeypatch.setattr(module, "MAX_NEGATIVES", 2)
    assert generate(caption, of) == full[:2]
    monkeypatch.setattr(module, "MAX_NEGATIVES", 64)
    monkeypatch.setattr(module, "_MAX_CANDIDATES", 1)
    assert [n.caption for n in generate(caption, of)] == [
        "a cat chases a dog. a hen sees an owl. a cow licks a pig"
    ]
    assert {n.kind for n in generate(CAPTION, CHASE)} == set(SWAPS)


@pytest.mark.parametrize(
    ("caption", "things", "attributes", "relations", "others", "swaps"),
    [
        # of words of one meaning: nothing else is stated then, and yet another thing is claimed
        ("a red puppy by a blue dog", "puppy dog", "0 red, 1 blue", "", [], 1),
        ("a dog sees a cat", "dog cat", "", "0 see:sees 1", ["a kitten sees a puppy"], 0),
        ("a dog sees a cat", "dog cat", "", "0 see:sees 1", ["a kitten sees a cow"], 1),
        ("a red dog by a tan cat", "dog cat", "0 red, 1 tan", "", ["a tan puppy"], 0),
    ],
)  # fmt: skip
def test_a_swap_that_may_be_true_is_none(caption, things, attributes, relations, others, swaps) -> None:
    of = graph(caption, things, attributes, relations)
    told = {
        "a kitten sees a puppy": graph("a kitten sees a puppy", "kitten puppy", "", "0 see:sees 1"),
        "a kitten sees a cow": graph("a kitten sees a cow", "kitten cow", "", "0 see:sees 1"),
        "a tan puppy": graph("a tan puppy", "puppy", "0 tan"),
    }
    said = Said([caption, *others], [of, *(told[other] for other in others)])
    assert len(generate(caption, of, said=said)) == swaps


def test_a_swap_that_may_be_true_hides_no_other() -> None:
    other = graph("a kitten chases a puppy", "kitten puppy", "", "0 chase:chases 1")
    said = Said([CAPTION, "a kitten chases a puppy"], [CHASE, other])
    for seed in range(9):
        found = generate(CAPTION, CHASE, said=said, seed=seed)
        assert [n.caption for n in found] == ["a blue dog chases a red cat"]


def test_what_is_denied_stays_in_every_kind_but_a_shuffle() -> None:
    caption = "a dog without a collar chases a red cat"
    of = graph(caption, "dog collar cat", "2 red", "0 without 1, 0 chase:chases 2")
    for seed in range(9):
        found = generate(caption, of, kinds=SEMANTIC, seed=seed)
        assert {n.caption for n in found if "without a collar" not in n.caption} == {
            "a dog with a collar chases a red cat"
        }
        assert "a red cat chases a dog without a collar" in {n.caption for n in found}
        shuffled = generate(caption, of, kinds=["shuffle"], seed=seed)
        assert len(shuffled) == 4 and all(n.graph is None for n in shuffled)
