"""Train a head on some items, keep its best epoch by others that it was not trained on.

Shape legend: B batch, n items, C outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from torch import nn

from knowclip.evaluation.tasks.objectives import Objective
from knowclip.evaluation.tasks.sides import Kind, Side

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """How heads are trained; ``tune`` trains the text tower too (GLUE), with ``tower_lr``."""

    features: Kind = "pooled"
    hidden: int = 512
    dropout: float = 0.2
    lr: float = 1e-3
    weight_decay: float = 0.01
    batch_size: int = 256
    epochs: int = 30
    patience: int = 5
    held_out: float = 0.1
    tune: bool = False
    tower_lr: float = 2e-5

    def __post_init__(self) -> None:
        if self.features not in get_args(Kind):
            raise ValueError(f"features={self.features!r}; allowed: {', '.join(get_args(Kind))}")
        if min(self.hidden, self.batch_size, self.epochs, self.patience) < 1:
            raise ValueError("hidden, batch_size, epochs and patience must be at least 1")
        if not 0 < self.held_out < 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"held_out={self.held_out} and dropout={self.dropout}: shares below 1")
        if min(self.lr, self.tower_lr) <= 0 or self.weight_decay < 0:
            raise ValueError("lr and tower_lr must be above 0, weight_decay at least 0")


def parse_settings(options: Sequence[str]) -> HeadSettings:
    """Make settings of ``key=value`` words.

    Raises:
        ValueError: a word is no ``key=value``, the key is unknown or the value of the wrong type.
    """
    kinds: dict[str, type] = {field.name: type(field.default) for field in fields(HeadSettings)}
    values: dict[str, Any] = {}
    for option in options:
        key, separator, text = option.partition("=")
        if not separator or key not in kinds:
            near = get_close_matches(key, kinds, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"option {option!r}: {hint}expected key=value with a key of {', '.join(kinds)}")
        if kinds[key] is bool and text not in ("true", "false"):
            raise ValueError(f"option {option!r}: expected true or false")
        try:
            values[key] = text == "true" if kinds[key] is bool else kinds[key](text)
        except ValueError:
            raise ValueError(f"option {option!r}: expected a value of type {kinds[key].__name__}") from None
    return HeadSettings(**values)


@dataclass(frozen=True, slots=True)
class Fitted:
    """The best epoch (from 1), and its score on the held-out items."""

    epoch: int
    score: float


def hold_out(
    groups: Sequence[str], *, share: float, seed: int
) -> tuple[Int[Tensor, " kept"], Int[Tensor, " held"]]:
    """Split items into rows to train on and rows to select by; whole groups, at least one of each.

    Raises:
        ValueError: all items are of one group.
    """
    names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"{len(groups)} training items of one group: none can be held out for selection")
    number = min(max(round(share * len(names)), 1), len(names) - 1)
    chosen = np.random.default_rng(seed).permutation(len(names))[:number]
    held = np.isin(codes, chosen)
    return torch.from_numpy(np.flatnonzero(~held)), torch.from_numpy(np.flatnonzero(held))


def fit(
    head: nn.Module,
    sides: Sequence[Side],
    objective: Objective,
    *,
    rows: Int[Tensor, " kept"],
    held: Int[Tensor, " held"],
    settings: HeadSettings,
    seed: int,
    tower: nn.Module | None = None,
) -> Fitted:
    """Train ``head`` (and ``tower``) in place; it ends as it was after its best epoch.

    Stops after ``patience`` epochs without a better held-out score. Ties keep the earlier epoch.
    """
    trained = nn.ModuleList([head] if tower is None else [head, tower])
    parameters: list[dict[str, Any]] = [{"params": head.parameters(), "lr": settings.lr}]
    if tower is not None:
        parameters.append({"params": tower.parameters(), "lr": settings.tower_lr})
    optimizer = torch.optim.AdamW(parameters, weight_decay=settings.weight_decay)
    order = torch.Generator().manual_seed(seed)
    best, weights = Fitted(0, -float("inf")), copy.deepcopy(trained.state_dict())
    for epoch in range(1, settings.epochs + 1):
        trained.train()
        for batch in rows[torch.randperm(len(rows), generator=order)].split(settings.batch_size):  # type: ignore[no-untyped-call]
            loss = objective.loss(head(*(side.take(batch) for side in sides)), batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        score = objective.score(predict(trained, sides, held, settings.batch_size), held)
        if score > best.score:
            best, weights = Fitted(epoch, score), copy.deepcopy(trained.state_dict())
        elif epoch - best.epoch >= settings.patience:
            break
    if not best.epoch:
        raise ValueError(f"no epoch has a finite held-out score; lower lr={settings.lr}")
    trained.load_state_dict(weights)
    return best


@torch.no_grad()
def predict(
    trained: nn.ModuleList, sides: Sequence[Side], rows: Int[Tensor, " n"], batch_size: int
) -> Float[Tensor, "n C"]:
    """Logits of the items ``rows``, in evaluation mode; the first module is the head."""
    trained.eval()
    head, batches = trained[0], rows.split(batch_size)  # type: ignore[no-untyped-call]
    return torch.cat([head(*(side.take(batch) for side in sides)) for batch in batches]).cpu()
