"""Fit a probe on questions, keep the step and the penalty that do best on images held out of them.

Shape legend: n questions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import torch
from torch import nn
from torch.nn import functional as F

from knowclip.evaluation.diagnosis.features import Asked
from knowclip.evaluation.tasks.training import hold_out

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

Fitted = TypeVar("Fitted", bound=nn.Module)
HELD_OUT = 0.2
"""Share of the training part's images that penalty and step are chosen on; the test part never is."""
PENALTIES = (1e-4, 1e-3)
STEPS, CHECK, PATIENCE = 400, 50, 3
TRIED = 150
"""Steps with each penalty before one is chosen."""
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

    Each penalty has ``TRIED`` steps, and the best of them goes on alone.

    Args:
        make: a new probe; called once a penalty, after seeding.
        inputs: what it reads.
        asked: the questions, of which the caption is right.
        split: rows to fit on and to choose by.
        seed: of weights and batches.
        lr: of Adam, falling to 0 along a cosine.
        batch: questions a step.
    """

    def begun(penalty: float) -> Fit[nn.Module]:
        torch.manual_seed(seed)
        probe = make()

        def loss(rows: Int[Tensor, " B"]) -> Tensor:
            told = F.softplus(-probe(inputs.take(rows), asked[rows])).mean()
            return told + penalty * sum(weights.square().sum() for weights in probe.parameters())

        def score() -> float:
            return float((answer(probe, inputs, asked, split.held) > 0).float().mean())

        return Fit(probe, loss, score, split.rows, lr=lr, steps=STEPS, batch=batch, seed=seed)

    fits = [begun(penalty) for penalty in PENALTIES]
    for each in fits:
        each.go_on(until=min(TRIED, STEPS), check=CHECK, patience=PATIENCE)
    best = max(fits, key=lambda each: each.best)
    best.go_on(until=STEPS, check=CHECK, patience=PATIENCE)
    return best.chosen().eval()


class Fit(Generic[Fitted]):
    """A small module in training, and the weights with which it scored best.

    Args:
        module: trained in place.
        loss: of questions.
        score: on those held out.
        rows: questions to draw from.
        lr: of Adam, falling to 0 along a cosine.
        steps: of the cosine.
        batch: questions a step.
        seed: of what is drawn.
    """

    def __init__(
        self,
        module: Fitted,
        loss: Callable[[Int[Tensor, " B"]], Tensor],
        score: Callable[[], float],
        rows: Int[Tensor, " k"],
        *,
        lr: float,
        steps: int,
        batch: int,
        seed: int,
    ) -> None:
        self.best = -1.0
        self._module, self._loss, self._score, self._rows = module, loss, score, rows
        self._optimizer = torch.optim.Adam(module.parameters(), lr=lr)
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, steps)
        self._drawn = (min(batch, len(rows)),)
        self._generator = torch.Generator().manual_seed(seed)
        self._state, self._waited, self._step = copy.deepcopy(module.state_dict()), 0, 0

    def go_on(self, *, until: int, check: int, patience: int | None) -> None:
        """Train to a step, or until it has not scored better for so many checks.

        Args:
            until: counted from the first.
            check: steps between two scores.
            patience: scores without a better one after which it ends; None: it does not.
        """
        while self._step < until and self._waited != patience:
            rows = self._rows[torch.randint(len(self._rows), self._drawn, generator=self._generator)]
            told = self._loss(rows)
            self._optimizer.zero_grad()
            told.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            self._schedule.step()
            self._step += 1
            if self._step % check == 0:
                self._note(self._score())

    def _note(self, found: float) -> None:
        self._waited = 0 if found > self.best else self._waited + 1
        if found > self.best:
            self.best, self._state = found, copy.deepcopy(self._module.state_dict())

    def chosen(self) -> Fitted:
        """The module with the weights that scored best; those it began with where none was scored."""
        self._module.load_state_dict(self._state)
        return self._module


@torch.no_grad()
def answer(probe: nn.Module, inputs: Inputs, asked: Asked, rows: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Logits of the questions ``rows``: above 0 the caption, below its swap."""
    batches = rows.split(BATCH)  # type: ignore[no-untyped-call]
    return torch.cat([probe(inputs.take(batch), asked[batch]) for batch in batches])
