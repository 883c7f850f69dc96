"""Edits that keep a caption English."""

from __future__ import annotations

import pytest

from knowclip.knowledge.negatives.caption_editing import Edit, Edited, agreeing, article, moved, third_person


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
    [("chase", "chases"), ("carry", "carries"), ("watch", "watches"), ("play", "plays"), ("have", "has")],
)
def test_third_person(lemma: str, expected: str) -> None:
    assert third_person(lemma) == expected


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
