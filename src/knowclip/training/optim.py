"""AdamW with weight-decay groups, and warm-up + cosine in optimiser steps, much as in open_clip."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

NO_DECAY = (
    *("positional_embedding", "position_embedding", "pos_embed", "cls_token", "logit_scale"),
    *("fusion.head_token", "fusion.roles"),
)
"""Names (parts of them) without weight decay, beside every parameter of one axis or none."""


def parameter_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    *,
    lr: float,
    weight_decay: float,
    lr_multipliers: Mapping[str, float],
    layer_decay: float = 1.0,
    distances: Mapping[str, int] | None = None,
) -> list[dict]:
    """Split trainable parameters by weight decay and by learning rate.

    Args:
        named_parameters: As of ``module.named_parameters()``; frozen ones are left out.
        lr: Base learning rate.
        weight_decay: For matrices. Biases, norms and the temperature get none, as in open_clip; nor do
            positions, which open_clip decays.
        lr_multipliers: Prefix of parameter names -> factor on ``lr``; the longest matching prefix counts.
        layer_decay: Factor on the learning rate of each layer, beside that of the next one nearer the output
            (Clark et al. 2020, ELECTRA; Bao et al. 2022, BEiT).
        distances: Name -> layers to the output, of what has such a factor (``towers.output_distances``).

    Raises:
        ValueError: If nothing is trainable, or a prefix matches no trainable parameter.
    """
    groups: dict[tuple[float, float], dict] = {}
    names = []
    for name, parameter in named_parameters:
        if not parameter.requires_grad:
            continue
        names.append(name)
        # the longest: "knowledge." may have one factor, a part of it another
        prefix = max((p for p in lr_multipliers if name.startswith(p)), key=len, default=None)
        group_lr = lr * lr_multipliers[prefix] if prefix is not None else lr
        group_lr *= layer_decay ** (distances or {}).get(name, 0)
        decay = 0.0 if parameter.ndim < 2 or any(part in name for part in NO_DECAY) else weight_decay
        group = groups.setdefault(
            (group_lr, decay), {"params": [], "lr": group_lr, "weight_decay": decay, "names": []}
        )
        group["params"].append(parameter)
        group["names"].append(name)
    if not names:
        raise ValueError(
            "no parameter is trainable: unlock a tower (model.lock_image) or choose another method"
        )
    for prefix in lr_multipliers:
        if not any(name.startswith(prefix) for name in names):
            tops = ", ".join(sorted({name.split(".")[0] for name in names}))
            raise ValueError(
                f"optimizer.lr_multipliers: no trainable parameter begins with {prefix!r}; "
                f"they begin with {tops}"
            )
    return list(groups.values())


def adamw(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    *,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float],
    eps: float,
    lr_multipliers: Mapping[str, float],
    layer_decay: float = 1.0,
    distances: Mapping[str, int] | None = None,
) -> torch.optim.AdamW:
    """AdamW over :func:`parameter_groups`, fused where that works: about twice as fast on a CPU."""
    groups = parameter_groups(
        named_parameters,
        lr=lr,
        weight_decay=weight_decay,
        lr_multipliers=lr_multipliers,
        layer_decay=layer_decay,
        distances=distances,
    )
    fused = all(p.device.type in ("cpu", "cuda") for group in groups for p in group["params"])
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=fused)


def warmup_steps(warmup: float, steps: int) -> int:
    """Warm-up in optimiser steps, of a run of ``steps``: as it is, or below 1 that share of them."""
    # a share of 0.29 of 100 steps is 28.999999999999996 in floats
    return int(warmup * steps + 1e-9) if warmup < 1 else int(warmup)


def warmup_cosine(optimizer: torch.optim.Optimizer, *, warmup: float, steps: int, final: float) -> LambdaLR:
    """Linear warm-up over ``warmup_steps``, then half a cosine down to ``final`` times the peak.

    Raises:
        ValueError: If the warm-up is not shorter than the run.
    """
    warmup = warmup_steps(warmup, steps)
    if not 0 <= warmup < steps:
        raise ValueError(
            f"schedule.warmup is {warmup} steps and the run has {steps}: warm up for fewer steps"
        )

    def factor(step: int) -> float:
        if step < warmup:
            # from 1/warmup, not 0, at which the first step would learn nothing
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / (steps - warmup))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def replan(optimizer: torch.optim.Optimizer, scheduler: LambdaLR) -> tuple[float, float]:
    """Set the learning rates that a schedule gives at its step; return the highest before and after.

    After resuming they are the same numbers, unless the run became longer. Then the cosine over all steps
    counts, as if the run had been planned so: open_clip and transformers' Trainer do the same.
    """
    before = max(group["lr"] for group in optimizer.param_groups)
    planned = zip(optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
    for group, base, factor in planned:
        group["lr"] = base * factor(scheduler.last_epoch)
    # LambdaLR has no public way to say what it last gave, and the log asks for that
    scheduler._last_lr = [group["lr"] for group in optimizer.param_groups]
    return before, max(scheduler._last_lr)
