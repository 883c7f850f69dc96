"""What a pronoun may refer to, and its form once that is something else."""

from __future__ import annotations

import pytest
from hand_graphs import layout

from knowclip.knowledge.negatives.caption_editing import Edited
from knowclip.knowledge.negatives.mentions import Layout
from knowclip.knowledge.negatives.pronouns import agreements, gender, referents, turned
from knowclip.types import SceneGraph, SceneObject


@pytest.mark.parametrize(
    ("said", "nouns"),
    [
        ("masculine", "man boy father dad son groom"),
        ("feminine", "woman girl mother mom daughter bride"),
        (None, "skier nurse person dog car xyzzy"),
    ],
)
def test_gender_is_said_by_the_nouns_of_men_and_of_women(said: str | None, nouns: str) -> None:
    assert {noun: gender(noun) for noun in nouns.split()} == dict.fromkeys(nouns.split(), said)


PLURAL, NEUTER = {"plural"}, {"neuter"}


@pytest.mark.parametrize(
    ("caption", "noun", "allowed", "preferred"),
    [
        ("a boy", "boy", {"masculine"}, "masculine"),
        ("a bride", "bride", {"feminine"}, "feminine"),
        ("a skier", "skier", {"masculine", "feminine", "plural"}, "plural"),
        ("a dog", "dog", {"masculine", "feminine", "neuter"}, "neuter"),
        ("a car", "car", NEUTER, "neuter"),
        ("a zzz kite", "zzz_kite", NEUTER, "neuter"),  # known by its last word
        ("a dirtbike", "dirtbike", NEUTER, "neuter"),  # by our lists alone
        ("two boys", "boy", PLURAL, "plural"),
        ("a couple of boys", "boy", PLURAL, "plural"),
        ("a group of boys", "boy", PLURAL | NEUTER, None),
        ("a xyzzy", "xyzzy", {"masculine", "feminine", "neuter", "plural"}, None),
    ],
)
def test_the_pronouns_that_may_stand_for_a_thing(
    caption: str, noun: str, allowed: set[str], preferred: str | None
) -> None:
    read = layout(caption, noun)
    assert agreements(read, 0, read.mentions[0][0]) == (allowed, preferred)


@pytest.mark.parametrize(
    ("caption", "objects", "pronoun", "expected"),
    [
        ("a man throws a stick to a dog and he runs", "man stick dog", "he", ["man"]),
        ("a dog chews a stick and she runs", "dog stick", "she", ["dog"]),
        ("a boy helps a man with his hat", "boy man hat", "his", ["boy", "man"]),
        ("in his hat a man sits by a boy", "hat man boy", "his", ["man", "boy"]),
        ("a man sees his dog and a boy", "man dog boy", "his", ["man"]),
        ("a dog and a car as it rains", "dog car", "it", ["dog", "car"]),
        ("a skier with their dogs", "skier dog", "their", ["skier"]),
        ("a girl in her hat sees a skier", "girl hat skier", "her", ["girl"]),
        ("a car in their street", "car street", "their", []),
        ("a car near it", "car it", "it", ["car"]),  # "it" itself is not named before it
    ],
)
def test_pronouns_refer_to_what_agrees_people_first_and_to_what_is_named_before_them(
    caption: str, objects: str, pronoun: str, expected: list[str]
) -> None:
    read = layout(caption, objects)
    found = referents(read, read.words.index(pronoun))
    assert [read.graph.objects[item].name for item in found] == expected


def test_a_thing_is_named_before_a_pronoun_within_its_name_and_one_without_a_place_is_not_named() -> None:
    caption = "a car by a house in its yard"
    objects = (SceneObject("car", (2, 5)), SceneObject("house in its yard", (11, 28)), SceneObject("yard"))
    read = Layout(caption, SceneGraph(objects))
    assert referents(read, read.words.index("its")) == [0, 1]


@pytest.mark.parametrize(
    ("caption", "pronoun", "kind", "expected"),
    [
        ("a boy hurts himself", "himself", "neuter", "a boy hurts itself"),
        ("He runs", "he", "plural", "They run"),
        ("as they run", "they", "feminine", "as she runs"),
        ("as he runs", "he", "feminine", "as she runs"),
        ("as he is red", "he", "plural", "as they are red"),
        ("as he ran", "he", "plural", "as they ran"),
        ("as he can fish", "he", "plural", "as they can fish"),
        ("as he does run", "he", "plural", "as they do run"),
        ("as they do run", "they", "neuter", "as it does run"),
        ("a dog sees him run", "him", "plural", "a dog sees them run"),
        # "it" is a subject before a verb that shows it, and then may refer to nothing
        ("a dog sees it", "it", "masculine", "a dog sees him"),
        ("as it runs", "it", "masculine", "as he runs"),
        ("as it runs", "it", "plural", "as they run"),
        ("a dog sees it, runs", "it", "plural", "a dog sees them, runs"),
        ("a dog has it run", "it", "plural", "a dog has them run"),
        ("as it is raining", "it", "plural", "as it is raining"),
        ("as it were", "it", "masculine", "as it were"),
        ("as it looks", "it", "masculine", "as it looks"),
        # "her" is a determiner before what may be a noun
        ("a dog with her hat", "her", "masculine", "a dog with his hat"),
        ("a dog with her 2 hats", "her", "plural", "a dog with their 2 hats"),
        ("a dog with her", "her", "masculine", "a dog with him"),
        ("a dog with her, running", "her", "masculine", "a dog with him, running"),
        ("a dog hands her a hat", "her", "masculine", "a dog hands him a hat"),
        ("a dog sees them run", "them", "masculine", "a dog sees him run"),
        ("a dog with her in a hat", "her", "neuter", "a dog with it in a hat"),
        ("a dog with her and a cat", "her", "plural", "a dog with them and a cat"),
        ("a dog with his hat", "his", "feminine", "a dog with her hat"),
    ],
)
def test_a_turned_pronoun_keeps_its_case_and_its_verb_agrees(
    caption: str, pronoun: str, kind: str, expected: str
) -> None:
    read = layout(caption, "")
    assert Edited(caption, turned(read, read.words.index(pronoun), kind)).text == expected  # type: ignore[arg-type]
