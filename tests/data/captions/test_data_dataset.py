from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from knowclip.data.captions.dataset import CaptionDataset, draw_negatives
from knowclip.types import Example, ImageRef, Negative

SWAPS = tuple(Negative(f"swap {i}", "relation_swap") for i in range(9))
COLOURS = (Negative("colour 0", "attribute_swap"),)


def examples(images: int = 4, captions: int = 3, negatives=SWAPS + COLOURS) -> list[Example]:
    return [
        Example(f"{i}.jpg#{k}", f"{i}.jpg", ImageRef(Path(f"{i}.jpg")), f"caption {k}", negatives=negatives)
        for i in range(images)
        for k in range(captions)
    ]


def dataset(found=None, **options) -> CaptionDataset:
    return CaptionDataset(found or examples(), load_image=lambda i: torch.tensor(i), **options)


def test_items_are_the_examples_with_their_images():
    data = dataset()
    assert len(data) == 12
    assert [data[i].example.key for i in (0, 4)] == ["0.jpg#0", "1.jpg#1"]
    assert data[4].image == 4 and data[4].negatives == ()


def test_draw_depends_on_seed_epoch_and_index_alone():
    def drawn(seed: int, epoch: int) -> list:
        data = dataset(negatives_per_caption=1, seed=seed)
        data.set_epoch(epoch)
        return [data[i].negatives for i in (5, 1, 0, 1)]

    assert drawn(1, 2) == drawn(1, 2)
    assert drawn(1, 2)[1] == drawn(1, 2)[3]
    assert len({str(drawn(s, e)) for s in range(3) for e in range(3)}) == 9


def test_kinds_are_balanced_though_one_is_rare():
    data = dataset(negatives_per_caption=1)
    kinds = Counter()
    for epoch in range(100):
        data.set_epoch(epoch)
        kinds.update(data[i].negatives[0].kind for i in range(len(data)))
    assert 0.45 < kinds["attribute_swap"] / kinds.total() < 0.55


def test_every_negative_is_seen_in_some_epoch():
    data = dataset(negatives_per_caption=2)
    seen = set()
    for epoch in range(60):
        data.set_epoch(epoch)
        seen.update(data[0].negatives)
    assert seen == {*SWAPS, *COLOURS}


@given(st.integers(0, 12), st.integers(0, 9), st.integers(0, 9), st.integers())
def test_drawn_negatives_differ_and_are_as_many_as_there_are(count, swaps, colours, seed):
    pool = [Negative(f"s{i}", "relation_swap") for i in range(swaps)]
    pool += [Negative(f"c{i}", "attribute_swap") for i in range(colours)]
    drawn = draw_negatives(pool, count, random.Random(seed))
    assert len(drawn) == len(set(drawn)) == min(count, len(pool))
    kinds = Counter(n.kind for n in drawn)
    if min(swaps, colours) * 2 >= count:
        assert abs(kinds["relation_swap"] - kinds["attribute_swap"]) <= 1


def test_one_caption_per_image_drawn_anew_each_epoch():
    data = dataset(captions_per_image="one")
    assert len(data) == 4 and data.choices[1] == (3, 4, 5)
    seen = set()
    for epoch in range(30):
        data.set_epoch(epoch)
        items = [data[i] for i in range(4)]
        assert [item.example.image_id for item in items] == [f"{i}.jpg" for i in range(4)]
        assert all(data.examples[int(item.image)] is item.example for item in items)
        seen.add(items[0].example.key)
    assert seen == {"0.jpg#0", "0.jpg#1", "0.jpg#2"}


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="at least one example"):
        CaptionDataset([], load_image=lambda i: torch.tensor(i))
    with pytest.raises(
        ValueError, match=r"none of the 12 examples has a negative, .*such as .*data\.train\.caption_column\?"
    ):
        dataset(examples(negatives=()), negatives_per_caption=1)
    with pytest.raises(ValueError, match="'some' is neither 'all' nor 'one'"):
        dataset(captions_per_image="some")
