"""A Trainer on a tiny model and batches in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors.torch import save_model
from torch import nn

from knowclip.methods.method import Method
from knowclip.methods.negclip import NegClip
from knowclip.training.checkpoint import Checkpointer
from knowclip.training.loop import Trainer
from knowclip.training.monitor import Monitor
from knowclip.training.optim import adamw, warmup_cosine
from knowclip.training.runlog import RunLog
from knowclip.types import Batch
from tiny import tiny_batch, tiny_model


class MemoryEpochs:
    """``length`` random batches an epoch, other ones each epoch."""

    def __init__(self, length: int, *, size: int = 5) -> None:
        self.length, self.size = length, size

    def __len__(self) -> int:
        return self.length

    def epoch(self, number: int, *, skip: int = 0) -> Iterator[Batch]:
        for index in range(skip, self.length):
            batch = tiny_batch(self.size, seed=100 * number + index)
            keys = tuple(f"epoch{number}-batch{index}-{key}" for key in batch.keys)
            yield dataclasses.replace(batch, keys=keys)


class NoisyNegClip(NegClip):
    """Draws dropout, so that random states matter."""

    def encode_texts(self, tokens: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(super().encode_texts(tokens), 0.2, training=self.training)


def save(method: Method, folder: Path) -> None:
    save_model(method.model, str(folder / "model.safetensors"))


def make_trainer(
    run: Path,
    *,
    steps: int = 4,
    batches: Any = None,
    method: Method | None = None,
    validate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    saver: Callable[[nn.Module, Path], None] = save,
    lr: float = 1e-2,
    **options: Any,
) -> Trainer:
    torch.manual_seed(0)
    run.mkdir(parents=True, exist_ok=True)
    method = method or NoisyNegClip(tiny_model(), own_negative_weight=0.5)
    optimizer = adamw(
        method.named_parameters(),
        lr=lr,
        weight_decay=0.1,
        betas=(0.9, 0.98),
        eps=1e-6,
        lr_multipliers={},
    )
    defaults = {
        "accumulate": 1,
        "clip_grad": 1.0,
        "selection": ("score",),
        "validate_every": None,
        "save_every": None,
        "max_nonfinite": 3,
    }
    accelerator = options.pop("accelerator", None) or Accelerator()
    log = partial(RunLog, run) if accelerator.is_main_process else None
    return Trainer(
        method=method,
        batches=MemoryEpochs(3) if batches is None else batches,
        optimizer=optimizer,
        scheduler=warmup_cosine(optimizer, warmup=1, steps=steps, final=0.0),
        steps=steps,
        accelerator=accelerator,
        checkpointer=Checkpointer(run, saver),
        monitor=Monitor(None if log is None else lambda step: log(step=step), steps=steps, every=1),
        validate=validate,
        **defaults | options,
    )
