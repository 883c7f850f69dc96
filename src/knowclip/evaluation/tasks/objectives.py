"""What a head is trained for: one right class, several right answers with scores, or a number.

Torch is imported where a loss is computed: the names of tasks are known without it.

Shape legend: n items, B batch (rows of the n), C outputs, K right answers an item at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor


class Objective(Protocol):
    """Loss for the gradient, score for the selection, both over rows of the training items."""

    @property
    def outputs(self) -> int:
        """C, the width of the head's output."""

    def loss(self, logits: Float[Tensor, "B C"], rows: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        """Scalar to minimise."""

    def score(self, logits: Float[Tensor, "B C"], rows: Int[Tensor, " B"]) -> float:
        """What selection maximises."""


def accuracy(predicted: Int[Tensor, " B"], labels: Int[Tensor, " B"]) -> float:
    """Share of equal entries."""
    return (predicted == labels).cpu().double().mean().item()  # a device may lack float64


@dataclass(frozen=True)
class Classification:
    """One right class an item: cross-entropy; selected by ``metric(predicted, labels)``."""

    labels: Int[Tensor, " n"]
    outputs: int
    metric: Callable[[Tensor, Tensor], float] = accuracy

    def loss(self, logits: Float[Tensor, "B C"], rows: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        """Mean cross-entropy."""
        from torch.nn import functional as F

        return F.cross_entropy(logits, self.labels[rows].to(logits.device))

    def score(self, logits: Float[Tensor, "B C"], rows: Int[Tensor, " B"]) -> float:
        """``metric`` of the best class."""
        return self.metric(logits.argmax(1).cpu(), self.labels[rows])


@dataclass(frozen=True)
class SoftAnswers:
    """Several right answers an item, each with a score in [0, 1]: binary cross-entropy over all C answers.

    The objective of the VQA challenge's winners (Teney et al. 2018, "Tips and tricks for VQA"): summed over
    answers, averaged over items.

    Args:
        answers: indices of the right answers, ``[n, K]``; unused places hold any index with score 0.
        scores: their scores, ``[n, K]``.
        outputs: C.
    """

    answers: Int[Tensor, "n K"]
    scores: Float[Tensor, "n K"]
    outputs: int

    def loss(self, logits: Float[Tensor, "B C"], rows: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        """Binary cross-entropy with the soft targets."""
        import torch
        from torch.nn import functional as F

        # added, not set: unused places repeat an index with score 0, and must not erase its own
        targets = torch.zeros(len(rows), self.outputs).scatter_add(1, self.answers[rows], self.scores[rows])
        targets = targets.clamp(max=1).to(logits.device)
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(rows)

    def score(self, logits: Float[Tensor, "B C"], rows: Int[Tensor, " B"]) -> float:
        """Mean score of the answer given."""
        given = logits.argmax(1, keepdim=True).cpu()
        return (self.scores[rows] * (self.answers[rows] == given)).sum(1).mean().item()


@dataclass(frozen=True)
class Regression:
    """A number an item: squared error; selected by ``metric(predicted, values)``."""

    values: Float[Tensor, " n"]
    metric: Callable[[Tensor, Tensor], float]
    outputs: int = 1

    def loss(self, logits: Float[Tensor, "B 1"], rows: Int[Tensor, " B"]) -> Float[Tensor, ""]:
        """Mean squared error."""
        from torch.nn import functional as F

        return F.mse_loss(logits.squeeze(1), self.values[rows].to(logits.device))

    def score(self, logits: Float[Tensor, "B 1"], rows: Int[Tensor, " B"]) -> float:
        """``metric`` of the predictions."""
        return self.metric(logits.squeeze(1).cpu(), self.values[rows])
