"""Which relations and attributes may change places, worked by hand."""

from __future__ import annotations

import pytest
from hand_graphs import graph

from knowclip.knowledge.negatives.generate import generate
from knowclip.knowledge.negatives.swaps import dimension_of, is_no_thing, is_turned


@pytest.mark.parametrize(
    ("asked", "true", "false"),
    [
        (is_no_thing, "green|green apple|winter|cold winter|left side", "dog|winter coat|apple green|"),
        (is_turned, "on|chase|sit on|in front of|dress|talk|with him|as big",
         "of|have|with|next to|stand next to|on the side of|dress in"
         "|run during|sit as|go without|shake hand"),
    ],
)  # fmt: skip
def test_what_has_nothing_done_to_it_and_what_holds_both_ways(asked, true, false) -> None:
    assert [name for name in true.split("|") if not asked(name)] == []
    assert [name for name in false.split("|") if asked(name)] == []


def test_a_value_is_of_a_dimension_and_equal_for_synonyms() -> None:
    big = "big large huge giant enormous great massive oversized"
    dimensions = {
        "red": ("colour", "red"), "dark grey": ("colour", "dark gray grey"), "large": ("size", big),
        "three": ("count", "3"), "running": ("action", "running"), "wet": ("water", "wet"),
        "dark": ("colour", "dark"), "crying": ("mood", "crying"), "fierce": ("", "fierce"), "": ("", ""),
        "very fierce": ("", "very fierce"),
    }  # fmt: skip
    assert {attribute: dimension_of(attribute) for attribute in dimensions} == dimensions


@pytest.mark.parametrize(
    ("caption", "things", "relations", "expected"),
    [
        ("a dog chases a cat", "dog cat", "0 chase:chases 1", {"a cat chases a dog"}),
        ("a dog eats a hot dog", "dog hot_dog", "0 eat:eats 1", set()),
        ("a dog eats hot food", "dog food", "0 Next To:eats 1", set()),
        ("a dog sees the winter", "dog winter", "0 see:sees 1", set()),
        ("the winter sees a dog", "winter dog", "0 see:sees 1", set()),
        ("a dog chases a cat and a hen", "dog cat hen", "0 chase:chases 1, 0 chase:chases 2", set()),
        ("a dog chases a cat. a dog chases a cat", "dog cat", "0 chase:chases 1, 0 chase:chases a 1", set()),
        ("a dog chases a cat who chases it", "dog cat", "0 Chase:chases a 1, 1 chase:chases it 0", set()),
        # what may not be swapped hides no other
        ("a dog near a hen chases a cat", "dog hen cat", "0 near 1, 0 chase:chases 2",
         {"a cat chases a dog near a hen"}),
        ("a dog eats a hot dog and a hen sees an owl", "dog hot_dog hen owl", "0 eat:eats 1, 2 see:sees 3",
         {"a dog eats a hot dog and an owl sees a hen"}),
        ("a dog sees a cat. a dog sees a cat. a hen licks an owl", "dog cat hen owl",
         "0 see:sees 1, 0 see:sees a 1, 2 lick:licks 3",
         {"a dog sees a cat. a dog sees a cat. an owl licks a hen"}),
        # nor what is part of a longer phrase, or may be a verb
        ("a man sees a fruit market", "man market fruit", "0 see:sees 1", set()),
        ("a dog chases jumps", "dog jump", "0 chase:chases 1", set()),
        ("a group of dogs runs", "group dog", "0 run:runs 1", set()),
        ("a man wearing a hat", "man hat", "0 wear:man wearing 1", set()),
        # possessives stay where they are
        ("a girl holding her dolls", "girl doll", "0 hold:holding 1", set()),
        ("girls holding their dolls", "girl doll", "0 hold:holding 1", set()),
        ("her doll holding the girl", "doll girl", "0 hold:holding 1", {"its girl holding the doll"}),
        # two relations of one verb; a relation before what it relates; sentences
        ("a man sitting at a desk under a tv", "man desk tv",
         "0 sit at:sitting at 1, 0 sit under:sitting at a desk under 2",
         {"a tv sitting at a desk under a man", "a desk sitting at a man under a tv"}),
        ("On a table by a cat", "table cat", "1 on:On 0, 0 by:by 1", {"On a cat by a table"}),
        ("a man rides a horse, a dog licks", "man horse dog", "0 ride:rides 1, 2 lick:licks 0",
         {"a dog rides a horse, a man licks", "a horse rides a man, a dog licks"}),
        ("The cat sees. Dog sits", "cat dog", "0 see:sees 1", {"Dog sees. The cat sits"}),
        ("a man rides a horse and a dog licks a cat", "man horse dog cat", "0 ride:rides 1, 2 lick:licks 3",
         {"a horse rides a man and a dog licks a cat", "a man rides a horse and a cat licks a dog"}),
        # no half of what is coordinated
        ("a boy in a hat and boots sees a dog", "boy hat dog", "0 in 1, 0 see:sees 2",
         {"a hat in a boy and boots sees a dog"}),
        ("a boy in a hat, and boots, sees a dog", "boy hat dog", "0 in 1, 0 see:sees 2",
         {"a hat in a boy, and boots, sees a dog"}),
        ("the cow that the man in a hat and boots is riding", "cow man hat", "1 in 2, 1 ride:riding 0",
         {"the cow that a hat in the man and boots is riding"}),
        ("a man sees a dog in a hat and with a ball", "man dog hat", "1 in 2, 0 see:sees 1",
         {"a man sees a hat in a dog and with a ball"}),
        ("a man sees a dog in a hat and runs", "man dog hat", "1 in 2, 0 see:sees 1",
         {"a man sees a hat in a dog and runs", "a dog in a hat sees a man and runs"}),
        ("a man sees a dog in a hat and running", "man dog hat", "1 in 2, 0 see:sees 1",
         {"a man sees a hat in a dog and running", "a dog in a hat sees a man and running"}),
        ("a man sees a dog wearing a hat and runs", "man dog hat", "1 wear:wearing 2, 0 see:sees 1",
         {"a man sees a hat wearing a dog and runs", "a dog wearing a hat sees a man and runs"}),
        ("a man sees a dog wearing a hat and dressed in red", "man dog hat", "1 wear:wearing 2, 0 see:sees 1",
         {"a man sees a hat wearing a dog and dressed in red"}),
        ("a man sees a dog kissed by a hen and barking", "man dog hen", "1 kiss by:kissed by 2, 0 see:sees 1",
         set()),
    ],
)  # fmt: skip
def test_only_what_becomes_false_changes_places(caption, things, relations, expected) -> None:
    made = generate(caption, graph(caption, things, "", relations), kinds=["relation_swap"])
    assert {n.caption for n in made} == expected


