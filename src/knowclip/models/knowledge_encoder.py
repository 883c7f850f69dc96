"""Structure-CLIP's Knowledge-Enhanced Encoder (KEE, S4): the triples of a caption, added to its embedding.

``e_k = w_h + w_r - w_t`` for each triple, a Transformer over ``e_1 .. e_K`` and a read-out token gives ``k``,
and the caption becomes ``t~ = t + lambda k``, ``k`` of length 1.

Shape legend: M texts, K triples, P tokens of a phrase, V words, W their width, D embedding width.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from knowclip.knowledge.parsing.triple_phrases import PADDING
from knowclip.models.clip import DualEncoder
from knowclip.models.set_transformers import BertOverSet, SetTransformer, open_bert
from knowclip.models.text_length import word_embedding
from knowclip.models.tokenizers import phrase_ids

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

Composition = Literal["minus", "sum", "concatenation"]


class KnowledgeEncoder(nn.Module):
    """Adds what the triples of a text say to its embedding.

    Deviations from the authors' code, which keeps 6 triples and 5 tokens a phrase, averages padding in and
    reads out slot 0: any number of triples and tokens, a mean over real tokens, a learned read-out token (so
    that the order of the triples does not matter), ``t~`` of length 1 again, and ``t~ = t`` exactly for a
    text without triples.

    The word embeddings ``w`` are the text tower's own matrix, handed in at each call: a copy would be 25
    million parameters more to step, in ViT-B/32 a sixth of the model. A BERT brings its own.

    Args:
        model: To whose text embeddings it adds, and whose words and tokenizer it shares.
        layers: Of its Transformer; 6 in the paper.
        composition: How a triple becomes one vector: "minus" ``w_h + w_r - w_t``, "sum" ``w_h + w_r + w_t``,
            "concatenation" a linear map of ``[w_h, w_r, w_t]``.
        scale: ``lambda``; 0.2 in the paper.
        renormalize: Whether ``t~`` is of length 1; the authors' code leaves it as it is.
        pretrained: Folder of a BERT (transformers): its word embeddings, tokenizer and first ``layers``
            layers are where it starts from, as the paper starts from BERT-base. None: a Transformer of
            random weights over the tower's words.

    Raises:
        ValueError: If the folder holds no BERT, or one with fewer layers.
    """

    def __init__(
        self,
        model: DualEncoder,
        *,
        layers: int,
        composition: Composition,
        scale: float,
        renormalize: bool,
        pretrained: str | Path | None = None,
    ) -> None:
        super().__init__()
        self.transformer: SetTransformer | BertOverSet
        if pretrained is None:
            width = word_embedding(model.model).embedding_dim
            self.transformer = SetTransformer(width, layers=layers)
            self.phrase_ids = partial(phrase_ids, model.tokenizer)
        else:
            self.transformer = open_bert(Path(pretrained), layers=layers)
            width = self.transformer.words.embedding_dim
            self.phrase_ids = self.transformer.phrase_ids
        self.compose = nn.Linear(3 * width, width, bias=False) if composition == "concatenation" else None
        self.tail_sign = {"minus": -1, "sum": 1}.get(composition)
        self.readout = nn.Parameter(0.02 * torch.randn(width))
        self.proj = nn.Linear(width, model.embed_dim, bias=False)
        self.scale = scale
        self.renormalize = renormalize
        self.options: dict[str, Any] = {
            "layers": layers,
            "composition": composition,
            "scale": scale,
            "renormalize": renormalize,
            "pretrained": None if pretrained is None else str(pretrained),
        }

    def forward(
        self,
        text_features: Float[Tensor, "M D"],
        triples: Int[Tensor, "M K 3 P"],
        *,
        words: Float[Tensor, "V W"],
    ) -> Float[Tensor, "M D"]:
        """Add the knowledge of the triples to normalised text embeddings.

        Args:
            text_features: ``t``.
            triples: Token ids, -1 where there is none (``knowledge.phrases.pack``).
            words: The tower's word embeddings; of no use to a BERT.

        Returns:
            ``t~``; for a text without triples ``t``, bit for bit.
        """
        present = (triples != PADDING).flatten(2).any(dim=-1)
        rows = present.any(dim=1)
        if not rows.any():
            return text_features
        knowledge = self.encode(triples[rows], present[rows], words).to(text_features.dtype)
        enhanced = text_features[rows] + self.scale * knowledge
        if self.renormalize:
            enhanced = F.normalize(enhanced, dim=-1)
        return text_features.index_put((rows,), enhanced)

    def encode(
        self, triples: Int[Tensor, "M K 3 P"], present: Bool[Tensor, "M K"], words: Float[Tensor, "V W"]
    ) -> Float[Tensor, "M D"]:
        """Encode the triples alone: ``k``, L2-normalised."""
        if isinstance(self.transformer, BertOverSet):
            words = self.transformer.words.weight
        embedded = self._compose(phrase_means(triples, words))
        readout = self.readout.to(embedded.dtype).expand(len(embedded), 1, -1)
        mask = F.pad(present, (1, 0), value=True)
        hidden = self.transformer(torch.cat([readout, embedded], dim=1), mask)
        return F.normalize(self.proj(hidden[:, 0]).float(), dim=-1)

    def _compose(self, phrases: Float[Tensor, "M K 3 W"]) -> Float[Tensor, "M K W"]:
        if self.compose is not None:
            return self.compose(phrases.flatten(2))
        head, relation, tail = phrases.unbind(dim=2)
        return head + relation + self.tail_sign * tail


def phrase_means(triples: Int[Tensor, "M K 3 P"], words: Float[Tensor, "V W"]) -> Float[Tensor, "M K 3 W"]:
    """Mean of the word embeddings of each phrase; padding counts for nothing, a phrase of none gives 0."""
    real = triples != PADDING
    lengths = real.sum(dim=-1)
    starts = lengths.flatten().cumsum(0) - lengths.flatten()
    return F.embedding_bag(triples[real], words, starts, mode="mean").view(*lengths.shape, -1)
