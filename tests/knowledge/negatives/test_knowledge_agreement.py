"""What a swap changes around the phrases (verbs, pronouns), and what it must not tear apart."""

from __future__ import annotations

import pytest
from hand_graphs import graph

from knowclip.knowledge.negatives.generate import generate
from knowclip.knowledge.parsing.parsers import parse

pytest.importorskip("spacy")


def swaps(caption: str) -> set[str]:
    (graph,) = parse([caption])
    return {n.caption for n in generate(caption, graph, kinds=["relation_swap"])}


@pytest.mark.parametrize(
    ("caption", "swapped"),
    [
        # relative pronouns
        ("A man who is wearing a hat walks a dog", "A hat that is wearing a man walks a dog"),
        ("A woman who rides a horse is smiling", "A horse that rides a woman is smiling"),
        ("A ball hits a man who runs", "A man hits a ball that runs"),
        ("A wall on which a man sits", "A man on whom a wall sits"),
        # verbs, of the first phrase and behind the second
        ("A boy in dark blue clothes is kneeling.", "Dark blue clothes in a boy are kneeling."),
        ("A dog that chases two cats is brown", "Two cats that chase a dog are brown"),
        ("Two dogs run and chase a cat", "A cat runs and chases two dogs"),
        ("A dog runs, jumps and catches two balls.", "Two balls run, jump and catch a dog."),
        ("A man is skating down a set of stairs .", "A set of stairs is skating down a man ."),
        ("The boys hold and eat an apple", "An apple holds and eats the boys"),
        # pronouns of the place
        ("A boy looks at himself in a mirror", "A mirror looks at itself in a boy"),
        (
            "A black dog carries an orange ball in his mouth as he swims .",
            "An orange ball carries a black dog in its mouth as it swims .",
        ),
        (
            "A boy rides his skateboard across a pipe on a building .",
            "A building rides its skateboard across a pipe on a boy .",
        ),
        # capitals
        ("A BMX rider jumps over a white ramp", "A white ramp jumps over a BMX rider"),
        ("German shepherd jumps over a white ramp", "A white ramp jumps over German shepherd"),
        ("Two Africans in red shawls", "Red shawls in two Africans"),
    ],
)
def test_a_swap_agrees(caption: str, swapped: str) -> None:
    assert swapped in swaps(caption)


@pytest.mark.parametrize(
    ("caption", "swapped"),
    [
        ("A boy carrying a kite and feeding a goat.", {"A kite carrying a boy and feeding a goat."}),
        ("A child eating food and smiling at the camera .", set()),
        (
            "A man who wears a hat and rides a horse smiles",
            {"A hat that wears a man and rides a horse smiles"},
        ),
        ("A man and a woman on a bench", set()),
        ("A little girl and a boy sit on a bench", set()),
        ("A lady in blue jeans and a brown jacket", set()),
        ("A man in a hat at night", {"A hat in a man at night"}),
        ("Two people talk during a game", set()),
    ],
)  # fmt: skip
def test_no_half_of_a_coordination_and_no_time_changes_places(caption: str, swapped: set[str]) -> None:
    assert swaps(caption) == swapped


@pytest.mark.parametrize(
    ("caption", "torn"),
    [
        ("A man watches a dog chasing a cat and barking at a bird", "watches a man and barking"),
        ("A man in a hat while holding a cup", "while holding a man in a hat"),
        ("A girl in a dress but wearing boots", "but wearing a girl"),
        ("A dog with a stick and jumping over a log", "log and jumping"),
    ],
)
def test_what_is_said_behind_a_noun_is_moved_whole(caption: str, torn: str) -> None:
    assert not any(torn in text for text in swaps(caption))


@pytest.mark.parametrize(
    ("caption", "things", "swapped"),
    [
        ("A boy wears two hats, jumps and runs.", "", "Two hats wear a boy, jump and run."),
        ("A boy then jumps and wears two hats.", "", "Two hats then jump and wear a boy."),
        ("A boy wears two hats. Then, runs", "", "Two hats wear a boy. Then, runs"),
        ("A girl sits and sings. A boy wears two hats", "girl", "A girl sits and sings. Two hats wear a boy"),
        ("A boy wears two hats while a dog sits and barks", "dog",
         "Two hats wear a boy while a dog sits and barks"),
        ("A boy wears two hats as a dog sits and barks", "dog",
         "Two hats wear a boy as a dog sits and barks"),
        ("A boy wears two hats near a girl who sits and sings", "girl",
         "Two hats wear a boy near a girl who sits and sings"),
        ("A boy wears two hats near a girl and dogs", "girl dog",
         "Two hats wear a boy near a girl and dogs"),
        ("Two boys wear a hat, brown or red, and run.", "", "A hat wears two boys, brown or red, and runs."),
        ("Two boys wear a hat and can run.", "", "A hat wears two boys and can run."),
    ],
)  # fmt: skip
def test_further_verbs_of_the_first_phrase_agree(caption: str, things: str, swapped: str) -> None:
    """As far as its clause goes, and none of what is no verb there."""
    wears = "wears" if "wears" in caption else "wear"
    made = generate(caption, graph(caption, f"boy hat {things}", "", f"0 wear:{wears} 1"))
    assert [n.caption for n in made] == [swapped]


def made(caption: str, objects: str, relations: str, attributes: str = "") -> set[str]:
    return {n.caption for n in generate(caption, graph(caption, objects, attributes, relations))}


