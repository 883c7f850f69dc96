"""Which pairs are false negatives, by small cases and against the definition."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from knowclip.losses.masks import false_negatives, first_of_each, listed, usable_negatives


def test_captions_of_one_image_and_equal_captions_are_no_negatives() -> None:
    # rows 0 and 2 show one image; rows 1 and 3 have one caption
    mask = false_negatives(image_ids=torch.tensor([7, 8, 7, 9]), caption_ids=torch.tensor([1, 2, 3, 2]))
    expected = [[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]]
    assert mask.int().tolist() == expected


def test_a_text_equal_to_another_caption_of_the_image_is_true_of_it() -> None:
    # image 7 has captions 1 and 2, image 8 has caption 2: text of row 2 is true of rows 0 and 1
    mask = false_negatives(image_ids=torch.tensor([7, 7, 8]), caption_ids=torch.tensor([1, 2, 2]))
    assert mask.int().tolist() == [[0, 1, 1], [1, 0, 1], [0, 1, 0]]


def test_a_negative_that_is_a_true_caption_is_masked_for_that_image_only() -> None:
    usable = usable_negatives(
        image_ids=torch.tensor([7, 8]),
        caption_ids=torch.tensor([1, 2]),
        negative_ids=torch.tensor([[2, 5], [6, 6]]),  # caption 0's first negative is caption 1
        negative_mask=torch.tensor([[True, True], [True, False]]),
    )
    assert usable[0].int().tolist() == [[1, 1], [1, 0]]
    assert usable[1].int().tolist() == [[0, 1], [1, 0]]


def test_no_slots() -> None:
    ids = torch.arange(3)
    empty = torch.zeros(3, 0, dtype=torch.long)
    usable = usable_negatives(image_ids=ids, caption_ids=ids, negative_ids=empty, negative_mask=empty.bool())
    assert usable.shape == (3, 3, 0)


def test_first_of_each() -> None:
    assert first_of_each(torch.tensor([5, 3, 5, 9, 3])).tolist() == [0, 1, 3]
    assert first_of_each(torch.zeros(0, dtype=torch.long)).tolist() == []


def test_listed_looks_pairs_up() -> None:
    pairs = torch.tensor([[7, 1], [8, 2], [9, 3]])
    found = listed(pairs, rows=torch.tensor([8, 7, 8]), columns=torch.tensor([1, 2, 5]))
    assert found.int().tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]] and found.dtype == torch.bool
    none = torch.zeros(0, 2, dtype=torch.long)
    assert not listed(none, rows=torch.tensor([8]), columns=torch.tensor([1])).any()


ids = st.lists(st.integers(0, 4), min_size=5, max_size=5).map(torch.tensor)


@given(
    image_ids=ids, caption_ids=ids, negative_ids=ids, filled=st.lists(st.booleans(), min_size=5, max_size=5)
)
def test_masks_follow_their_definition(image_ids, caption_ids, negative_ids, filled) -> None:
    false = false_negatives(image_ids=image_ids, caption_ids=caption_ids)
    usable = usable_negatives(
        image_ids=image_ids,
        caption_ids=caption_ids,
        negative_ids=negative_ids[:, None],
        negative_mask=torch.tensor(filled)[:, None],
    )
    for i in range(5):
        captions = {caption_ids[k].item() for k in range(5) if image_ids[k] == image_ids[i]}
        for j in range(5):
            assert false[i, j] == (i != j and caption_ids[j].item() in captions)
            assert usable[i, j, 0] == (filled[j] and negative_ids[j].item() not in captions)
