"""Train a head on some items, keep its best epoch by others that it was not trained on.

Shape legend: B batch, n items, C outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from knowclip.evaluation.tasks.objectives import Objective
from knowclip.evaluation.tasks.settings import HeadSettings
from knowclip.evaluation.tasks.sides import Side

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor


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
    # at least one group on either side
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
    # a generator of its own, so that heads of any shape see the items in one order
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
