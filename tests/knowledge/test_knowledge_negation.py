"""What a text denies, by its words alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowclip.knowledge.negation import is_negated, negations


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
    ],
)
def test_how_far_a_denial_reaches(text: str, cue: str, denied: str, scope: str) -> None:
    (found,) = negations(text)
    assert [text[slice(*s)] for s in (found.cue, found.denied, found.scope)] == [cue, denied, scope]


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
