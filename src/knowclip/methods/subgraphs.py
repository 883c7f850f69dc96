"""MosaiCLIP: sub-graphs of captions as several positives, edited ones as negatives (Singh et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from knowclip.losses.masks import first_of_each, listed
from knowclip.losses.subgraphs import subgraph_loss
from knowclip.methods.terms import Term, encoded
from knowclip.types import Batch, Features

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from knowclip.models.clip import DualEncoder

_FIELDS = ("ids", "claims", "turns", "positives", "negatives", "truths")


class Subgraphs(Term):
    """Each image chooses the parts of its captions' graphs among false ones, beside its caption.

    As we understand the paper, whose captions are one of the positives; here they keep the loss of the
    method. What an image's captions make true is none of its negatives, whosever text it is.

    Args:
        weight: Of :func:`~knowclip.losses.subgraphs.subgraph_loss`.
        against: "batch": all texts that are false of an image are its negatives, and the images that a text
            is false of those of the text; "own": the edited sub-graphs of the image alone, and no images.
        shared: As there.
        curriculum: Steps in which each caption has one positive and one negative.
    """

    def __init__(
        self, *, weight: float, against: Literal["batch", "own"], shared: bool, curriculum: int
    ) -> None:
        super().__init__()
        self.weight = weight
        self.against = against
        self.shared = shared
        self.curriculum = curriculum
        if curriculum:
            # a buffer, so that a resumed run does not begin anew
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def features(self, model: DualEncoder, batch: Batch, features: Features) -> dict[str, Tensor]:
        """Embed each distinct text once."""
        texts = batch.subgraphs
        found = {f"subgraph_{name}": getattr(texts, name) for name in _FIELDS}
        return found | {"subgraph_features": encoded(model, texts.texts)}

    def losses(self, features: Features) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Give ``subgraph_loss``; how many texts there were, how often a true one beat the edited ones."""
        order = features.subgraph_turns.argsort(stable=True)
        rows = order[first_of_each(features.subgraph_ids[order])]
        if self.curriculum and self.steps < self.curriculum:
            rows = rows[features.subgraph_turns[rows] == 0]
        positives, true, edited = _masks(features, rows)
        false = ~true
        loss = subgraph_loss(
            image_features=features.image_features,
            subgraph_features=features.subgraph_features[rows],
            logit_scale=features.logit_scale,
            positives=positives,
            false_texts=false if self.against == "batch" else edited,
            false_images=false if self.against == "batch" else torch.zeros_like(false),
            shared=self.shared,
        )
        if self.curriculum:
            self.steps += self.training  # a validation is no step
        report = {"subgraphs": float(len(rows))}
        report |= _accuracy(features.image_features, features.subgraph_features[rows], positives, edited)
        return {"subgraph_loss": self.weight * loss}, report


def _masks(
    features: Features, rows: Tensor
) -> tuple[Bool[Tensor, "B S"], Bool[Tensor, "B S"], Bool[Tensor, "B S"]]:
    """Which texts were drawn as true of each image, which are true of it, and which were made to be false."""
    images, texts = features.image_ids, features.subgraph_ids[rows]
    positives = listed(features.subgraph_positives, rows=images, columns=texts)
    stated = [
        listed(features.subgraph_truths, rows=images, columns=claims) | (claims == 0)
        for claims in features.subgraph_claims[rows].unbind(dim=1)
    ]
    true = torch.stack(stated).all(dim=0) | positives
    edited = listed(features.subgraph_negatives, rows=images, columns=texts) & ~true
    return positives, true, edited


@torch.no_grad()
def _accuracy(
    images: Tensor, texts: Tensor, positives: Bool[Tensor, "B S"], edited: Bool[Tensor, "B S"]
) -> dict[str, float]:
    """Share of positives that are nearer to their image than all its edited ones, where it has any."""
    asked = positives & edited.any(dim=1, keepdim=True)
    if not asked.any():
        return {}
    similarity = images @ texts.T
    hardest = similarity.masked_fill(~edited, float("-inf")).amax(dim=1, keepdim=True)
    return {"subgraph_accuracy": (similarity > hardest)[asked].float().mean().item()}
