"""Fit a probe on questions, keep the step and the penalty that do best on images held out of them.

Shape legend: n questions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn
from torch.nn import functional as F

from knowclip.evaluation.diagnosis.features import Asked
from knowclip.evaluation.tasks.training import hold_out

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

HELD_OUT = 0.2
"""Share of the training part's images that penalty and step are chosen on; the test part never is."""
PENALTIES = (1e-4, 1e-3)
STEPS, CHECK, PATIENCE = 400, 50, 3
BATCH, TOKEN_BATCH = 1024, 256
"""Questions a step: of tokens fewer, each costs as much as there are tokens."""
LR, TOKEN_LR = 0.02, 0.01


class Inputs(Protocol):
    """What a probe reads of n questions; ``tasks.sides.Pooled`` and ``Tokens`` are."""

    def take(self, rows: Int[Tensor, " B"]) -> Any:
        """Of the questions ``rows``."""


@dataclass(frozen=True)
class Split:
    """Rows of questions to fit on and to choose by, no image in both."""

    rows: Int[Tensor, " kept"]
    held: Int[Tensor, " held"]

    @classmethod
    def of(cls, image_ids: list[str], *, seed: int) -> Split:
        """Hold whole images out."""
        return cls(*hold_out(image_ids, share=HELD_OUT, seed=seed))

    def both_texts(self, n: int) -> Split:
        """The same of n captions followed by their n swaps."""
        return Split(*(torch.cat([rows, rows + n]) for rows in (self.rows, self.held)))


def fit(
    make: Callable[[], nn.Module],
    inputs: Inputs,
    asked: Asked,
    split: Split,
    *,
    seed: int,
    lr: float = LR,
    batch: int = BATCH,
) -> nn.Module:
    """The probe, of every penalty and step, that answers the most held-out questions.

    Args:
        make: a new probe; called once a penalty, after seeding.
        inputs: what it reads.
        asked: the questions, of which the caption is right.
        split: rows to fit on and to choose by.
        seed: of weights and batches.
        lr: of Adam, falling to 0 along a cosine.
        batch: questions a step.
    """
    best, chosen = -1.0, None
    for penalty in PENALTIES:
        torch.manual_seed(seed)
        probe = make()
        score, state = _fit_one(probe, inputs, asked, split, penalty=penalty, lr=lr, batch=batch)
        if score > best:
            best, chosen = score, state
    probe = make()
    probe.load_state_dict(chosen or {})
    return probe.eval()


def _fit_one(
    probe: nn.Module, inputs: Inputs, asked: Asked, split: Split, *, penalty: float, lr: float, batch: int
) -> tuple[float, dict[str, Tensor]]:
    def loss(rows: Int[Tensor, " B"]) -> Tensor:
        told = F.softplus(-probe(inputs.take(rows), asked[rows])).mean()
        return told + penalty * sum(weights.square().sum() for weights in probe.parameters())

    def score() -> float:
        return float((answer(probe, inputs, asked, split.held) > 0).float().mean())

    return best_state(
        probe, loss, score, split.rows, lr=lr, steps=STEPS, batch=batch, check=CHECK, patience=PATIENCE
    )


def best_state(
    module: nn.Module,
    loss: Callable[[Int[Tensor, " B"]], Tensor],
    score: Callable[[], float],
    rows: Int[Tensor, " k"],
    *,
    lr: float,
    steps: int,
    batch: int,
    check: int,
    patience: int | None,
) -> tuple[float, dict[str, Tensor]]:
    """Train a small module, and return its highest score with the weights that have it.

    Args:
        module: Left with the weights of the last step.
        loss: Of questions.
        score: On those held out, asked every ``check`` steps.
        rows: Questions to draw from.
        lr: Of Adam, falling to 0 along a cosine.
        steps: At most.
        batch: Questions a step.
        check: Steps between two scores.
        patience: Scores without a better one after which it ends; None: it does not.
    """
    optimizer = torch.optim.Adam(module.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, state, waited = -1.0, copy.deepcopy(module.state_dict()), 0
    for step in range(1, steps + 1):
        told = loss(rows[torch.randint(len(rows), (min(batch, len(rows)),))])
        optimizer.zero_grad()
        told.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % check == 0:
            found = score()
            waited = 0 if found > best else waited + 1
            if found > best:
                best, state = found, copy.deepcopy(module.state_dict())
            if waited == patience:
                break
    return best, state


@torch.no_grad()
def answer(probe: nn.Module, inputs: Inputs, asked: Asked, rows: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Logits of the questions ``rows``: above 0 the caption, below its swap."""
    batches = rows.split(BATCH)  # type: ignore[no-untyped-call]
    return torch.cat([probe(inputs.take(batch), asked[batch]) for batch in batches])
