"""Edits that keep a caption English."""

from __future__ import annotations

import pytest

from knowclip.knowledge.negatives.caption_editing import (
    Edit,
    Edited,
    agreeing,
    article,
    inflected,
    moved,
    plural,
    starts_sentence,
    third_person,
)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        *(
            (word, "a")
            for word in ("dog", "horse", "unicorn", "uniform", "one-eyed", "European", "utensil", "")
        ),
        *((word, "an") for word in ("apple", "hour", "honest", "umbrella", "uninvited", "ugly", "Owl")),
    ],
)
def test_article(word: str, expected: str) -> None:
    assert article(word) == expected


@pytest.mark.parametrize(
    ("lemma", "expected"),
    [
        *(
            ("chase", "chases"),
            ("carry", "carries"),
            ("watch", "watches"),
            ("play", "plays"),
            ("have", "has"),
        ),
        *(("fix", "fixes"), ("waltz", "waltzes"), ("pass", "passes"), ("wash", "washes"), ("go", "goes")),
        ("have", "has"),
        *(("enjoy", "enjoys"), ("spy", "spies"), ("moo", "moos"), ("do", "does")),
    ],
)
def test_third_person(lemma: str, expected: str) -> None:
    assert third_person(lemma) == expected


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        # None: "rode" or "ridden", "ran" or "run"
        ("ride", ("ride", "rides", "riding", None)),
        ("walk", ("walk", "walks", "walking", "walked")),
        ("hurry", ("hurry", "hurries", "hurrying", "hurried")),
        ("study", ("study", "studies", "studying", "studied")),
        ("blow-dry", ("blow-dry", "blow-dries", "blow-drying", "blow-dried")),
        ("enjoy", ("enjoy", "enjoys", "enjoying", "enjoyed")),
        ("free", ("free", "frees", "freeing", "freed")),
        ("dye", ("dye", "dyes", "dyeing", "dyed")),
        ("tiptoe", ("tiptoe", "tiptoes", "tiptoeing", "tiptoed")),
        ("die", ("die", "dies", "dying", "died")),
        ("have", ("have", "has", "having", "had")),
        ("stop", ("stop", "stops", "stopping", "stopped")),
        ("burn", ("burn", "burns", "burning", "burned")),
        ("hit", ("hit", "hits", "hitting", "hit")),
        ("run", ("run", "runs", "running", None)),
        ("see", ("see", "sees", "seeing", None)),
    ],
)
def test_a_verb_takes_the_form_of_another(verb: str, expected: tuple[str | None, ...]) -> None:
    forms = tuple(
        inflected(verb, like=like, lemma="chase") for like in ("chase", "chases", "chasing", "chased")
    )
    assert forms == expected if verb != "ride" else (*expected[:3], None)


def test_plurals_of_the_last_word_by_rule_where_the_other_is_latin_or_old() -> None:
    plurals = {
        "computer mouse": "computer mice", "sweet potato": "sweet potatoes", "aquarium": "aquariums",
        "cactus": "cactuses", "formula": "formulas", "bookshelf": "bookshelves", "behalf": "behalves",
        "elf": "elves", "scarf": "scarves", "bus": "buses", "brother": "brothers", "child": "children",
        "life jacket": "life jackets", "family": "families", "box": "boxes", "fire fighter": "fire fighters",
        "garden fish": "garden fish", "blue jeans": "blue jeans", "fisherman": "fishermen",
    }  # fmt: skip
    assert {noun: plural(noun) for noun in plurals} == plurals


@pytest.mark.parametrize(
    ("verb", "lemma", "plural", "expected"),
    [
        ("is", "be", True, "are"),
        ("were", "be", False, "was"),
        ("has", "have", True, "have"),
        ("chases", "chase", True, "chase"),
        ("chase", "chase", False, "chases"),
        ("chasing", "chase", True, None),
        ("chased", "chase", False, None),
    ],
)
def test_agreeing(verb: str, lemma: str, plural: bool, expected: str | None) -> None:
    assert agreeing(verb, lemma, plural) == expected


def test_moved_text_takes_the_capital_of_its_place() -> None:
    caption = "A dog sees the USA. a cat"
    assert moved(caption, (0, 5), 11) == "a dog"
    assert moved(caption, (11, 18), 0) == "The USA"
    assert moved(caption, (15, 18), 20) == "USA"


