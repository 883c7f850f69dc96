"""Sub-graphs of an item: drawn by its seed alone, false where they are negatives, each text once a batch."""

from __future__ import annotations

from pathlib import Path
from random import Random

import torch

from knowclip.data.captions.collate import Collator, text_key
from knowclip.data.captions.dataset import CaptionDataset
from knowclip.data.captions.subgraphs import SubgraphDraw
from knowclip.types import Attribute, Example, ImageRef, Relation, SceneGraph, SceneObject

LENGTH = 12


class Words:
    """A tokenizer of lower-case words."""

    def __init__(self) -> None:
        self.vocabulary: dict[str, int] = {}

    def __call__(self, texts: list[str]) -> torch.Tensor:
        rows = torch.zeros(len(texts), LENGTH, dtype=torch.long)
        for row, text in zip(rows, texts, strict=True):
            ids = [self.vocabulary.setdefault(w, len(self.vocabulary) + 3) for w in text.lower().split()]
            row[: len(ids) + 2] = torch.tensor([1, *ids, 2])
        return rows


def example(key: str, image: str, one: str, verb: str, other: str) -> Example:
    """``one`` and ``other`` are a colour and a noun."""
    (colour, noun), (another, second) = one.split(), other.split()
    caption = f"a {one} {verb}ing a {other}"
    at = caption.index
    behind = len(caption) - len(second)
    graph = SceneGraph(
        (SceneObject(noun, (at(noun), at(noun) + len(noun))), SceneObject(second, (behind, len(caption)))),
        (
            Attribute(0, colour, (2, 2 + len(colour))),
            Attribute(1, another, (behind - len(another) - 1, behind - 1)),
        ),
        (Relation(0, verb, 1, (at(f"{verb}ing"), at(f"{verb}ing") + len(verb) + 3)),),
    )
    return Example(key, image, ImageRef(Path(image)), caption, graph)


EXAMPLES = [
    example("a#0", "a", "red dog", "kick", "blue cat"),
    example("b#0", "b", "blue dog", "push", "red cat"),
    example("a#1", "a", "red dog", "push", "blue cat"),
    Example("c#0", "c", ImageRef(Path("c")), "nothing known"),
]


def test_a_draw_depends_on_its_seed_alone() -> None:
    drawn = [SubgraphDraw(EXAMPLES, positives=2, negatives=3)(0, Random("seed")) for _ in range(2)]
    assert drawn[0].positives == drawn[1].positives and drawn[0].negatives == drawn[1].negatives
    assert len(drawn[0].positives) == 2 and len(drawn[0].negatives) == 3
    made = SubgraphDraw(EXAMPLES, positives=2, negatives=3)
    assert len({made(0, Random(seed)).positives for seed in range(20)}) > 5


def test_kinds_take_turns() -> None:
    made = SubgraphDraw(EXAMPLES, positives=4, negatives=0)
    for seed in range(5):
        texts = [text.text for text in made(0, Random(seed)).positives]
        assert len([text for text in texts if text in ("a dog", "a cat")]) == 1
        assert "a red dog and a blue cat" in texts and "a dog kicking a cat" in texts
    objects = SubgraphDraw(EXAMPLES, positives=9, negatives=0, kinds=["object"])(0, Random(0))
    assert sorted(text.text for text in objects.positives) == ["a cat", "a dog"]


def test_positives_are_true_and_negatives_are_not() -> None:
    made = SubgraphDraw(EXAMPLES, positives=6, negatives=30)
    for position in range(3):
        drawn = made(position, Random(position))
        truths = set(drawn.truths.tolist())
        assert all(set(text.claims) <= truths for text in drawn.positives)
        assert all(not set(text.claims) <= truths for text in drawn.negatives)
        assert drawn.negatives
    texts = {text.text for text in made(0, Random(0)).negatives}
    assert "a blue dog" in texts and "a cat kicking a dog" in texts
    assert "a dog pushing a cat" not in texts, "another caption of the image says so"


def test_a_caption_without_a_graph_has_none() -> None:
    drawn = SubgraphDraw(EXAMPLES, positives=2, negatives=2)(3, Random(0))
    assert drawn.positives == drawn.negatives == () and not len(drawn.truths)


def items(**options: int) -> list:
    draw = SubgraphDraw(EXAMPLES, **options)
    pixels = torch.zeros(3, 2, 2)
    dataset = CaptionDataset(EXAMPLES, load_image=lambda position: pixels, subgraphs=draw)
    return [dataset[index] for index in range(len(dataset))]


def test_each_text_stands_once_in_a_batch() -> None:
    words = Words()
    batch = Collator(tokenizer=words)(items(positives=6, negatives=4)).subgraphs
    assert len(set(map(tuple, batch.texts.tolist()))) == len(batch.texts) == len(batch.ids.unique())
    assert batch.claims.shape == (len(batch.ids), 2) and batch.turns.min() == 0
    one, other = text_key("a"), text_key("b")
    assert set(batch.positives[:, 0].tolist()) == {one, other}
    drawn = {text for pairs in (batch.positives, batch.negatives) for text in pairs[:, 1].tolist()}
    assert drawn == set(batch.ids.tolist())
    place = {tuple(row): number for number, row in enumerate(batch.texts.tolist())}
    dog, red = (place[tuple(row)] for row in words(["a dog", "a red dog"]).tolist())
    owners = [
        {image for image, text in batch.positives.tolist() if text == batch.ids[number]}
        for number in (dog, red)
    ]
    assert owners == [{one, other}, {one}]
    true_of_b = {claim for image, claim in batch.truths.tolist() if image == other}
    assert batch.claims[dog, 0].item() in true_of_b and batch.claims[red, 0].item() not in true_of_b


def test_texts_that_read_alike_are_one() -> None:
    """A vocabulary without colours: "a red dog" reads like "a blue dog", which is false, and so masked."""
    words = Words()
    for colour in ("red", "blue", "white", "black", "brown"):
        words.vocabulary[colour] = 99
    batch = Collator(tokenizer=words)(items(positives=6, negatives=30)).subgraphs
    assert len(set(map(tuple, batch.texts.tolist()))) == len(batch.texts)
    owned = set(map(tuple, batch.positives.tolist()))
    assert owned & set(map(tuple, batch.negatives.tolist())), "the same text is both: the term masks it"


def test_nothing_is_drawn_unless_asked_for() -> None:
    dataset = CaptionDataset(EXAMPLES, load_image=lambda position: torch.zeros(3, 2, 2))
    assert Collator(tokenizer=Words())([dataset[0]]).subgraphs is None