def test_a_phrase_before_the_other_moves_with_what_is_said_behind_it() -> None:
    caption = "On a table that is red is a cat"
    of = graph(caption, "table cat", "0 red:red", "1 on:On 0")
    assert [n.caption for n in generate(caption, of)] == ["On a cat is a table that is red"]


def test_claims_outside_the_phrases_are_of_what_stands_there_now_and_those_inside_move() -> None:
    caption = "the man near a hat chasing a cat on a mat is tall"
    of = graph(caption, "man hat cat mat", "0 tall:tall", "0 near 1, 0 chase:chasing 2, 0 on 3")
    found = {n.caption: n.graph for n in generate(caption, of, kinds=["relation_swap"])}
    swapped = "a cat chasing the man near a hat on a mat is tall"
    claimed = "0 near 1, 2 chase:chasing 0, 2 on:on 3"
    assert found[swapped] == graph(swapped, "man hat cat mat", "2 tall:tall", claimed)


@pytest.mark.parametrize(
    ("caption", "things", "attributes", "expected"),
    [
        ("a red dog, a blue cat", "dog cat", "0 red, 1 blue", {"a blue dog, a red cat"}),
        ("Red cats sit. Blue dogs sit", "cat dog", "0 red, 1 blue", {"Blue cats sit. Red dogs sit"}),
        ("a red dog, a red cat", "dog cat", "0 red:red, 1 red:red cat", set()),
        ("a red dog", "dog", "0 red", set()),
        # of the same name, of people, or before what belongs to it: it hides no other
        ("a red dog, a blue puppy, a tan cat", "dog dog:puppy cat", "0 red, 1 blue:blue, 2 tan",
         {"a tan dog, a blue puppy, a red cat", "a red dog, a tan puppy, a blue cat"}),
        ("a black man, a red hat, a blue car", "man hat car", "0 black, 1 red, 2 blue",
         {"a black man, a blue hat, a red car"}),
        ("a dog running to a cat sleeping, an owl eating", "dog cat owl",
         "0 running:running, 1 sleeping:sleeping, 2 eating:eating",
         {"a dog running to a cat eating, an owl sleeping"}),
        ("a hat that is red on a car that is blue", "hat car", "0 red:red, 1 blue:blue",
         {"a hat that is blue on a car that is red"}),
    ],
)  # fmt: skip
def test_attributes_of_one_dimension_change_places(caption, things, attributes, expected) -> None:
    of = graph(caption, things, attributes)
    assert {n.caption for n in generate(caption, of, kinds=["attribute_swap"])} == expected


def test_swapped_attributes_are_claimed_of_each_other_where_they_stand_now() -> None:
    caption = "a red dog by a blue cat"
    (swap,) = generate(
        caption, graph(caption, "dog cat", "0 red, 1 blue", "0 by 1"), kinds=["attribute_swap"]
    )
    claimed = graph(swap.caption, "dog cat", "1 red, 0 blue", "0 by 1")
    assert (swap.caption, swap.graph) == ("a blue dog by a red cat", claimed)
