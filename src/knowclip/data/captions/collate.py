"""Items to a Batch: tokens padded to the batch, and content hashes that tell false negatives.

Shape legend: B batch, N negatives per caption, K triples of a caption, P tokens of a phrase, L tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from knowclip.data.captions.dataset import Item
from knowclip.data.captions.subgraphs import CLAIMS, Text
from knowclip.knowledge.content_hashes import graph_key
from knowclip.knowledge.negatives.articles import article
from knowclip.knowledge.parsing.triple_phrases import PhraseIds, TripletIds, pack, triplet_ids
from knowclip.types import Batch, Example, Negative, Phrases, SceneGraph, SubgraphTexts

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor

_REMEMBERED = 500_000
"""Texts whose tokens and hashes are kept; beyond it they are made again each time."""


class Collator:
    """Makes batches of ``CaptionDataset`` items; the tokenizer is passed in.

    Args:
        tokenizer: Texts -> ids at full context length (``DualEncoder.tokenizer``).
        trim: Cuts the ids of a batch to the columns that its model needs; full length when None.
        negatives_per_caption: N. A caption with fewer repeats itself in the slots it leaves, masked: a row of
            mere padding would be NaN in towers that mask padding.
            So is a slot whose text the tokenizer turns into the ids of its caption, as where they differ
            beyond the context length: no weights could tell the two apart.
        trunk_features: The items hold outputs of a locked image trunk, not images.
        phrase_ids: Phrase -> token ids, for methods that read the triples of the graphs; None: left out.
        object_prompt: Text of an object of the graphs, with ``{name}`` and, for its article, ``{a}``; None:
            there are no such texts.
    """

    def __init__(
        self,
        *,
        tokenizer: Callable[[list[str]], Int[Tensor, "B L"]],
        trim: Callable[[Int[Tensor, "B L"]], Int[Tensor, "B L"]] | None = None,
        negatives_per_caption: int = 0,
        trunk_features: bool = False,
        phrase_ids: PhraseIds | None = None,
        object_prompt: str | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._trim = trim
        self._slots = negatives_per_caption
        self._trunk_features = trunk_features
        self._phrase_ids = phrase_ids
        self._object_prompt = object_prompt
        self._ids: dict[str, np.ndarray] = {}
        self._keys: dict[tuple[str, str], int] = {}
        self._triplets: dict[tuple[str, str], TripletIds] = {}

    def __call__(self, items: Sequence[Item]) -> Batch:
        """Collate B items.

        Raises:
            ValueError: An item has more negatives than slots.
        """
        examples = [item.example for item in items]
        counts = torch.tensor([len(item.negatives) for item in items])
        if counts.max() > self._slots:
            raise ValueError(f"an item has {counts.max()} negatives for {self._slots} slots")
        slots = [self._fill(item) for item in items]
        texts = [example.caption for example in examples] + [n.caption for row in slots for n in row]
        tokens, cut = self._tokens(texts)
        graphs = [(e.key, e.graph) for e in examples]
        graphs += [(e.key, n.graph) for e, row in zip(examples, slots, strict=True) for n in row]
        ids = torch.tensor(
            [
                row_key(row) if row is not None else self._key(key, text, graph)
                for (key, graph), text, row in zip(graphs, texts, cut, strict=True)
            ]
        )
        negatives = tokens[len(items) :].reshape(len(items), self._slots, tokens.shape[1])
        differs = (negatives != tokens[: len(items), None]).any(dim=-1)
        images = self._images(items)
        triples, negative_triples = self._triples(items, slots)
        return Batch(
            keys=tuple(example.key for example in examples),
            texts=tokens[: len(items)],
            negatives=negatives,
            negative_mask=(torch.arange(self._slots) < counts[:, None]) & differs,
            image_ids=torch.tensor([text_key(example.image_id) for example in examples]),
            caption_ids=ids[: len(items)],
            negative_ids=ids[len(items) :].reshape(len(items), self._slots),
            images=None if self._trunk_features else images,
            trunk_features=images if self._trunk_features else None,
            triples=triples,
            negative_triples=negative_triples,
            objects=self._objects(examples),
            subgraphs=self._subgraphs(items),
            unreadable={name: why for item in items for name, why in item.unreadable.items()},
        )

    def _fill(self, item: Item) -> list[Negative]:
        """Return one negative a slot, the caption itself standing where there is none."""
        example = item.example
        itself = Negative(example.caption, kind="", graph=example.graph)
        return [*item.negatives, *[itself] * (self._slots - len(item.negatives))]

    def _images(self, items: Sequence[Item]) -> Tensor:
        images = torch.stack([item.image for item in items])
        # bytes of a pixel cache stay bytes: the method normalises them, a micro-batch at a time
        return images if images.dtype == torch.uint8 else images.float()

    def _tokens(self, texts: list[str]) -> tuple[Int[Tensor, "M L"], list[np.ndarray | None]]:
        """Token ids of M texts, cut to what the longest needs; and the ids of those that fill the context.

        What such a text says beyond them the model does not read, so they are all that it claims.
        """
        ids = self._rows(texts)
        stacked = torch.from_numpy(np.stack(ids)).long()
        # padding is one id many times over; the end of a text that fills the context is none
        full = [row if len(row) > 1 and row[-1] != row[-2] else None for row in ids]
        return stacked if self._trim is None else self._trim(stacked), full

    def _objects(self, examples: Sequence[Example]) -> Phrases | None:
        """A prompt for each name that the graphs give to an object."""
        if self._object_prompt is None:
            return None
        graphs = (example.graph for example in examples)
        names = dict.fromkeys(item.name for graph in graphs if graph is not None for item in graph.objects)
        return self._phrases([object_text(self._object_prompt, name) for name in names])

    def _subgraphs(self, items: Sequence[Item]) -> SubgraphTexts | None:
        """Texts of sub-graphs that read alike once, as the first of them; of which images each is true."""
        told = [(text_key(item.example.image_id), item.subgraphs) for item in items if item.subgraphs]
        if not told:
            return None
        several = [(image, drawn.positives, drawn.negatives) for image, drawn in told]
        every = [text.text for _, *both in several for texts in both for text in texts]
        ids = dict(zip(every, map(row_key, self._rows(every)), strict=True))
        first: dict[int, tuple[Text, int]] = {}
        for _, *both in several:
            for texts in both:
                for turn, text in enumerate(texts):
                    kept, earliest = first.get(ids[text.text], (text, turn))
                    first[ids[text.text]] = kept, min(turn, earliest)
        texts = [text.text for text, _ in first.values()]
        claims = [(*text.claims, *[0] * (CLAIMS - len(text.claims))) for text, _ in first.values()]
        true, false = ([(row[0], ids[text.text]) for row in several for text in row[side]] for side in (1, 2))
        truths = [np.stack([np.full_like(d.truths, image), d.truths], axis=1) for image, d in told]
        return SubgraphTexts(
            texts=self._tokens(texts)[0] if texts else torch.zeros(0, 1, dtype=torch.long),
            ids=_integers(list(first)),
            claims=_integers(claims).view(-1, CLAIMS),
            turns=_integers([turn for _, turn in first.values()]),
            positives=_integers(true).view(-1, 2),
            negatives=_integers(false).view(-1, 2),
            truths=torch.from_numpy(np.concatenate(truths)),
        )

    def _phrases(self, texts: Sequence[str]) -> Phrases:
        texts = list(dict.fromkeys(texts))
        tokens = self._tokens(texts)[0] if texts else torch.zeros(0, 1, dtype=torch.long)
        return Phrases(texts=tokens, ids=torch.tensor([text_key(text) for text in texts], dtype=torch.long))

    def _rows(self, texts: Sequence[str]) -> list[Int[np.ndarray, " L"]]:
        """Token ids of texts at full context length, remembered."""
        new = [text for text in dict.fromkeys(texts) if text not in self._ids]
        rows = dict(zip(new, self._tokenizer(new).to(torch.int32).numpy(), strict=True)) if new else {}
        if len(self._ids) < _REMEMBERED:
            self._ids |= rows
        return [rows[text] if text in rows else self._ids[text] for text in texts]

    def _triples(
        self, items: Sequence[Item], slots: list[list[Negative]]
    ) -> tuple[Int[Tensor, "B K 3 P"], Int[Tensor, "B N K 3 P"]] | tuple[None, None]:
        """Triples of what captions and negatives claim, both filled up to the same K and P."""
        if self._phrase_ids is None:
            return None, None
        examples = [item.example for item in items]
        texts = [self._triplet_ids(e.key, e.caption, e.graph) for e in examples]
        for example, row in zip(examples, slots, strict=True):
            texts += [self._triplet_ids(example.key, n.caption, n.graph) for n in row]
        packed = torch.from_numpy(pack(texts))
        return packed[: len(items)], packed[len(items) :].unflatten(0, (len(items), self._slots))

    def _triplet_ids(self, key: str, caption: str, graph: SceneGraph | None) -> TripletIds:
        """Token ids of the triples of a graph, remembered by example and text."""
        found = self._triplets.get((key, caption))
        if found is None:
            found = triplet_ids(graph, self._phrase_ids)
            if len(self._triplets) < _REMEMBERED:
                self._triplets[key, caption] = found
        return found

    def _key(self, key: str, caption: str, graph: SceneGraph | None) -> int:
        """Content hash of what a caption claims, remembered by example and text."""
        found = self._keys.get((key, caption))
        if found is None:
            found = graph_key(caption, graph)
            if len(self._keys) < _REMEMBERED:
                self._keys[key, caption] = found
        return found


def _integers(values: list) -> Int[Tensor, " M"]:
    return torch.tensor(values, dtype=torch.long)


def object_text(prompt: str, name: str) -> str:
    """A prompt with an object's name; its article is that of the first word behind it."""
    following = prompt.partition("{a}")[2].lstrip().format(name=name, a="a")
    return prompt.format(name=name, a=article(following))


def text_key(text: str) -> int:
    """64-bit signed content hash of a text, the same on every machine."""
    return _hash(text.encode())


def row_key(ids: Int[np.ndarray, " L"]) -> int:
    """64-bit signed content hash of token ids."""
    # little-endian, so that the hash is the same on every machine; "ids " keeps it apart from texts'
    return _hash(b"ids " + ids.astype("<i4").tobytes())


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)