@pytest.mark.parametrize(
    ("caption", "objects", "relations", "swapped"),
    [
        # the verb of what stands there now, wherever it stands
        ("A boy behind two dogs happily runs", "boy dog", "0 behind 1",
         {"Two dogs behind a boy happily run"}),
        ("Two dogs behind a boy that is red", "dog boy", "0 behind 1",
         {"A boy behind two dogs that are red"}),
        ("A boy in white is holding two dogs", "boy dog", "0 hold:holding 1",
         {"Two dogs in white are holding a boy"}),
        ("A boy next to water holds two dogs", "boy dog", "0 hold:holds 1",
         {"Two dogs next to water hold a boy"}),
        ("There is a boy holding two dogs", "boy dog", "0 hold:holding 1",
         {"There are two dogs holding a boy"}),
        # not another's, nor one that moves along, nor what is no verb
        ("The winner is a dog carrying two sticks", "dog stick", "0 carry:carrying 1",
         {"The winner is two sticks carrying a dog"}),
        ("A boy sees two dogs. The boy holds a ball", "boy dog ball", "0 see:sees 1, 0 hold:holds 2",
         {"Two dogs see a boy. The boy holds a ball", "A boy sees two dogs. A ball holds the boy"}),
        ("A boy who holds a cup sees two dogs", "boy dog cup", "0 see:sees 1, 0 hold:holds 2",
         {"Two dogs see a boy who holds a cup", "A cup that holds a boy sees two dogs"}),
        ("Two boys down a hill", "boy hill", "0 down 1", {"A hill down two boys"}),
        ("Two boys want to hold a dog", "boy dog", "0 hold 1", {"A dog wants to hold two boys"}),
        # "a group of dogs" holds or hold
        ("Two boys hold a group of dogs", "boy dog", "0 hold 1", {"A group of dogs hold two boys"}),
        ("A boy holds a group of dogs", "boy dog", "0 hold:holds 1", {"A group of dogs holds a boy"}),
        ("A boy today is holding two dogs in a hat", "boy dog hat", "0 in 2, 0 hold:holding 1",
         {"Two dogs today are holding a boy in a hat", "A hat today is holding two dogs in a boy"}),
        # a claim of a thing that the caption does not name says nothing of the verb
        ("A boy sees two dogs and holds it", "boy dog ball", "0 see:sees 1, 0 hold:holds 2",
         {"Two dogs see a boy and hold it"}),
        # pronouns of neither stay; where no pronoun always may stand for a thing, nothing is swapped
        ("A man hands her a cup", "man cup", "0 hand:hands 1", {"A cup hands her a man"}),
        ("A girl hands her a cup as she runs", "girl cup", "0 hand:hands 1",
         {"A cup hands it a girl as it runs"}),
        # a possessive that stays may be of the other; what it is said of, in other places too, is open
        ("A girl holding her doll in her hand", "girl doll", "0 hold:holding 1",
         {"A doll holding her girl in her hand"}),
        ("A girl holding her doll in her hand as it runs", "girl doll", "0 hold:holding 1",
         {"A doll holding her girl in her hand as she runs"}),
        # a pronoun that moves along stays, and hides no other
        ("A boy in his hat holds a cup as he runs", "boy cup hat", "0 in 2, 0 hold:holds 1",
         {"A cup holds a boy in his hat as it runs", "A hat in his boy holds a cup as he runs"}),
        ("A man sees a boy whom he hits", "man boy", "0 see:sees 1", {"A boy sees a man whom he hits"}),
        # each of two
        ("A man who runs sees a dog which sits", "man dog", "0 see:sees 1",
         {"A dog that runs sees a man who sits"}),
        ("A boy holds a group of dogs as he runs", "boy dog", "0 hold:holds 1", set()),
    ],
)  # fmt: skip
def test_verbs_and_pronouns_around_two_phrases(
    caption: str, objects: str, relations: str, swapped: set[str]
) -> None:
    assert made(caption, objects, relations) == swapped


@pytest.mark.parametrize(
    ("caption", "swapped"),
    [
        ("A dog which runs sees a man", "A man who runs sees a dog"),
        ("A man who runs sees a dog", "A dog that runs sees a man"),
        ("A man that runs sees a dog", "A dog that runs sees a man"),
        ("A man, who runs, sees a dog", "A dog, which runs, sees a man"),
        ("A dog, which runs, sees a man", "A man, who runs, sees a dog"),
        ("A dog, who runs, sees a man", "A man, who runs, sees a dog"),
        ("A dog sees a man with whom he runs", "A man sees a dog with which he runs"),
        ("A man sees a dog with which he runs", "A dog sees a man with whom he runs"),
        ("A dog sees a man whom it hits", "A man sees a dog that he hits"),
        ("A dog sees a man, in red, who runs", "A man sees a dog, in red, who runs"),
        ("A dog sees a man with", "A man sees a dog with"),
    ],
)
def test_relative_pronouns_are_those_of_people_or_of_things(caption: str, swapped: str) -> None:
    assert made(
        caption, "dog man", "0 see:sees 1" if caption.index("dog") < caption.index("man") else "1 see:sees 0"
    ) == {swapped}


def test_a_verb_like_word_that_moves_along_is_no_verb() -> None:
    found = made(
        "Two doors that are tall and open hide a boy", "door boy", "0 hide 1", "0 tall:tall, 0 open:open"
    )
    assert found == {"A boy hides two doors that are tall and open"}