@pytest.mark.parametrize(
    ("first", "within"),
    [
        ("Brown dog", "brown dog"),
        ("The USA", "the USA"),
        ("TV set", "TV set"),
        ("BMX rider", "BMX rider"),
        ("AX man", "AX man"),
        ("X-ray", "X-ray"),
        ("X-b2 plane", "X-b2 plane"),
        ("X-2 plane", "x-2 plane"),
        ("T.v set", "t.v set"),
        ("Christmas tree", "Christmas tree"),
        ("German, tall boy", "German, tall boy"),
        ("Brazilian boy", "Brazilian boy"),
        ("Guardian dog", "guardian dog"),
        ("Zzz dog", "zzz dog"),
        ("Zzz Top", "Zzz Top"),
        ("One German boy", "one German boy"),
        ("Someone", "someone"),
    ],
)
def test_within_a_sentence_capitals_stay_that_are_a_words_own(first: str, within: str) -> None:
    caption = f"{first} sees a cat"
    assert moved(caption, (0, len(first)), caption.index("a cat")) == within
    assert moved(f"He. {caption}", (4, 4 + len(first)), len("He. ") + caption.index("a cat")) == within
    assert moved(f"a cat sees {first}", (11, 11 + len(first)), 0) == first
    title = f"{first} Sees A Cat"  # in which every word has one
    assert moved(title, (0, len(first)), title.index("A Cat")) == first
    upper = caption.upper()
    assert moved(upper, (0, len(first)), upper.index("A CAT")) == first.upper()


@pytest.mark.parametrize(
    ("caption", "position", "starts"),
    [
        ("A dog", 0, True),
        ("A dog", 2, False),
        ('He ran. "A dog', 9, True),
        ("He ran? ('[A dog", 11, True),
        ("He ran!A dog", 7, True),
        ("He ran\nA dog", 7, True),
        ("He ran; A dog", 8, False),
        ("X dog", 2, False),
    ],
)
def test_sentences_start_behind_stops_and_at_lines(caption: str, position: int, starts: bool) -> None:
    assert starts_sentence(caption, position) == starts


def test_capitals_are_left_where_they_open_no_sentence_or_all_are_capitals() -> None:
    caption = "he sees Brown dogs by a cat"
    assert moved(caption, (8, 18), 22) == "Brown dogs"
    assert moved("A DOG SEES CATS", (0, 5), 11) == "A DOG"
    assert moved("THE dog sees a cat", (0, 7), 13) == "the dog"
    assert moved("A dog by A hen sees a cat", (0, 14), 20) == "a dog by A hen"


@pytest.mark.parametrize(
    ("edits", "old", "new"),
    [
        ([Edit((10, 13), "horse")], (6, 13), (6, 15)),
        ([Edit((6, 9), "green")], (6, 13), (6, 15)),
        ([Edit((6, 9), "green")], (6, 8), None),
        ([Edit((10, 13), "horse")], (11, 13), None),
        ([Edit((2, 5), "horse"), Edit((10, 13), "cow")], (6, 13), (8, 15)),
        ([Edit((2, 5), "horse"), Edit((14, 16), "x")], (6, 13), (8, 15)),
        ([Edit((2, 5), "horse"), Edit((14, 16), "x")], (17, 20), (18, 21)),
        ([Edit((2, 5), "horse"), Edit((14, 16), "x")], (0, 1), (0, 1)),
        ([Edit((6, 10), "")], (6, 13), None),
        ([Edit((6, 10), "")], (10, 13), (6, 9)),
    ],
)
def test_a_span_goes_with_the_words_that_replace_its_first_or_last_one(edits, old, new) -> None:
    assert Edited("a man red dog by cat", edits).span(old) == new


def test_edits_map_spans_and_mend_articles() -> None:
    caption = "An old dog, a cat"
    edited = Edited(
        caption, [Edit((3, 6), "big"), Edit((14, 17), "dog", (7, 10)), Edit((7, 10), "cat", (14, 17))]
    )
    assert edited.text == "A big cat, a dog"
    assert [edited.text[a:b] for a, b in edited.changed] == ["A", "big", "cat", "dog"]
    assert edited.span((7, 10)) == (13, 16)
    assert edited.span((14, 17)) == (6, 9)
    assert edited.span((10, 11)) == (9, 10)
    assert edited.span((3, 6)) == (2, 5)  # of the word in its place
    assert edited.span((0, 4)) is None is edited.span(None)
    assert edited.span((0, 10)) is None
