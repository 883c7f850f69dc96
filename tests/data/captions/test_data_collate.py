from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from knowclip.data.captions.collate import Collator, text_key
from knowclip.data.captions.dataset import CaptionDataset, Item
from knowclip.data.captions.sampler import GlobalBatchSampler
from knowclip.types import Example, ImageRef, Negative, Relation, SceneGraph, SceneObject

LENGTH = 12


def riding(subject: str, object: str) -> SceneGraph:
    return SceneGraph((SceneObject(subject), SceneObject(object)), (), (Relation(0, "ride", 1),))


class Words:
    """A tokenizer of words: 1 starts, 2 ends, 0 pads; counts the texts it is given."""

    def __init__(self) -> None:
        self.vocabulary: dict[str, int] = {}
        self.texts = 0

    def __call__(self, texts: list[str]) -> torch.Tensor:
        rows = torch.zeros(len(texts), LENGTH, dtype=torch.long)
        for row, text in zip(rows, texts, strict=True):
            self.texts += 1
            ids = [1, *(self.vocabulary.setdefault(w, len(self.vocabulary) + 3) for w in text.split()), 2]
            row[: len(ids)] = torch.tensor(ids)
        return rows


def trim(ids: torch.Tensor) -> torch.Tensor:
    return ids[:, : int((ids != 0).sum(dim=1).max())]


def item(caption: str, *negatives: Negative, key: str = "a#0", image: str = "a", graph=None) -> Item:
    return Item(Example(key, image, ImageRef(Path(image)), caption, graph), torch.ones(3, 2, 2), negatives)


HORSE = item(
    "a man rides a horse",
    Negative("a horse rides a man", "relation_swap", graph=riding("horse", "man")),
    graph=riding("man", "horse"),
)
OWL = item(
    "an owl and a man",
    key="c#0",
    image="c",
    graph=SceneGraph((SceneObject("owl"), SceneObject("man"))),
)
DOG = item("a dog", key="b#0", image="b")


def test_shapes_and_masks():
    batch = Collator(tokenizer=Words(), trim=trim, negatives_per_caption=2)([HORSE, DOG])
    assert batch.keys == ("a#0", "b#0")
    assert batch.texts.tolist() == [[1, 3, 4, 5, 3, 6, 2], [1, 3, 7, 2, 0, 0, 0]]
    assert batch.negatives.shape == (2, 2, 7) and batch.negatives[0, 0].tolist() == [1, 3, 6, 5, 3, 4, 2]
    assert batch.negative_mask.tolist() == [[True, False], [False, False]]
    assert batch.images.shape == (2, 3, 2, 2) and batch.trunk_features is None
    assert batch.texts.dtype == batch.caption_ids.dtype == batch.negative_ids.dtype == torch.int64


def test_masked_slots_repeat_the_caption():
    batch = Collator(tokenizer=Words(), trim=trim, negatives_per_caption=2)([HORSE, DOG])
    assert torch.equal(batch.negatives[1], batch.texts[1].expand(2, -1))
    assert torch.equal(batch.negatives[0, 1], batch.texts[0])
    assert batch.negative_ids[1].tolist() == [batch.caption_ids[1]] * 2


def test_without_negatives_there_are_no_slots():
    batch = Collator(tokenizer=Words(), trim=trim)([DOG])
    assert batch.negatives.shape == (1, 0, 4)
    assert batch.negative_mask.shape == batch.negative_ids.shape == (1, 0)


def test_full_length_without_trim():
    assert Collator(tokenizer=Words())([DOG]).texts.shape == (1, LENGTH)


def test_more_negatives_than_slots_are_refused():
    with pytest.raises(ValueError, match="1 negatives for 0 slots"):
        Collator(tokenizer=Words())([HORSE])


def test_ids_recognise_false_negatives():
    swapped = item("the horse rides the man", key="c#0", image="c", graph=riding("horse", "man"))
    twin = item("a man rides a horse", key="a#1", graph=riding("man", "horse"))
    batch = Collator(tokenizer=Words(), negatives_per_caption=1)([HORSE, twin, swapped, DOG])
    assert batch.image_ids[0] == batch.image_ids[1] != batch.image_ids[2]
    assert batch.caption_ids[0] == batch.caption_ids[1]
    assert (
        batch.negative_ids[0, 0] == batch.caption_ids[2]
    )  # true of another image of the batch, in other words
    assert len(set(batch.caption_ids.tolist())) == 3


