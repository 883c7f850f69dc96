"""Mined negatives: right ones by hand, false ones masked, every option with its effect."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from knowclip.data.captions.mining import ENTAILED, LIKE, SAME, Mining, mine
from knowclip.types import Attribute, Example, ImageRef, Negative, Relation, SceneGraph, SceneObject


def graph(*objects: str, relation: str = "", attribute: str = "") -> SceneGraph:
    """Objects; the first in a relation to the second; the first with an attribute."""
    return SceneGraph(
        tuple(SceneObject(name) for name in objects),
        (Attribute(0, attribute),) if attribute else (),
        (Relation(0, relation, 1),) if relation else (),
    )


PAIRS = [
    ("0", "a dog chases a cat", graph("dog", "cat", relation="chase"), 0),
    ("0", "a lawn", graph("lawn"), 3),
    ("1", "a cat chases a dog", graph("cat", "dog", relation="chase"), 10),
    ("2", "A dog chases a cat!", graph("dog", "cat", relation="chase"), 2),
    ("3", "a puppy", graph("puppy"), 20),
    ("4", "a black dog", graph("dog", attribute="black"), 30),
    ("5", "a horse", graph("horse"), 40),
]
"""Image, caption, graph, and the angle of the caption's embedding in degrees."""


def directions(*degrees: float) -> torch.Tensor:
    return torch.tensor([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees])


def mined(queries: torch.Tensor | None = None, examples: list[Example] | None = None, **options: float):
    if examples is None:
        examples = [
            Example(f"{image}#{n}", image, ImageRef(Path(f"{image}.jpg")), caption, graph=of)
            for n, (image, caption, of, _) in enumerate(PAIRS)
        ]
    features = directions(*(pair[3] for pair in PAIRS))
    return mine(
        examples,
        queries=features if queries is None else queries,
        texts=[pair[1] for pair in PAIRS],
        text_features=features,
        options=Mining(**{"num_negatives": 2, "relative_margin": 0.0} | options),
    )


def first(found) -> list[str]:
    return [negative.caption for negative in found.examples[0].negatives]


def test_the_most_similar_captions_that_are_not_true_of_the_image() -> None:
    """Of "a dog chases a cat": the same again and "a puppy" (a dog) are masked, who chases whom is not."""
    found = mined()
    assert first(found) == ["a cat chases a dog", "a black dog"]
    assert all(negative.kind == "given" and negative.graph for negative in found.examples[0].negatives)
    assert found.left_out[SAME] and found.left_out[ENTAILED]
    assert found.kept == sum(len(example.negatives) for example in found.examples)
    assert found.without == 0


def test_captions_of_one_image_are_no_negatives_of_each_other() -> None:
    for example in mined(num_negatives=9).examples:
        own = {pair[1] for pair in PAIRS if pair[0] == example.image_id}
        assert own.isdisjoint(negative.caption for negative in example.negatives)


def test_range_num_negatives_and_scores_choose_among_them() -> None:
    assert first(mined(num_negatives=9)) == ["a cat chases a dog", "a black dog", "a horse"]
    assert first(mined(num_negatives=1)) == ["a cat chases a dog"]
    # ranks of other images' captions: the same text, then who chases whom
    assert first(mined(range_min=2, num_negatives=1)) == ["a black dog"]
    assert first(mined(range_max=3)) == ["a cat chases a dog"]
    assert first(mined(max_score=math.cos(math.radians(15)))) == ["a black dog", "a horse"]
    assert first(mined(relative_margin=0.05)) == ["a black dog", "a horse"]
    assert mined(relative_margin=0.05).left_out[LIKE] > mined().left_out[LIKE] == 0


def test_margins_are_of_the_pairs_own_cosine() -> None:
    """By image: what is more like the image than its caption is too like, unless the margin is below 0."""
    images = directions(12, 3, 10, 2, 20, 30, 40)
    assert first(mined(images)) == ["a black dog", "a horse"]
    assert first(mined(images, relative_margin=-1.0)) == ["a cat chases a dog", "a black dog"]


def test_negatives_that_a_caption_has_stay_before_and_are_not_doubled() -> None:
    own = (Negative("a cat chases a dog", "relation_swap"), Negative("a house", "given"))
    examples = [
        Example(f"{n}", image, ImageRef(Path(image)), caption, graph=of, negatives=() if n else own)
        for n, (image, caption, of, _) in enumerate(PAIRS)
    ]
    assert first(mined(examples=examples)) == [*(n.caption for n in own), "a black dog", "a horse"]


def test_what_cannot_be_mined_is_refused() -> None:
    with pytest.raises(ValueError, match="range_max=3 leaves nothing to look at after range_min=3"):
        Mining(range_min=3, range_max=3)
    bare = [Example("k", "0", ImageRef(Path("0.jpg")), "a dog chases a cat")]
    with pytest.raises(ValueError, match="1 pairs have no graph, the first k: parse"):
        mined(examples=bare)
