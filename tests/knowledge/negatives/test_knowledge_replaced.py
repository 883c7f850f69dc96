"""What replaces an attribute or a relation, in which words, with all that is claimed then."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_graphs import graph

from knowclip.knowledge.negatives.falsity import Said
from knowclip.knowledge.negatives.generate import generate
from knowclip.knowledge.negatives.replacements import values_against
from knowclip.types import Negative, Relation, SceneGraph

DRAWS = range(40)


def made(kind: str, caption: str, of: SceneGraph, *others: str) -> list[list[Negative]]:
    """The negatives of one kind, of each of many draws."""
    said = Said([caption, *others], [of])
    return [generate(caption, of, kinds=[f"{kind}_replacement"], said=said, seed=seed) for seed in DRAWS]


def texts(kind: str, caption: str, of: SceneGraph, *others: str) -> set[str]:
    return {negative.caption for several in made(kind, caption, of, *others) for negative in several}


@pytest.mark.parametrize(
    ("name", "owner", "colours", "expected"),
    [
        ("brown", "car", 2, "red blue green yellow black white"),
        ("brown", "dog", 1, "black white"),
        ("brown", "duck", 1, "black white"),
        ("brown", "hair", 1, "black white"),
        ("brown", "dog", 2, ""),
        ("brown", "duck", 2, ""),
        ("brown", "fur", 2, ""),
        ("red", "boy", 1, "blue green yellow brown black white"),
        ("little", "boy", 1, ""),
        ("tall", "child", 1, ""),
        ("tall", "tower", 1, "short"),
        ("three", "dog", 1, "four five six"),
        ("old", "car", 1, "new"),
        ("old", "man", 1, "young"),
        ("old", "dog", 1, "young"),
        ("old", "crew", 1, "young"),
        ("young", "car", 1, "old"),
    ],
)
def test_values_exclude_an_attribute_of_such_a_thing(name, owner, colours, expected) -> None:
    assert values_against(name, owner=owner, colours=colours) == tuple(expected.split())


@pytest.mark.parametrize(
    ("caption", "attribute", "values"),
    [
        ("a dog sleeping", "sleeping",
         "sitting standing walking running swimming climbing crawling dancing kneeling"),
        ("a dog sleeping quietly", "sleeping",
         "sitting standing walking running swimming climbing crawling dancing kneeling"),
        ("a dog sleeping and snoring", "sleeping",
         "sitting standing walking running swimming climbing crawling dancing kneeling"),
        ("a dog sleeping, snoring", "sleeping",
         "sitting standing walking running swimming climbing crawling dancing kneeling"),
        # as people say them with this preposition
        ("a dog sleeping on it", "sleeping", "sitting standing walking running kneeling"),
        ("a dog swimming under it", "swimming", "sitting lying standing walking"),
        ("a dog climbing stairs", "climbing", ""),  # not what the graph says
    ],
)  # fmt: skip
def test_other_actions_stand_where_they_are_said(caption, attribute, values) -> None:
    of = graph(caption, "dog", f"0 {attribute}:{attribute}")
    assert texts("attribute", caption, of) == {caption.replace(attribute, v) for v in values.split()}


def test_a_replaced_attribute_is_claimed_in_its_place_beside_all_others() -> None:
    caption = "a tall man and a wet, closed gate by a boy"
    of = graph(caption, "man gate boy", "0 tall, 1 wet:wet, 1 closed", "1 by:by 2")
    for several in made("attribute", caption, of):
        assert {(n.caption, n.graph) for n in several} == {
            (new, graph(new, "man gate boy", attributes, "1 by:by 2"))
            for new, attributes in (
                ("a short man and a wet, closed gate by a boy", "0 short, 1 wet:wet, 1 closed"),
                ("a tall man and a dry, closed gate by a boy", "0 tall, 1 dry:dry, 1 closed"),
                ("a tall man and a wet, open gate by a boy", "0 tall, 1 wet:wet, 1 open"),
            )
        }


def test_attributes_without_a_place_of_people_or_said_elsewhere_hide_no_other() -> None:
    caption = "a black man, a curly mane"
    of = graph(caption, "man mane", "0 big, 0 black, 1 curly")
    found = made("attribute", caption, of, "a bald man opens a gate")
    assert [[n.caption for n in several] for several in found] == [["a black man, a straight mane"]] * len(
        DRAWS
    )


@pytest.mark.parametrize("other", ["an open gate", "a man opens a gate"])
def test_a_value_that_is_said_or_done_elsewhere_replaces_none(other: str) -> None:
    caption = "a closed gate"
    of = graph(caption, "gate", "0 closed")
    assert texts("attribute", caption, of) == {"an open gate"}
    assert texts("attribute", caption, of, other) == set()


@pytest.mark.parametrize(
    ("caption", "things", "relations", "expected"),
    [
        # prepositions
        ("a cat under tables", "cat table", "0 under 1", {"a cat on top of tables"}),
        ("a cat off a table", "cat table", "0 off 1", {"a cat onto a table"}),
        ("a cat off its table", "cat table", "0 off 1", {"a cat onto its table"}),
        ("a cat looking off tables", "cat table", "0 look off:looking off 1", set()),
        ("a man in a hat and a car", "man hat car", "0 in:in 1, 0 in:in 2",
         {"a man without a hat and a car"}),
        ("a man in a hat and no coat", "man hat", "0 in 1", set()),
        ("a man with no coat in a hat", "man hat", "0 in 1",
         {"a man with a coat in a hat"}),
        ("a cat far from a dog", "cat dog", "0 far from 1", set()),
        # verbs
        ("a man plays a guitar", "man guitar", "0 play:plays 1",
         {"a man repairs a guitar", "a man breaks a guitar"}),
        ("a man plays a ball", "man ball", "0 play:plays 1", set()),
        ("a man sits under a bench", "man bench", "0 sit under:sits under 1",
         {"a man lies under a bench", "a man stands under a bench", "a man walks under a bench",
          "a man sits on top of a bench"}),
        ("a man sits with a dog", "man dog", "0 sit with:sits with 1",
         {"a man lies with a dog", "a man stands with a dog", "a man walks with a dog"}),
        ("a dog chewing on a bone", "dog bone", "0 chew on:chewing on 1", set()),
        ("people are gathered at a bar", "people bar", "0 gather at:gathered at 1", set()),
        ("people gathered at a bar", "people bar", "0 gather at:gathered at 1", {"people walked at a bar"}),
        ("a cat chased by a dog", "dog cat", "0 chase:chased by 1",
         {"a cat carried by a dog", "a cat licked by a dog"}),
        # words that are not those of the name, or no words
        ("a dog chases after a cat", "dog cat", "0 chase:chases after 1", set()),
        ("a dog hunts a cat", "dog cat", "0 chase:hunts 1", set()),
        ("a dog unlicks a cat", "dog cat", "0 lick:licks 1", set()),
        ("a man washing no shirt", "man shirt", "0 wash:washing 1", set()),
        # such a relation hides no other
        ("a dog licks a cat under a bed", "dog cat bed", "0 see 1, 0 hunt:licks 1, 1 under 2",
         {"a dog licks a cat on top of a bed"}),
        ("a cat under tables washing no shirt", "cat table shirt", "0 wash:washing 2, 0 under 1",
         {"a cat on top of tables washing no shirt"}),
    ],
)  # fmt: skip
def test_other_relations_in_the_words_of_the_caption(caption, things, relations, expected) -> None:
    assert texts("relation", caption, graph(caption, things, "", relations)) == expected


def test_relations_of_one_verb_change_together_and_no_others() -> None:
    """What shares the verb that is replaced; not the same verb elsewhere, nor one that nothing states."""
    caption = "a man sits at a desk by a bed and a boy sits at a tv"

    of = graph(caption, "man desk bed boy tv")
    relations = (
        Relation(0, "sit at", 1, (6, 13)),
        Relation(0, "sit by", 2, (6, 23)),
        Relation(3, "sit at", 4, (40, 47)),
        Relation(0, "sit near", 3),
    )
    found = made("relation", caption, replace(of, relations=relations))
    claimed = {n.caption: n.graph.relations for several in found for n in several if n.graph}
    assert claimed["a man stands at a desk by a bed and a boy sits at a tv"] == (
        Relation(0, "stand at", 1, (6, 15)),
        Relation(0, "stand by", 2, (6, 25)),
        Relation(3, "sit at", 4, (42, 49)),
        Relation(0, "sit near", 3),
    )
    assert claimed["a man sits at a desk by a bed and a boy stands at a tv"] == (
        *relations[:2],
        Relation(3, "stand at", 4, (40, 49)),
        relations[3],
    )
