"""Texts that a model reads alike are told, whatever makes them alike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer

from knowclip.data.captions.collate import Collator
from knowclip.data.captions.dataset import CaptionDataset, Item
from knowclip.data.captions.negatives import Prepared, told_apart
from knowclip.data.captions.token_identity import Reading
from knowclip.data.images.identity import ImageFiles
from knowclip.models.tokenizers import word_tokenizer
from knowclip.types import Example, ImageRef, Negative

SPELLED = SimpleTokenizer(context_length=12)
WORDS = word_tokenizer(["a dog rides the horse"], context_length=8)


@pytest.mark.parametrize(
    ("tokenizer", "first", "second", "alike"),
    [
        (SPELLED, "a dog rides a horse", "a horse rides a dog", False),
        (SPELLED, "very " * 12 + "red", "very " * 12 + "blue", True),
        (SPELLED, "A Dog", "a dog", True),
        (SPELLED, "a  dog", "a dog", True),
        (WORDS, "a zebra rides the dog", "a llama rides the dog", True),
        (WORDS, "a zebra rides the dog", "a dog rides the zebra", False),
    ],
)
def test_what_is_read_alike_has_one_key(tokenizer, first, second, alike) -> None:
    reading = Reading(tokenizer)
    keys = reading([first, second])
    assert (keys[0] == keys[1]) == alike
    assert reading.may_be_alike(first, second) or not alike
    assert reading([second]) == [keys[1]]  # whatever was read with it


def example(caption: str, *negatives: str) -> Example:
    made = tuple(Negative(text, "kind") for text in negatives)
    return Example("a#0", "a", ImageRef(Path("a")), caption, negatives=made)


def test_negatives_that_read_like_their_caption_are_left_out_and_counted() -> None:
    long = "very " * 12
    given = Prepared(
        [example("a dog", "a cat", "A DOG"), example(long + "red", long + "blue")], Counter(kind=2), Counter()
    )
    left = told_apart(given, SPELLED)
    assert [[n.caption for n in e.negatives] for e in left.examples] == [["a cat"], []]
    assert (left.alike, left.kinds["kind"]) == (2, 1)
    assert left.without == {"its negatives read like it in the model's 12 tokens": 1}


def test_a_slot_that_reads_like_its_caption_is_masked_and_truncated_captions_are_one() -> None:
    long = "very " * 12
    one, other = example(long + "red", long + "blue", "a cat"), example(long + "green")
    items = [Item(e, torch.ones(3, 2, 2), e.negatives) for e in (one, other)]
    batch = Collator(tokenizer=SPELLED, negatives_per_caption=2)(items)
    assert batch.negative_mask.tolist() == [[False, True], [False, False]]
    assert batch.caption_ids[0] == batch.caption_ids[1] == batch.negative_ids[0, 0]


def test_an_unreadable_image_gives_its_place_to_another_pair() -> None:
    def load(index: int) -> torch.Tensor:
        if index == 3:
            raise ValueError("image 3 cannot be decoded")
        return torch.full((1,), float(index))

    pairs = [Example(f"{n}#0", f"{n}", ImageRef(Path(f"{n}")), "a dog") for n in range(8)]
    dataset = CaptionDataset(pairs, load_image=load, max_unreadable=1)
    items = [dataset[index] for index in range(8)]
    assert [len(item.unreadable) for item in items] == [0, 0, 0, 1, 0, 0, 0, 0]
    assert items[3].example.key != "3#0" and items[3].unreadable == {"3": "image 3 cannot be decoded"}
    assert items[3].image.item() == float(items[3].example.image_id)
    assert dataset[3].example == items[3].example
    with pytest.raises(ValueError, match="image 3 cannot"):
        CaptionDataset(pairs, load_image=load)[3]


def test_files_are_one_by_place_or_by_content(tmp_path) -> None:
    big = bytes(20_000)
    contents = {"a": b"one", "b": b"two", "c": big, "d": big[:10_000] + b"x" + big[10_001:]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "copy").write_bytes(big)
    held_out = ImageFiles([tmp_path / "link", tmp_path / "copy", tmp_path / "d", tmp_path / "gone"])
    shared = held_out.shared_with(ImageFiles([tmp_path / name for name in ("a", "b", "c", "gone2")]))
    assert shared == {tmp_path / "link": tmp_path / "a", tmp_path / "copy": tmp_path / "c"}
