"""What a text denies, by its words alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowclip.knowledge.parsing.negation import is_negated, negations
from knowclip.knowledge.parsing.negation_cues import _CUES, may_deny
from knowclip.knowledge.parsing.parsers import parse


@pytest.mark.parametrize(
    ("text", "cue", "denied", "scope"),
    [
        ("A man who is not wearing a hat walks a dog", "not", "wearing a hat", "wearing a hat"),
        ("An empty street with no cars", "no", "cars", "cars"),
        ("A boy without a helmet rides a bike", "without", "a helmet", "a helmet"),
        ("A boy without a helmet riding a bike", "without", "a helmet", "a helmet"),
        ("A man w/o a hat holds a cup", "w/o", "a hat", "a hat"),
        ("There are no dogs on the beach", "no", "dogs", "dogs on the beach"),
        ("No one is riding a horse", "No one", "No one is riding a horse", "No one is riding a horse"),
        ("A bike with no-one riding it.", "no-one", "no-one riding it", "no-one riding it"),
        ("A man isn\u2019t riding a horse, he walks", "n\u2019t", "riding a horse", "riding a horse"),
        ("A man isnt riding a horse but walking it", "nt", "riding a horse", "riding a horse"),
        ("A man cannot see the dog", "not", "see the dog", "see the dog"),
        ("A dog no longer running", "no longer", "running", "running"),
        ("a street free of cars", "free of", "cars", "cars"),
        ("Hardly any people on the beach", "Hardly any", "people", "people on the beach"),
        ("A car missing a wheel", "missing a", "wheel", "wheel"),
        ("a road with no cars and a dog", "no", "cars", "cars"),
        ("A man fails to catch a ball and runs", "fails to", "catch a ball", "catch a ball"),
        ("A boy refusing to eat a carrot", "refusing to", "eat a carrot", "eat a carrot"),
    ],
)
def test_how_far_a_denial_reaches(text: str, cue: str, denied: str, scope: str) -> None:
    (found,) = negations(text)
    assert [text[slice(*s)] for s in (found.cue, found.denied, found.scope)] == [cue, denied, scope]


def test_no_cue_gets_past_the_quick_check() -> None:
    phrases = [phrase for table in _CUES.values() for found in table.values() for phrase in found]
    assert len(phrases) > 60
    assert [phrase for phrase in phrases if not may_deny(" ".join(phrase))] == []
    assert may_deny("It ISN\u2019T") and may_deny("(no)") and not may_deny("A knot in a note")


def test_neither_and_nor_deny_both() -> None:
    text = "There is neither a table nor a chair in the room"
    assert [text[slice(*n.cue)] for n in negations(text)] == ["neither", "nor"]
    assert is_negated(text, (19, 24)) and is_negated(text, (31, 36))


@pytest.mark.parametrize(
    "text",
    [
        "a no parking sign hangs on a pole", "a no-slip mat", "The jersey says no. 5", "number no 5",
        "A woman presses the Do Not Walk button", "Not only a dog but also a cat",
        "No fewer than three dogs run",
        "He wears nothing but shorts", "A shirtless man", "A knot in a note", "a dog and a cat", "",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_denial(text: str) -> None:
    assert negations(text) == ()


def test_a_span_is_denied_where_it_touches_cue_or_scope() -> None:
    text = "A boy without a helmet rides a bike"
    assert is_negated(text, (6, 13)) and is_negated(text, (16, 22))
    assert not is_negated(text, (2, 5)) and not is_negated(text, (23, 28)) and not is_negated(text, (31, 35))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(
    "no not n't without nobody neither nor a dog cars , . - one with lack of riding the is 5 w/o and".split()
), max_size=12).map(" ".join))  # fmt: skip
def test_spans_lie_in_the_text(text: str) -> None:
    for found in negations(text):
        for start, end in (found.cue, found.denied, found.scope):
            assert 0 <= start < end <= len(text)
        assert found.scope[0] <= found.denied[0] and found.denied[1] <= found.scope[1]


def graph(caption: str) -> tuple[list[str], set[tuple[str, str]], set[tuple[str, str, str]]]:
    """Objects, attributes and relations that the spaCy parser reads in a caption."""
    pytest.importorskip("spacy")
    (found,) = parse([caption])
    names = [item.name for item in found.objects]
    return (
        names,
        {(names[a.object], a.name) for a in found.attributes},
        {(names[r.subject], r.name, names[r.object]) for r in found.relations},
    )


GRAPHS = [
    ("A man who is not wearing a hat walks a dog", ["man", "dog"], set(), {("man", "walk", "dog")}),
    ("A man who never wears a hat rides a bike", ["man", "bike"], set(), {("man", "ride", "bike")}),
    ("An empty street with no cars", ["street"], {("street", "empty")}, set()),
    ("A boy without a helmet rides a bike", ["boy", "bike"], set(), {("boy", "ride", "bike")}),
    ("A boy without a helmet riding a bike", ["boy", "bike"], set(), {("boy", "ride", "bike")}),
    ("A boy w/o a helmet rides a bike", ["boy", "bike"], set(), {("boy", "ride", "bike")}),
    ("A woman without shoes dancing in the street", ["woman", "street"], set(),
     {("woman", "dance in", "street")}),
    ("A man wearing no shirt climbs a rock .", ["man", "rock"], set(), {("man", "climb", "rock")}),
    ("A boy without a shirt on is jumping in the air", ["boy", "air"], set(), {("boy", "jump in", "air")}),
    ("Man with no shirt on wearing shorts", ["man", "shorts"], set(), {("man", "wear", "shorts")}),
    ("A man with no helmet on a motorcycle", ["man", "motorcycle"], set(), {("man", "on", "motorcycle")}),
    ("A man with a hat and no shoes lays on the ground", ["man", "hat", "ground"], set(),
     {("man", "with", "hat"), ("man", "lay on", "ground")}),
    ("A girl never wears a hat", ["girl"], set(), set()),
    ("A man isn't riding a horse", ["man"], set(), set()),
    ("A man isn\u2019t riding a horse", ["man"], set(), set()),
    ("A man isn`t riding a horse", ["man"], set(), set()),
    ("A man isnt riding a horse", ["man"], set(), set()),
    ("A man doesnt wear a hat", ["man"], set(), set()),
    ("A man cannot hold the ball", ["man"], set(), set()),
    ("A boy is not riding a bike or a horse", ["boy"], set(), set()),
    ("A man isn't riding a bike, nor is he holding a ball", ["man"], set(), set()),
    ("The dog is not brown but black", ["dog"], {("dog", "black")}, set()),
    ("A not very big dog sits on a mat", ["dog", "mat"], set(), {("dog", "sit on", "mat")}),
    ("A cat that is not black sits on a mat", ["cat", "mat"], set(), {("cat", "sit on", "mat")}),
    ("A dog no longer running", ["dog"], set(), set()),
    ("A dog is never on the couch", ["dog"], set(), set()),
    ("No one is riding a horse", [], set(), set()),
    ("A bike with no-one riding it", ["bike"], set(), set()),
    ("Nobody is sitting on the bench", ["bench"], set(), set()),
    ("Nothing is on the table", ["table"], set(), set()),
    ("None of the men are wearing hats", [], set(), set()),
    ("Not all people are wearing hats", [], set(), set()),
    ("There are no dogs on the beach", ["beach"], set(), set()),
    ("There aren't any dogs on the beach", ["beach"], set(), set()),
    ("There is neither a table nor a chair in the room", ["room"], set(), set()),
    ("A man is neither holding a bat nor wearing a glove", ["man"], set(), set()),
    ("No dogs are running on the beach", ["beach"], set(), set()),
    ("No dog is on a mat", [], set(), set()),
    ("Hardly any people are on the beach", ["beach"], set(), set()),
    ("An empty road with no people walking on it", ["road"], {("road", "empty")}, set()),
    ("A street with no cars, people or dogs", ["street"], set(), set()),
    ("The street is empty of cars", ["street"], set(), set()),
    ("A street free of cars", ["street"], set(), set()),
    ("A field devoid of trees", ["field"], set(), set()),
    ("A tree stripped of its leaves stands in a field", ["tree", "field"], set(),
     {("tree", "stand in", "field")}),
    ("A lack of snow on the hill", ["hill"], set(), set()),
    ("A man lacking a hat", ["man"], set(), set()),
    ("A car missing a wheel", ["car"], set(), set()),
    ("A room empty except for a chair", ["room"], {("room", "empty")}, set()),
    ("A man other than the boy holds a cup", ["man", "cup"], set(), {("man", "hold", "cup")}),
    ("A dog instead of a cat sits on the mat", ["dog", "mat"], set(), {("dog", "sit on", "mat")}),
    ("Instead of a hat the man wears a crown", ["man", "crown"], set(), {("man", "wear", "crown")}),
    ("A man rides a horse rather than a bike", ["man", "horse"], set(), {("man", "ride", "horse")}),
    ("A man holding a ball but not a bat", ["man", "ball"], set(), {("man", "hold", "ball")}),
    ("A man rides a bike without wearing a helmet", ["man", "bike"], set(), {("man", "ride", "bike")}),
]  # fmt: skip
AFFIRMED = [
    ("A man wears nothing but shorts", ["man", "shorts"], set(), {("man", "wear", "shorts")}),
    ("Nothing but sand is on the beach", ["sand", "beach"], set(), {("sand", "on", "beach")}),
    ("Not only a dog but also a cat sit on a mat", ["dog", "cat", "mat"], set(),
     {("dog", "sit on", "mat"), ("cat", "sit on", "mat")}),
    ("A man not only rides a horse but also holds a rope", ["man", "horse", "rope"], set(),
     {("man", "ride", "horse"), ("man", "hold", "rope")}),
    ("No fewer than three dogs run on grass", ["dog", "grass"], {("dog", "three")},
     {("dog", "run on", "grass")}),
    ("A no-parking sign hangs on a pole", ["no-parking sign", "pole"], set(),
     {("no-parking sign", "hang on", "pole")}),
    ("A no parking sign hangs on a pole", ["no parking sign", "pole"], set(),
     {("no parking sign", "hang on", "pole")}),
    ("A shirtless man next to a car-free street", ["man", "street"],
     {("man", "shirtless"), ("street", "car-free")}, {("man", "next to", "street")}),
    ("A dog with no-slip shoes", ["dog", "no-slip shoe"], set(), {("dog", "with", "no-slip shoe")}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("caption", "objects", "attributes", "relations"),
    GRAPHS + AFFIRMED,
    ids=[c[0] for c in GRAPHS + AFFIRMED],
)
def test_nothing_is_claimed_that_a_caption_denies(
    caption: str, objects: list[str], attributes: set[tuple[str, str]], relations: set[tuple[str, str, str]]
) -> None:
    assert graph(caption) == (objects, attributes, relations)


def test_what_somebody_fails_to_do_is_not_claimed() -> None:
    captions = ["A man fails to catch a ball", "A girl unable to reach the cup stands on a chair"]
    found = [
        ([o.name for o in g.objects], [(g.objects[r.subject].name, r.name, g.objects[r.object].name)
                                       for r in g.relations])
        for g in parse(captions)
    ]  # fmt: skip
    assert found == [(["man"], []), (["girl", "chair"], [("girl", "stand on", "chair")])]
