"""A fit keeps the weights that scored best; every penalty is tried, and one goes on."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from knowclip.evaluation.diagnosis import fitting
from knowclip.evaluation.diagnosis.features import Asked
from knowclip.evaluation.diagnosis.fitting import Fit, Split, fit
from knowclip.evaluation.tasks.sides import Pooled


class Number(nn.Module):
    """One weight, raised by 1 a step."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))

    def forward(self, *_: object) -> Tensor:
        return -self.value


def fitted(scores: list[float]) -> Fit[Number]:
    """Of a weight that moves at each step, and has these scores one after the other."""
    number, left = Number(), iter(scores)
    return Fit(
        number, lambda rows: number(), lambda: next(left), torch.arange(4), lr=1, steps=100, batch=2, seed=0
    )


def test_the_weights_that_scored_best_are_chosen() -> None:
    found = fitted([0.5, 0.8, 0.8, 0.6])
    found.go_on(until=4, check=1, patience=None)
    after_four = found._module.value.item()
    assert found.best == 0.8 and 1.5 < found.chosen().value.item() < 2.5 < after_four


def test_it_ends_without_a_better_score_and_goes_on_where_it_stood() -> None:
    found = fitted([0.5, 0.4, 0.6, 0.5, 0.5, 0.9])
    found.go_on(until=4, check=2, patience=2)
    assert found._step == 4 and found.best == 0.5
    found.go_on(until=100, check=2, patience=2)
    assert found._step == 10 and found.best == 0.6  # two checks without a better one: the last is not asked


@pytest.mark.parametrize("best", fitting.PENALTIES)
def test_every_penalty_is_tried_and_the_best_goes_on_alone(
    best: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: Counter[float] = Counter()
    made: list[Probe] = []

    class Probe(nn.Module):
        """Right where its penalty is the best one."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))
            self.penalty = fitting.PENALTIES[len(made) % len(fitting.PENALTIES)]
            made.append(self)

        def forward(self, pooled: Tensor, asked: Asked) -> Tensor:
            if torch.is_grad_enabled():
                steps[self.penalty] += 1
            return (1.0 if self.penalty == best else -1.0) + 0 * self.weight.expand(len(pooled))

    monkeypatch.setattr(fitting, "PATIENCE", None)
    inputs = Pooled(torch.ones(10, 1), torch.arange(10))
    asked = Asked(torch.zeros(10, 2, dtype=torch.long), torch.zeros(10, 2, dtype=torch.long))
    split = Split.of([str(number) for number in range(10)], seed=0)
    probe = fit(Probe, inputs, asked, split, seed=0)
    assert probe.penalty == best and not probe.training
    (other,) = set(fitting.PENALTIES) - {best}
    assert steps == {best: fitting.STEPS, other: fitting.TRIED}