def test_ids_are_the_same_in_every_process():
    assert text_key("a.jpg") == -123866571502082167  # printf a.jpg | b2sum -l 64
    first, second = (Collator(tokenizer=Words(), negatives_per_caption=1)([HORSE]) for _ in range(2))
    assert first.caption_ids.tolist() == second.caption_ids.tolist()


def test_each_text_is_tokenized_once():
    words = Words()
    collate = Collator(tokenizer=words, negatives_per_caption=1)
    batches = [collate([HORSE, DOG]) for _ in range(3)]
    assert words.texts == 3
    assert torch.equal(batches[0].negatives, batches[2].negatives)


def test_texts_beyond_memory_are_tokenized_again(monkeypatch):
    monkeypatch.setattr("knowclip.data.captions.collate._REMEMBERED", 0)
    words = Words()
    collate = Collator(tokenizer=words)
    expected = collate([DOG])
    assert torch.equal(collate([DOG]).texts, expected.texts) and words.texts == 2
    assert torch.equal(collate([DOG]).caption_ids, expected.caption_ids)


def test_bytes_stay_bytes_and_trunk_features_go_to_their_field():
    byte = Item(DOG.example, torch.full((3, 2, 2), 255, dtype=torch.uint8), ())
    batch = Collator(tokenizer=Words())([byte])
    assert batch.images.dtype == torch.uint8 and (batch.images == 255).all()
    trunk = Item(DOG.example, torch.ones(5, dtype=torch.float16), ())
    batch = Collator(tokenizer=Words(), trunk_features=True)([trunk])
    assert batch.images is None and batch.trunk_features.shape == (1, 5)
    assert batch.trunk_features.dtype == torch.float32


def load_image(i: int) -> torch.Tensor:
    return torch.full((3, 2, 2), float(i))


@pytest.mark.parametrize("workers", [0, 1])
def test_through_a_data_loader(workers):
    examples = [
        Example(
            f"{i}#0", str(i), ImageRef(Path(str(i))), f"caption {i}", None, (Negative(f"no {i}", "swap"),)
        )
        for i in range(10)
    ]
    data = CaptionDataset(examples, load_image=load_image, negatives_per_caption=1)
    sampler = GlobalBatchSampler(10, batch_size=4, drop_last=False)
    loader = DataLoader(
        data,
        batch_sampler=sampler,
        collate_fn=Collator(tokenizer=Words(), negatives_per_caption=1),
        num_workers=workers,
    )
    batches = list(loader)
    assert [len(b.keys) for b in batches] == [4, 4, 2]
    for batch in batches:
        assert [f"{int(image[0, 0, 0])}#0" for image in batch.images] == list(batch.keys)


def test_triples_of_captions_and_of_negatives_come_from_their_graphs():
    ids = {"man": [5], "horse": [6, 7], "ride": [8]}
    collate = Collator(tokenizer=Words(), negatives_per_caption=2, phrase_ids=ids.__getitem__)
    for batch in (collate([HORSE, DOG]), collate([HORSE, DOG])):  # made, then remembered
        assert batch.triples.tolist() == [[[[5, -1], [8, -1], [6, 7]]], [[[-1, -1]] * 3]]
        assert batch.negative_triples.shape == (2, 2, 1, 3, 2)
        assert batch.negative_triples[0, 0].tolist() == [[[6, 7], [8, -1], [5, -1]]]
        assert (batch.negative_triples[1] == -1).all()
    plain = Collator(tokenizer=Words())([DOG])
    assert plain.triples is None and plain.negative_triples is None


def test_each_object_has_one_prompt():
    words = Words()
    collate = Collator(tokenizer=words, negatives_per_caption=1, object_prompt="a photo of {a} {name}")
    batch = collate([HORSE, OWL, DOG])
    expected = ["a photo of a man", "a photo of a horse", "a photo of an owl"]
    assert batch.objects.texts.tolist() == words(expected).tolist()
    assert batch.objects.ids.tolist() == [text_key(text) for text in expected]
    assert collate([DOG]).objects.texts.shape[0] == 0, "its graph is not known"
    assert Collator(tokenizer=Words())([DOG]).objects is None
