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
        ("a dog with a hen who sees a dog and a winter sees a cat", "dog hen winter cat",
         "0 with 1, 2 see:sees 1, 0 see:sees a dog 0, 0 chase:sees a cat 3, 1 see 3, 0 see 3", set()),
        ("a dog near a hen chases a cat", "dog hen cat", "0 near 1, 0 chase:chases 2",
         {"a cat chases a dog near a hen"}),
        ("a dog sees the winter on a hen", "dog winter hen", "0 see:sees 1, 0 on 2",
         {"a hen sees the winter on a dog"}),
    ],
)  # fmt: skip
def test_only_what_becomes_false_changes_places(caption, things, relations, expected) -> None:
    made = generate(caption, graph(caption, things, "", relations), kinds=["relation_swap"])
    assert {n.caption for n in made} == expected
