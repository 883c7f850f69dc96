"""The spaCy parser: graphs of captions worked by hand, and behaviour at the edges."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowclip.knowledge.parsing import spacy_parser
from knowclip.knowledge.parsing.dependency_rules import build_graph
from knowclip.knowledge.parsing.dependency_words import Word, Words
from knowclip.knowledge.parsing.parsers import parse
from knowclip.types import SceneGraph

pytest.importorskip("spacy")


def graph(caption: str) -> SceneGraph:
    (found,) = parse([caption])
    return found


def claims(caption: str) -> tuple[list[str], set[tuple[str, str]], set[tuple[str, str, str]]]:
    found = graph(caption)
    names = [item.name for item in found.objects]
    return (
        names,
        {(names[a.object], a.name) for a in found.attributes},
        {(names[r.subject], r.name, names[r.object]) for r in found.relations},
    )


CASES = [
    (
        "a red horse riding a blue astronaut",
        ["horse", "astronaut"],
        {("horse", "red"), ("astronaut", "blue")},
        {("horse", "ride", "astronaut")},
    ),
    (
        "The astronaut is red and the horse is blue; the astronaut is holding the horse.",
        ["astronaut", "horse"],
        {("astronaut", "red"), ("horse", "blue")},
        {("astronaut", "hold", "horse")},
    ),
    (
        "A small green frog is being chased by a big yellow bus.",
        ["frog", "bus"],
        {("bus", "yellow"), ("frog", "green"), ("bus", "big"), ("frog", "small")},
        {("bus", "chase", "frog")},
    ),
    (
        "a purple owl to the left of a brown crab",
        ["owl", "crab"],
        {("owl", "purple"), ("crab", "brown")},
        {("owl", "to the left of", "crab")},
    ),
    (
        "There is a pink cat under a white piano.",
        ["cat", "piano"],
        {("cat", "pink"), ("piano", "white")},
        {("cat", "under", "piano")},
    ),
    (
        "A fox that is wearing an orange crown",
        ["fox", "crown"],
        {("crown", "orange")},
        {("fox", "wear", "crown")},
    ),
    (
        "a red apple and a green pear. The apple is inside the pear.",
        ["apple", "pear"],
        {("apple", "red"), ("pear", "green")},
        {("apple", "inside", "pear")},
    ),
    (
        "a dog on top of a fire truck",
        ["dog", "fire truck"],
        set(),
        {("dog", "on top of", "fire truck")},
    ),
    (
        "an ice cream in front of a house",
        ["ice cream", "house"],
        set(),
        {("ice cream", "in front of", "house")},
    ),
    (
        "A cat is sitting on a chair.",
        ["cat", "chair"],
        set(),
        {("cat", "sit on", "chair")},
    ),
    (
        "a man picking up a box",
        ["man", "box"],
        set(),
        {("man", "pick up", "box")},
    ),
    (
        "a horse ridden by a man",
        ["horse", "man"],
        set(),
        {("man", "ride", "horse")},
    ),
    (
        "a car parked by a tree",
        ["car", "tree"],
        set(),
        {("car", "park by", "tree")},
    ),
    (
        "the man's hat is blue",
        ["man", "hat"],
        {("hat", "blue")},
        {("man", "have", "hat")},
    ),
    (
        "the horse that the man is riding",
        ["horse", "man"],
        set(),
        {("man", "ride", "horse")},
    ),
    (
        "two dogs and three cats",
        ["dog", "cat"],
        {("cat", "three"), ("dog", "two")},
        set(),
    ),
    (
        "a group of people watching a ball",
        ["people", "ball"],
        set(),
        {("people", "watch", "ball")},
    ),
    (
        "a black and white dog",
        ["dog"],
        {("dog", "white"), ("dog", "black")},
        set(),
    ),
    (
        "a dark green leaf",
        ["leaf"],
        {("leaf", "dark green")},
        set(),
    ),
    (
        "a man wearing a hat and a scarf",
        ["man", "hat", "scarf"],
        set(),
        {("man", "wear", "scarf"), ("man", "wear", "hat")},
    ),
    (
        "a boy is running",
        ["boy"],
        {("boy", "running")},
        set(),
    ),
    (
        "A boy jumping out of the water",
        ["boy", "water"],
        set(),
        {("boy", "jump out of", "water")},
    ),
    (
        "a tiny brown drum hiding behind a king",
        ["drum", "king"],
        {("drum", "brown"), ("drum", "tiny")},
        {("drum", "hide behind", "king")},
    ),
    (
        "A brown couch chases a pink apple.",
        ["couch", "apple"],
        {("couch", "brown"), ("apple", "pink")},
        {("couch", "chase", "apple")},
    ),
    (
        "There is a pink spider following a bee.",
        ["spider", "bee"],
        {("spider", "pink")},
        {("spider", "follow", "bee")},
    ),
    (
        "The pink tent chases the big pig.",
        ["tent", "pig"],
        {("tent", "pink"), ("pig", "big")},
        {("tent", "chase", "pig")},
    ),
    (
        "Inside a green frog is a red kangaroo.",
        ["frog", "kangaroo"],
        {("frog", "green"), ("kangaroo", "red")},
        {("kangaroo", "inside", "frog")},
    ),
    (
        "To the left of an owl is an umbrella.",
        ["owl", "umbrella"],
        set(),
        {("umbrella", "to the left of", "owl")},
    ),
    (
        "a blue mermaid to the left of a gray bee",
        ["mermaid", "bee"],
        {("bee", "gray"), ("mermaid", "blue")},
        {("mermaid", "to the left of", "bee")},
    ),
    (
        "rug in front of a sofa",
        ["rug", "sofa"],
        set(),
        {("rug", "in front of", "sofa")},
    ),
    (
        "clock on pole",
        ["clock", "pole"],
        set(),
        {("clock", "on", "pole")},
    ),
    (
        "tree behind stop sign",
        ["tree", "stop sign"],
        set(),
        {("tree", "behind", "stop sign")},
    ),
    (
        "pole attached to bench",
        ["pole", "bench"],
        set(),
        {("pole", "attach to", "bench")},
    ),
    (
        "tree next to elephant",
        ["tree", "elephant"],
        set(),
        {("tree", "next to", "elephant")},
    ),
    (
        "flag hanging from building",
        ["flag", "building"],
        set(),
        {("flag", "hang from", "building")},
    ),
    (
        "hand holding black skateboard",
        ["hand", "skateboard"],
        {("skateboard", "black")},
        {("hand", "hold", "skateboard")},
    ),
    (
        "skier going down a slope",
        ["skier", "slope"],
        set(),
        {("skier", "go down", "slope")},
    ),
    (
        "two bicycles lean on the bench .",
        ["bicycle", "bench"],
        {("bicycle", "two")},
        {("bicycle", "lean on", "bench")},
    ),
    (
        "A man is chased by a dog and two cats.",
        ["man", "dog", "cat"],
        {("cat", "two")},
        {("dog", "chase", "man"), ("cat", "chase", "man")},
    ),
    (
        "A dog and a cat are sitting under the table.",
        ["dog", "cat", "table"],
        set(),
        {("dog", "sit under", "table"), ("cat", "sit under", "table")},
    ),
    (
        "The girl whose dog is brown kicks a ball",
        ["girl", "dog", "ball"],
        {("dog", "brown")},
        {("girl", "kick", "ball")},
    ),
    (
        "There are three birds on the roof. A boy is looking at them.",
        ["bird", "roof", "boy"],
        {("bird", "three")},
        {("bird", "on", "roof")},
    ),
    (
        "the woman's cat is in front of the boy's chair",
        ["woman", "cat", "boy", "chair"],
        set(),
        {("woman", "have", "cat"), ("boy", "have", "chair"), ("cat", "in front of", "chair")},
    ),
    (
        "girl standing next to stop sign",
        ["girl", "stop sign"],
        set(),
        {("girl", "stand next to", "stop sign")},
    ),
    (
        "A man is trying to catch a ball and wants to run.",
        ["man", "ball"],
        set(),
        {("man", "catch", "ball")},
    ),
]


@pytest.mark.parametrize(("caption", "objects", "attributes", "relations"), CASES, ids=[c[0] for c in CASES])
def test_graph_worked_by_hand(
    caption: str, objects: list[str], attributes: set[tuple[str, str]], relations: set[tuple[str, str, str]]
) -> None:
    assert claims(caption) == (objects, attributes, relations)


GIFTS = [
    ("A man hands the shorter one an ice cream cone", {("man", "hand", "ice cream cone")}),
    ("A woman gives a dog a treat", {("woman", "give", "treat"), ("woman", "give to", "dog")}),
    ("A woman gives a treat to a dog", {("woman", "give", "treat"), ("woman", "give to", "dog")}),
    ("A dog is given a treat by a woman", {("woman", "give", "treat"), ("woman", "give to", "dog")}),
    ("The treat that a woman gives the dog", {("woman", "give", "treat"), ("woman", "give to", "dog")}),
    ("A man throws his dog a frisbee", {("man", "throw", "frisbee"), ("man", "throw to", "dog")}),
    ("A boy showing a girl a book", {("boy", "show", "book"), ("boy", "show to", "girl")}),
    ("A boy offering a duck some bread", {("boy", "offer", "bread"), ("boy", "offer to", "duck")}),
    ("A person feeding cows food", {("person", "feed", "food"), ("person", "feed", "cow")}),
    ("A man hands her a cup", {("man", "hand", "cup")}),
    ("A blond woman pours wine for people", {("woman", "pour", "wine"), ("woman", "pour for", "people")}),
    ("A man kicks a ball", {("man", "kick", "ball")}),
    ("A man throws a ball and runs", {("man", "throw", "ball")}),
]


@pytest.mark.parametrize(("caption", "relations"), GIFTS, ids=[c[0] for c in GIFTS])
def test_a_verb_with_two_objects_says_what_is_given_and_to_whom(
    caption: str, relations: set[tuple[str, str, str]]
) -> None:
    assert claims(caption)[2] == relations


HYPHENS = [
    ("A doctor holds an X-ray", ["doctor", "x-ray"], set(), {("doctor", "hold", "x-ray")}),
    ("X-rays on a table", ["x-ray", "table"], set(), {("x-ray", "on", "table")}),
    ("A man in a T-shirt and a hat", ["man", "t-shirt", "hat"], set(),
     {("man", "in", "t-shirt"), ("man", "in", "hat")}),
    ("Two men on a ping-pong table", ["man", "ping-pong table"], {("man", "two")},
     {("man", "on", "ping-pong table")}),
    ("A two-story house", ["house"], {("house", "two-story")}, set()),
    ("A jack-o-lantern on a porch", ["jack-o-lantern", "porch"], set(), {("jack-o-lantern", "on", "porch")}),
    ("A half-eaten sandwich", ["sandwich"], {("sandwich", "half-eaten")}, set()),
    ("A black-and-white dog", ["dog"], {("dog", "black"), ("dog", "white")}, set()),
    ("A 10-year-old boy rides a bike", ["boy", "bike"], {("boy", "10-year-old")}, {("boy", "ride", "bike")}),
    ("A 3-year-old is eating a cake", ["3-year-old", "cake"], set(), {("3-year-old", "eat", "cake")}),
    ("Children on a merry-go-round", ["child", "merry-go-round"], set(), {("child", "on", "merry-go-round")}),
    ("A long-haired man", ["man"], {("man", "long-haired")}, set()),
    ("A man on a four-wheeler", ["man", "four-wheeler"], set(), {("man", "on", "four-wheeler")}),
    ("A pick-up truck", ["pick-up truck"], set(), set()),
    ("The tug-of-war between two dogs", ["tug-of-war", "dog"], {("dog", "two")},
     {("tug-of-war", "between", "dog")}),
    ("A mother-in-law and a baby", ["mother-in-law", "baby"], set(), set()),
    ("A person sky-diving", ["person"], {("person", "sky-diving")}, set()),
    ("A man in a shirt - a dog in a hat", ["man", "shirt", "dog", "hat"], set(),
     {("man", "in", "shirt"), ("dog", "in", "hat")}),
]  # fmt: skip
MENDED = [
    ("A wine glass on a table", ["wine glass", "table"], set(), {("wine glass", "on", "table")}),
    ("A woman in a dress carrying a bag", ["woman", "dress", "bag"], set(),
     {("woman", "in", "dress"), ("woman", "carry", "bag")}),
    ("A child wearing a diaper plays in the sand", ["child", "diaper", "sand"], set(),
     {("child", "wear", "diaper"), ("child", "play in", "sand")}),
    ("A boy in a blue shirt plays in a tent", ["boy", "shirt", "tent"], {("shirt", "blue")},
     {("boy", "in", "shirt"), ("boy", "play in", "tent")}),
    ("A girl in red rides on her stomach", ["girl", "stomach"], set(), {("girl", "ride on", "stomach")}),
    ("Two dogs wrestle in a field .", ["dog", "field"], {("dog", "two")}, {("dog", "wrestle in", "field")}),
    ("A crowd at a sports event", ["crowd", "sports event"], set(), {("crowd", "at", "sports event")}),
    ("A boy in a hat and shorts", ["boy", "hat", "shorts"], set(),
     {("boy", "in", "hat"), ("boy", "in", "shorts")}),
    ("A woman crouches near three dogs", ["woman", "dog"], {("dog", "three")},
     {("woman", "crouch near", "dog")}),
    ("A motorcycle touches the ground during a turn", ["motorcycle", "ground", "turn"], set(),
     {("motorcycle", "touch", "ground"), ("motorcycle", "during", "turn")}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("caption", "objects", "attributes", "relations"), HYPHENS + MENDED, ids=[c[0] for c in HYPHENS + MENDED]
)
def test_words_that_the_tagger_splits_or_mistakes(
    caption: str, objects: list[str], attributes: set[tuple[str, str]], relations: set[tuple[str, str, str]]
) -> None:
    assert claims(caption) == (objects, attributes, relations)


@pytest.mark.parametrize(
    ("verb", "forms"),
    [
        ("bathe", "bathing bathed bathes"), ("breathe", "breathing breathed"), ("clothe", "clothing"),
        ("soothe", "soothing"), ("lathe", "lathing"), ("sunbathe", "sunbathing"), ("singe", "singed"),
        ("sing", "singing sang"), ("dye", "dyeing dyed"), ("die", "dying"), ("tie", "tying"),
        ("lie", "lying"), ("hoe", "hoeing"), ("canoe", "canoeing"), ("panic", "panicking"),
        ("picnic", "picnicking"),
        ("ride", "riding"), ("hop", "hopping"), ("hope", "hoping"), ("star", "starring"),
        ("stare", "staring"),
        ("install", "installing installed"), ("route", "routes"), ("party", "partied"), ("ski", "skiing"),
        ("kiteboard", "kiteboarding"), ("waterski", "waterskiing"), ("high-five", "high-fiving"),
        ("pole-vault", "pole-vaulting"), ("text", "texting"), ("taste", "tasting"), ("rest", "resting"),
        ("sit", "sitted"), ("sled", "sled"),
    ],
)  # fmt: skip
def test_lemma_of_a_verb(verb: str, forms: str) -> None:
    lemma = spacy_parser._lemmas(spacy_parser.installed_model())
    assert {form: lemma(form, "VERB") for form in forms.split()} == dict.fromkeys(forms.split(), verb)


def test_lemma_of_a_noun() -> None:
    lemma = spacy_parser._lemmas(spacy_parser.installed_model())
    plurals = {
        "vases": "vase", "bases": "base", "axes": "axe", "cookies": "cookie", "lenses": "lens",
        "buses": "bus", "dresses": "dress", "crosses": "cross", "leaves": "leaf", "knives": "knife",
        "mothers-in-law": "mother-in-law", "t-shirts": "t-shirt", "puppies": "puppy", "roses": "rose",
        "bunches": "bunch", "caches": "cache", "moustaches": "moustache",
    }  # fmt: skip
    assert {form: lemma(form, "NOUN") for form in plurals} == plurals


def test_a_bird_bathing_bathes() -> None:
    assert claims("A bird bathing in a fountain")[2] == {("bird", "bathe in", "fountain")}


def test_spans_are_the_words_that_say_it() -> None:
    caption = "A small dog is sitting on two ice creams."
    found = graph(caption)
    assert [caption[slice(*o.span)] for o in found.objects] == ["dog", "ice creams"]
    assert [caption[slice(*a.span)] for a in found.attributes] == ["small", "two"]
    assert [caption[slice(*r.span)] for r in found.relations] == ["sitting on"]


@pytest.mark.parametrize(
    ("caption", "objects"),
    [
        ("a dog. The dog is red.", 1),
        ("a dog chasing a dog", 2),
        ("a dog and another dog. The cat is red.", 3),
        ("the dog on the left is chasing the dog on the right", 2),
        ("two dogs. The dog is red.", 2),
        ("a red ball and a blue ball. The blue ball is on a box.", 3),
    ],
)
def test_definite_repetitions_are_the_same_object(caption: str, objects: int) -> None:
    assert len(graph(caption).objects) == objects


def test_a_repeated_noun_takes_the_object_with_its_attribute() -> None:
    found = graph("a red ball and a blue ball. The blue ball is on a box.")
    assert [(r.subject, r.name, r.object) for r in found.relations] == [(1, "on", 2)]


NOUNS = (
    "horse",
    "astronaut",
    "bus",
    "owl",
    "piano",
    "crown",
    "pear",
    "guitar",
    "ghost",
    "umbrella",
    "police car",
)
WORLD = [
    f"{article}{one} {relation} a blue {other}"
    for article, relation in itertools.product(
        ("a red ", "There is a red ", "A red "),
        ("riding", "holding", "wearing", "under", "behind", "sitting on"),
    )
    for one, other in itertools.permutations(NOUNS, 2)
]


def test_any_noun_with_any_relation() -> None:
    """Odd subjects and objects: at least 99% of such captions give exactly what they say."""
    verbs = {"riding": "ride", "holding": "hold", "wearing": "wear", "sitting on": "sit on"}

    def right(caption: str, found: SceneGraph) -> bool:
        said = caption.removeprefix("There is ").removeprefix("a red ").removeprefix("A red ")
        words = said.replace(" a blue ", "|").split("|")[0]
        relation = next(r for r in (*verbs, "under", "behind") if words.endswith(r))
        names = [item.name for item in found.objects]
        return (
            names == [words.removesuffix(relation).strip(), caption.split(" a blue ")[1]]
            and {(a.object, a.name) for a in found.attributes} == {(0, "red"), (1, "blue")}
            and [(r.subject, r.name, r.object) for r in found.relations]
            == [(0, verbs.get(relation, relation), 1)]
        )

    results = [right(caption, found) for caption, found in zip(WORLD, parse(WORLD), strict=True)]
    assert sum(results) / len(results) >= 0.99


def test_graphs_come_in_order_one_each_and_as_a_stream() -> None:
    asked = 0

    def captions() -> Iterator[str]:
        nonlocal asked
        for asked in itertools.count(1):
            yield f"a dog and {'a cat' * (asked % 2)}"

    graphs = list(itertools.islice(parse(captions(), batch_size=4), 8))
    assert [len(found.objects) for found in graphs] == [2, 1] * 4
    assert asked < 100


def test_empty_captions_give_empty_graphs() -> None:
    assert list(parse(["", " ", "\n"])) == [SceneGraph()] * 3


def test_same_text_same_graph_whatever_the_batch() -> None:
    captions = [case[0] for case in CASES]
    assert list(parse(captions, batch_size=1)) == list(parse(captions, batch_size=64))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=4))
def test_no_text_crashes_it(captions: list[str]) -> None:
    for caption, found in zip(captions, parse(captions), strict=True):
        for item in (*found.objects, *found.attributes, *found.relations):
            assert item.span is not None and 0 <= item.span[0] < item.span[1] <= len(caption)
        for relation in found.relations:
            assert relation.subject != relation.object


@pytest.mark.parametrize(
    "caption", ["\x00\x01 a dog\x7f", "🐶 riding a 🐴", "一只狗在追一只猫", "\ud800 a dog",
    "A DOG CHASING A CAT", "a-b - -", "of of of"]
)  # fmt: skip
def test_odd_texts(caption: str) -> None:
    json.dumps([item.name for item in graph(caption).objects])


def test_ten_thousand_words_cost_ten_times_a_thousand() -> None:
    sentence = "a red dog and a big cat riding a horse on a green hill and holding a ball, "

    def seconds(words: int) -> float:
        text = sentence * (words // 17)
        start = time.process_time()
        found = graph(text)
        assert len(found.objects) > words // 8
        return time.process_time() - start

    seconds(1_000)
    assert seconds(10_000) < 40 * max(seconds(1_000), 0.02)


def test_unknown_parser_and_single_text_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown parser 'stanza': choose one of spacy, factual"):
        parse(["a dog"], parser="stanza")
    with pytest.raises(ValueError, match=r"pass \[caption\]"):
        parse("a dog")


def test_another_pipeline_can_be_asked_for() -> None:
    name = spacy_parser.installed_model()
    assert list(parse(["a dog chasing a cat"], parser=f"spacy:{name}")) == [graph("a dog chasing a cat")]
    with pytest.raises(ValueError, match="no spaCy pipeline 'en_nowhere': install it"):
        parse(["a dog"], parser="spacy:en_nowhere")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(
    "a the dog red building holding sitting next to of on is attached lean and , two that 's stop no not "
    "n't without instead of nothing but only X-ray black-and-white in-law - gives given by shirt".split()
), max_size=14).map(" ".join))  # fmt: skip
def test_words_of_captions_in_any_order(caption: str) -> None:
    found = graph(caption)
    assert all(relation.subject != relation.object for relation in found.relations)
    assert {attribute.object for attribute in found.attributes} <= set(range(len(found.objects)))


def test_no_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spacy_parser, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "knowclip\[parser\]"'):
        list(parse(["a dog"]))


def test_the_first_installed_model_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spacy_parser, "find_spec", lambda name: name.endswith("lg") or None)
    assert spacy_parser.installed_model() == "en_core_web_lg"


def test_products_are_numpy_s_and_threads_are_left_as_they_were() -> None:
    from threadpoolctl import threadpool_info

    captions = ["a dog chases a cat", "a man in a red hat rides a horse"] * 3
    list(parse(captions[:1]))  # loads what it loads
    before = [(library["filepath"], library["num_threads"]) for library in threadpool_info()]
    graphs = parse(captions, batch_size=2)
    first = next(graphs)
    assert [(library["filepath"], library["num_threads"]) for library in threadpool_info()] == before
    assert [first, *graphs] == list(parse(captions))
    _, tagger = spacy_parser._load(spacy_parser.installed_model()).pipeline[1]
    assert {node.ops.use_blis for node in tagger.model.walk()} == {False}


def test_words_that_hang_on_each_other_in_a_circle_end_in_a_graph() -> None:
    """Repairs of odd texts may leave one, and whoever climbed it did not come back."""

    def circle(*heads: int) -> Words:
        words = (Word("abcd"[i], "NN", "dep", head, 2 * i, 2 * i + 1) for i, head in enumerate(heads))
        return Words("a b c d", [*words])

    for heads in ((1, 2, 0, 0), (1, 0, 3, 2), (2, 2, 1, 3)):
        words = circle(*heads)
        assert words.clause(0) in range(4) and not words.is_below(0, 7)
        words.cut_circles()
        for index in range(4):
            path = [index]
            while words[path[-1]].head != path[-1]:
                path.append(words[path[-1]].head)
                assert len(path) <= 4
        assert all(i in words[word.head].children for i, word in enumerate(words.words) if word.head != i)
        assert build_graph(circle(*heads), lambda word, part: word).objects
    tree = circle(0, 0, 1, 1)
    tree.cut_circles()
    assert [word.head for word in tree.words] == [0, 0, 1, 1]
