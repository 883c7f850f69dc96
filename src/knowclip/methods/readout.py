"""Triple read-out: one small head tells who has what, and who does what to whom, from either embedding."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from knowclip.knowledge.parsing.triple_phrases import PADDING
from knowclip.losses.masks import first_of_each, listed
from knowclip.losses.readout import readout_loss
from knowclip.methods.terms import Term
from knowclip.models.knowledge_encoder import phrase_means
from knowclip.models.text_length import word_embedding
from knowclip.models.tokenizers import phrase_ids
from knowclip.types import Batch, Features

if TYPE_CHECKING:
    from jaxtyping import Bool, Int
    from torch import Tensor

    from knowclip.knowledge.parsing.triple_phrases import PhraseIds
    from knowclip.models.clip import DualEncoder

_MIX = 0x9E3779B97F4A7C15
"""Odd, so that products with its powers lose nothing modulo 2**64."""


class Readout(Term):
    """Both towers must say, in one vector, what belongs to what: ``tail = head_mlp(vector, head, relation)``.

    One head for texts and images, so that both towers must say it in one way. It is given the words of head
    and relation ((dog, is), (dog, chase)) as means of the text tower's word embeddings, which do not learn
    from it; it is no part of the checkpoint that is kept. Ours.

    Args:
        model: The towers, for their widths and words; not kept.
        weight: Of the mean of :func:`~knowclip.losses.readout.readout_loss` on captions and on images.
        width: Of the head.
    """

    def __init__(self, model: DualEncoder, *, weight: float, width: int) -> None:
        super().__init__()
        self.weight = weight
        self._phrase_ids = partial(phrase_ids, model.tokenizer)
        words = word_embedding(model.model).embedding_dim
        # word embeddings are short (0.02 a dimension at first): unscaled, a bias would make all phrases one
        self.phrases = nn.Sequential(nn.LayerNorm(words), nn.Linear(words, width, bias=False))
        self.head = nn.Sequential(
            nn.Linear(model.embed_dim + 2 * width, width), nn.GELU(), nn.Linear(width, width)
        )
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def phrase_ids(self) -> PhraseIds | None:
        """Of the text tower's words."""
        return self._phrase_ids

    def features(self, model: DualEncoder, batch: Batch, features: Features) -> dict[str, Tensor]:
        """Ask for the tail of every triple of every caption, by its embedding and by its image's."""
        present = (batch.triples != PADDING).any(dim=-1).all(dim=-1)
        rows, triples = present.nonzero()[:, 0], batch.triples[present]
        words = word_embedding(model.model).weight.detach()
        means = (
            phrase_means(triples[:, None], words)[:, 0]
            if len(rows)
            else words.new_zeros(0, 3, words.shape[1])
        )
        heads, relations, tails = self.phrases(means).unbind(dim=1)
        head_ids, relation_ids, tail_ids = _hashes(triples).unbind(dim=1)

        def asked(embeddings: Tensor) -> Tensor:
            given = torch.cat([embeddings[rows], heads.float(), relations.float()], dim=1)
            return F.normalize(self.head(given).float(), dim=-1)

        return {
            "readout_text_queries": asked(features.text_features),
            "readout_image_queries": asked(features.image_features),
            "readout_tails": F.normalize(tails.float(), dim=-1),
            "readout_query_ids": _hashes(torch.stack([batch.image_ids[rows], head_ids, relation_ids], dim=1)),
            "readout_tail_ids": tail_ids,
            "readout_logit_scale": self.logit_scale.exp(),
        }

    def losses(self, features: Features) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Give ``readout_loss``, and how often either embedding names the tail."""
        queries, tails = features.readout_query_ids, features.readout_tail_ids
        rows = first_of_each(tails)
        own = tails[:, None] == tails[rows]
        true = listed(torch.stack([queries, tails], dim=1), rows=queries, columns=tails[rows])
        shared = {
            "tail_features": features.readout_tails[rows],
            "logit_scale": features.readout_logit_scale,
            "tail_labels": own.int().argmax(dim=1) if len(rows) else tails,
            "known_tails": true & ~own,
        }
        sides = {"text": features.readout_text_queries, "image": features.readout_image_queries}
        losses = [readout_loss(query_features=asked, **shared) for asked in sides.values()]
        report = {"readout_triples": float(len(tails))}
        for side, asked in sides.items() if len(tails) else ():
            report[f"readout_{side}_accuracy"] = _accuracy(asked, shared["tail_features"], own, true)
        return {"readout_loss": self.weight * sum(losses) / len(losses)}, report


@torch.no_grad()
def _accuracy(queries: Tensor, tails: Tensor, own: Bool[Tensor, "k U"], true: Bool[Tensor, "k U"]) -> float:
    """Share of triples whose tail is strictly nearest of all that are not true."""
    similarity = queries @ tails.T
    others = similarity.masked_fill(true | own, float("-inf")).amax(dim=1)
    return (similarity[own] > others).float().mean().item()


def _hashes(ids: Int[Tensor, "... P"]) -> Int[Tensor, " ..."]:
    """64-bit hash of each row of integers, the same however many :data:`PADDING` follow them."""
    powers = [pow(_MIX, place + 1, 1 << 64) for place in range(ids.shape[-1])]
    signed = [power - (1 << 64) if power >> 63 else power for power in powers]
    # sums and products of int64 wrap around, which is what a hash wants
    mixed = ((ids - PADDING) * torch.tensor(signed, device=ids.device)).sum(dim=-1)
    return mixed ^ (mixed >> 29)
