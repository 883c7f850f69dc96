"""Negatives of captions in Python and of parsed ones: what is parsed, together, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import pytest
from hand_graphs import graph

from knowclip.knowledge.negatives import captions as module
from knowclip.knowledge.negatives.caption_editing import Edit
from knowclip.knowledge.negatives.captions import negatives, of_records
from knowclip.knowledge.negatives.generate import SEMANTIC
from knowclip.knowledge.negatives.mentions import Layout
from knowclip.knowledge.negatives.shuffles import shuffles
from knowclip.knowledge.negatives.swaps import Candidate
from knowclip.knowledge.parsing.caption_texts import Text
from knowclip.knowledge.records import GraphRecord
from knowclip.types import Relation, SceneGraph, SceneObject

RIDE, FLIP = "a man riding a horse", "a horse riding a man"
MAN = SceneGraph(
    (SceneObject("man", (2, 5)), SceneObject("horse", (15, 20))), (), (Relation(0, "ride", 1, (6, 12)),)
)
NOUGHT = SceneGraph()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was asked of the parser, in place of asking: every caption has the graph of :data:`RIDE`."""
    calls: list[tuple[Any, ...]] = []

    def parse_texts(texts: Iterable[Text], *, parser: str, batch_size: int) -> Iterator[GraphRecord]:
        listed = list(texts)
        calls.append(([(text.key, text.caption, text.image) for text in listed], parser, batch_size))
        return (GraphRecord(text.key, text.caption, parser, MAN, text.image) for text in listed)

    monkeypatch.setattr(module, "parse_texts", parse_texts)
    return calls


@pytest.mark.parametrize(
    ("options", "images", "rest"),
    [
        ({}, [None, None], ("spacy", 256)),
        ({"images": [7, "b.jpg"]}, ["7", "b.jpg"], ("spacy", 256)),
        ({"parser": "factual", "batch_size": 2}, [None, None], ("factual", 2)),
    ],
)
def test_captions_are_parsed_under_their_number(options, images, rest, parsed) -> None:
    assert len(list(negatives([RIDE, RIDE], **options))) == 2
    assert parsed == [([("1", RIDE, images[0]), ("2", RIDE, images[1])], *rest)]


def test_by_default_all_kinds_but_shuffles_are_made_by_the_seed_0(parsed) -> None:
    (found,) = negatives([RIDE])
    ((_, expected),) = of_records([GraphRecord("1", RIDE, "spacy", MAN)], kinds=SEMANTIC, most=0, seed=0)
    assert found == expected and {n.seed for n in found} == {0}
    assert {n.kind for n in found} == {"relation_swap", "object_replacement", "relation_replacement"}


def test_kinds_how_many_and_the_seed_are_chosen(parsed) -> None:
    (one,) = negatives([RIDE], kinds="shuffle", most=1, seed=5)
    assert [(n.kind, n.seed) for n in one] == [("shuffle", 5)]
    (swapped,) = negatives([RIDE], kinds=("relation_swap",))
    assert [n.caption for n in swapped] == [FLIP]
    (all_of_them,) = negatives([RIDE], seed=5)
    (two,) = negatives([RIDE], most=2, seed=5)
    assert two == all_of_them[:2] and len(all_of_them) > 2


def test_an_image_speaks_for_all_of_its_captions() -> None:
    """Of the image where there is one, else of the key; those one after the other alone."""
    back = SceneGraph(
        (SceneObject("horse", (2, 7)), SceneObject("man", (17, 20))), (), (Relation(0, "ride", 1, (8, 14)),)
    )

    def found(*places: tuple[str, str | None]) -> list[list[str]]:
        stated = zip(places, ((RIDE, MAN), (FLIP, back)), strict=True)
        records = [GraphRecord(key, text, "hand", graph, image) for (key, image), (text, graph) in stated]
        pairs = list(of_records(records, kinds=["relation_swap"]))
        assert [record for record, _ in pairs] == records
        assert all(n.seed == 0 for _, several in pairs for n in several)
        return [[n.caption for n in several] for _, several in pairs]

    assert found(("1", "a.jpg"), ("2", "a.jpg")) == [[], []] == found(("1", None), ("1", None))
    assert found(("1", "a.jpg"), ("1", "b.jpg")) == [[FLIP], [RIDE]] == found(("1", None), ("2", None))


def test_what_an_image_states_in_other_words_counts_and_all_negatives_are_made_by_default() -> None:
    pony = graph("a pony rides a guy", "pony guy", "", "0 ride:rides 1")
    records = [GraphRecord("1", RIDE, "hand", MAN), GraphRecord("1", "a pony rides a guy", "hand", pony)]
    assert [several for _, several in of_records(records, kinds=["relation_swap"])] == [[], []]
    ((_, several),) = of_records(records[:1], kinds=SEMANTIC)
    assert len(several) > 2


def test_what_an_image_says_without_a_graph_of_its_own_counts_by_its_words() -> None:
    records = [GraphRecord("1", RIDE, "hand", MAN), GraphRecord("1", "A horse rides a man!", "hand", NOUGHT)]
    assert [several for _, several in of_records(records, kinds=["relation_swap"])] == [[], []]


@pytest.mark.parametrize(
    ("captions", "options", "sentence"),
    [
        ("a dog", {}, "captions must be several texts, got one string: pass [caption]"),
        ([RIDE], {"kinds": ["shuffle", "swap", "x"]},
         "unknown kind of negative 'swap': choose from relation_swap, attribute_swap, object_replacement, "
         "attribute_replacement, relation_replacement, shuffle"),
        ([RIDE], {"kinds": "swap"},
         "unknown kind of negative 'swap': choose from relation_swap, attribute_swap, object_replacement, "
         "attribute_replacement, relation_replacement, shuffle"),
        ([RIDE], {"most": -1}, "most counts the negatives of a caption, 0 for all; got -1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_parsed(captions, options, sentence, parsed) -> None:
    with pytest.raises(ValueError) as refused:
        negatives(captions, **options)
    assert str(refused.value) == sentence and parsed == []


@pytest.mark.parametrize(("several", "images"), [([RIDE], ["a", "b"]), ([RIDE, FLIP], ["a"])])
def test_as_many_images_as_captions_or_it_is_refused(several, images, parsed) -> None:
    with pytest.raises(ValueError, match="argument 2 is"):
        list(negatives(several, images=images))


class Backwards(Random):
    """Draws the words from the last to the first."""

    def sample(self, population, k):  # type: ignore[no-untyped-def, override]
        return list(reversed(population))[:k]


def test_a_shuffle_moves_words_and_leaves_what_stands_between_them() -> None:
    caption = '"A dog, a cat-like owl!"'
    expected = Candidate("shuffle", (Edit((1, 22), "owl cat-like, a dog A"),), None)
    assert list(shuffles(Layout(caption, NOUGHT), Backwards())) == [expected] * 4
    first, *_ = shuffles(Layout("dog cat", NOUGHT), Backwards())
    assert first.edits == (Edit((0, 7), "cat dog"),)
    assert list(shuffles(Layout("dog !", NOUGHT), Random(0))) == []
