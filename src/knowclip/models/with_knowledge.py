"""A model whose text tower reads texts with their triples: a DualEncoder, its KEE and its parser.

``WithKnowledge`` reads every text so; ``KnowledgeDualEncoder`` is a CLIP whose towers are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.parsing.triple_phrases import TripletIds, pack, triplet_ids
from knowclip.models.clip import DualEncoder
from knowclip.models.images import each_text
from knowclip.models.knowledge_encoder import KnowledgeEncoder
from knowclip.models.text_length import word_embedding

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


_PARSED = 200_000
"""Texts whose triples are kept: more than a benchmark has, and a service asks without end."""


class WithKnowledge(nn.Module):
    """Encodes images as the model does, and texts with what their parsed triples add ("with KEE").

    Stands for a DualEncoder wherever images and texts are encoded. Every text is parsed once, true captions
    and negatives alike, by the parser that the KEE was trained with.

    Args:
        model: The towers.
        encoder: Their KEE.
        parser: Of ``knowledge.parsing``.
    """

    def __init__(self, model: DualEncoder, encoder: KnowledgeEncoder, *, parser: str) -> None:
        super().__init__()
        self.model = model
        self.encoder = encoder
        self.parser = parser
        self.preprocess = model.preprocess
        self.tokenizer = model.tokenizer
        self.config: dict[str, Any] = {**model.config, "kee": encoder.options, "parser": parser}
        self._triplets: dict[str, TripletIds] = {}

    def encode_image(self, images: Any, *, normalize: bool = False) -> Float[Tensor, "B D"]:
        """``DualEncoder.encode_image``."""
        return self.model.encode_image(images, normalize=normalize)

    def encode_text(self, texts: str | Iterable[str], *, normalize: bool = False) -> Float[Tensor, "B D"]:
        """Embed texts with their triples.

        The KEE adds to *normalised* embeddings: ``normalize`` matters only where it does not renormalise.
        """
        texts = list(each_text(texts))
        enhanced = self._added(self.model.encode_text(texts, normalize=True), texts)
        return F.normalize(enhanced, dim=-1) if normalize and not self.encoder.renormalize else enhanced

    def enhance(self, plain: Float[Tensor, "B D"], texts: Sequence[str]) -> Float[Tensor, "B D"]:
        """What ``encode_text(texts, normalize=True)`` gives, of the model's own normalised embeddings."""
        return F.normalize(self._added(plain.to(self.model.device), list(texts)), dim=-1)

    def _added(self, plain: Float[Tensor, "B D"], texts: list[str]) -> Float[Tensor, "B D"]:
        triples = torch.from_numpy(pack(self._parsed(texts))).to(plain.device)
        return self.encoder(plain, triples, words=word_embedding(self.model.model).weight)

    def _parsed(self, texts: list[str]) -> list[TripletIds]:
        # once a text: benchmarks ask for the same captions again, and parsing is the dear part
        new = [text for text in dict.fromkeys(texts) if text not in self._triplets]
        for text, graph in zip(new, parse(new, parser=self.parser), strict=True):
            self._triplets[text] = triplet_ids(graph, self.encoder.phrase_ids)
        found = [self._triplets[text] for text in texts]
        while len(self._triplets) > _PARSED:
            del self._triplets[next(iter(self._triplets))]  # the oldest
        return found


class KnowledgeDualEncoder(DualEncoder):
    """A CLIP that was trained with a KEE: ``encode_text`` is its tower's own, ``score`` reads triples too.

    Args:
        model: The towers; they are shared, not copied.
        encoder: Their KEE.
        parser: Of ``knowledge.parsing``.
    """

    def __init__(self, model: DualEncoder, encoder: KnowledgeEncoder, *, parser: str) -> None:
        super().__init__(model.model, config=model.config, tokenizer=model.tokenizer)
        self.kee = encoder
        # in a tuple: a module that holds the one it is part of could not be moved or saved
        self._reader = (WithKnowledge(model, encoder, parser=parser),)

    def with_knowledge(self) -> WithKnowledge:
        """The same towers, reading every text with its triples."""
        return self._reader[0]
