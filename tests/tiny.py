"""A real open_clip model small enough for unit tests, and random batches for it."""

from __future__ import annotations

import torch

from knowclip.models.clip import DualEncoder
from knowclip.models.loading.architectures import construct
from knowclip.types import Batch, Phrases, SubgraphTexts

VOCABULARY, LENGTH, IMAGE = 40, 8, 16


class Tokenizer:
    """Words to hashes; the highest id ends a text, as open_clip's argmax pooling wants."""

    context_length = LENGTH

    def __call__(self, texts: list[str]) -> torch.Tensor:
        ids = torch.zeros(len(texts), LENGTH, dtype=torch.long)
        for row, text in enumerate(texts):
            words = [1 + sum(map(ord, word)) % (VOCABULARY - 2) for word in text.split()][: LENGTH - 1]
            ids[row, : len(words) + 1] = torch.tensor([*words, VOCABULARY - 1])
        return ids


def tiny_model(*, seed: int = 0, siglip: bool = False) -> DualEncoder:
    config = {
        "embed_dim": 8,
        "vision_cfg": {"image_size": IMAGE, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
        "text_cfg": {
            "context_length": LENGTH, "vocab_size": VOCABULARY, "width": 16, "heads": 2, "layers": 1
        },
    }  # fmt: skip
    if siglip:
        config |= {"init_logit_bias": -2.0}
    torch.manual_seed(seed)
    return DualEncoder(construct(config), config=config, tokenizer=Tokenizer())


def tiny_batch(size: int, *, negatives: int = 2, seed: int = 0, distinct: bool = False) -> Batch:
    """Random pairs; unless ``distinct``, some rows share an image, a caption, or lack negatives."""
    random = torch.Generator().manual_seed(seed)

    def tokens(*shape: int) -> torch.Tensor:
        ids = torch.randint(1, VOCABULARY - 1, (*shape, LENGTH), generator=random)
        ids[..., -1] = VOCABULARY - 1
        return ids

    image_ids, caption_ids = torch.arange(size), 100 + torch.arange(size)
    negative_ids = 1000 + torch.arange(size * negatives).view(size, negatives)
    negative_mask = torch.ones(size, negatives, dtype=torch.bool)
    if not distinct and size > 3:
        image_ids[2] = image_ids[0]
        caption_ids[3] = caption_ids[1]
        negative_mask = torch.rand(size, negatives, generator=random) > 0.4
        if negatives:
            negative_ids[0, 0] = caption_ids[1]
    texts, negative_texts = tokens(size), tokens(size, negatives)
    images = torch.randn(size, 3, IMAGE, IMAGE, generator=random)
    return Batch(
        keys=tuple(f"pair{number}" for number in range(size)),
        texts=texts,
        negatives=negative_texts,
        negative_mask=negative_mask,
        image_ids=image_ids,
        caption_ids=caption_ids,
        negative_ids=negative_ids,
        images=images,
        triples=triples(size, generator=random),
        negative_triples=triples(size, negatives, generator=random),
        objects=Phrases(texts=tokens(5)[:, 5:], ids=500 + torch.arange(5)),
        subgraphs=subgraphs(tokens(6)[:, 4:], images=image_ids),
    )


def subgraphs(texts: torch.Tensor, *, images: torch.Tensor) -> SubgraphTexts:
    """Six texts: two true of image 0, one of 1; the last three false of 0, of which one is true of 1."""
    zero, one = images[0].item(), images[min(1, len(images) - 1)].item()
    return SubgraphTexts(
        texts=texts,
        ids=700 + torch.arange(6),
        claims=torch.tensor([[1, 0], [2, 0], [3, 0], [2, 3], [4, 0], [3, 5]]),
        turns=torch.tensor([0, 1, 0, 0, 1, 2]),
        positives=torch.tensor([[zero, 700], [zero, 701], [one, 702]]),
        negatives=torch.tensor([[zero, 703], [zero, 704], [zero, 705], [one, 703]]),
        truths=torch.tensor([[zero, 1], [zero, 2], [one, 3], [one, 5]]),
    )


def triples(*shape: int, generator: torch.Generator) -> torch.Tensor:
    """Up to three triples a text of phrases of one or two tokens; the second text has none."""
    ids = torch.randint(1, VOCABULARY - 1, (*shape, 3, 3, 2), generator=generator)
    ids[..., 1] = ids[..., 1].where(torch.rand(ids.shape[:-1], generator=generator) > 0.5, -1)
    count = torch.randint(0, 4, shape, generator=generator)
    if len(shape) == 1 and shape[0] > 1:
        count[1] = 0
    missing = torch.arange(3) >= count[..., None]
    return ids.masked_fill(missing[..., None, None], -1)
