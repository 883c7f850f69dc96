"""The training loop: batches -> Features -> losses -> weights, with what a long run needs around it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from knowclip.methods.base import Method
from knowclip.training.batches import Epochs, to_device
from knowclip.training.checkpoint import Checkpointer, Position
from knowclip.training.monitor import Monitor
from knowclip.training.step import backward
from knowclip.types import Batch

MAX_LOGIT_SCALE = math.log(100)


@dataclass(kw_only=True)
class Trainer:
    """Trains a method.

    Accelerate prepares the method alone. Not the scheduler, which it would step once per process; not the
    batches, which it would shard a second time.

    Args:
        method: What to train.
        batches: Its data, by epoch.
        optimizer: Over the method's parameters.
        scheduler: Of the optimiser, stepped once per optimiser step.
        steps: Optimiser steps of the run.
        accelerator: Devices, processes, precision.
        checkpointer: Where ``best`` and ``last`` go.
        monitor: Progress bar and log.
        accumulate: Micro-batches a batch is cut into, with the same gradients.
        clip_grad: Largest global norm of the gradient, or None.
        validate: Model -> metrics on validation data; called on the main process, in eval mode. None: there
            is no such data, and no ``best``.
        selection: The metrics whose mean chooses ``best``; higher is better.
        validate_every: Steps between validations; None: at the end of each epoch. The model it starts from
            and the one it ends with are always validated.
        save_every: Steps between writings of ``last``; None: at the end of each epoch.
    """

    method: Method
    batches: Epochs
    optimizer: Optimizer
    scheduler: LRScheduler
    steps: int
    accelerator: Accelerator
    checkpointer: Checkpointer
    monitor: Monitor
    accumulate: int
    clip_grad: float | None
    validate: Callable[[nn.Module], Mapping[str, float]] | None
    selection: tuple[str, ...]
    validate_every: int | None
    save_every: int | None

    def fit(self, *, resume: bool = False) -> Position:
        """Train to the last step; return where the run ended, its best selection number included.

        Raises:
            ValueError: If loss or gradient stops being finite, there is nothing to train on or to resume, or
                validation does not give the selection metric.
        """
        if not len(self.batches):
            raise ValueError("no batch to train on: fewer pairs than train.batch_size; lower it or add data")
        wrapped = self.accelerator.prepare(self.method)
        position = self._resume() if resume else Position()
        self.method.train()
        with self.monitor.start(position.step) as monitor:
            if self.validate and not resume:  # where it starts from; and a wrong metric's name shows at once
                monitor.validation(position.step, self._validate(position))
            for batch in self._stream(position):
                numbers = self._step(wrapped, batch, position)
                self._advance(position)
                monitor.train(position.step, numbers, pairs=self._pairs(batch))
                if self.validate and self._is_due(self.validate_every, position):
                    monitor.validation(position.step, self._validate(position))
                if self._is_due(self.save_every, position):
                    self._save_last(position)
        return position

    def _stream(self, position: Position) -> Iterator[Batch]:
        """Batches from ``position`` on, epoch after epoch, on the device; the loop moves ``position``."""
        while position.step < self.steps:
            for batch in self.batches.epoch(position.epoch, skip=position.batch):
                yield to_device(batch, self.accelerator.device)
                if position.step == self.steps:
                    return

    def _step(self, wrapped: nn.Module, batch: Batch, position: Position) -> dict[str, float]:
        """Make one optimiser step and return the numbers for the log."""
        losses, report = backward(wrapped, batch, accelerator=self.accelerator, accumulate=self.accumulate)
        limit = math.inf if self.clip_grad is None else self.clip_grad
        norm = nn.utils.clip_grad_norm_(self.method.parameters(), limit).item()
        numbers = {name: loss.item() for name, loss in losses.items()}
        numbers = {"loss": sum(numbers.values()), **numbers, **report, "grad_norm": norm}
        numbers["lr"] = max(self.scheduler.get_last_lr())
        if not math.isfinite(numbers["loss"]) or not math.isfinite(norm):
            raise ValueError(_non_finite(position.step + 1, numbers, batch))
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        self._clamp_logit_scale()
        return numbers

    def _clamp_logit_scale(self) -> None:
        """Keep temperatures where CLIP keeps its own; sigmoid models are published beyond it."""
        model = self.method.model
        with torch.no_grad():
            for name, parameter in self.method.named_parameters():
                if name.endswith("logit_scale") and (
                    parameter is not model.logit_scale or model.logit_bias is None
                ):
                    parameter.clamp_(0, MAX_LOGIT_SCALE)

    def _advance(self, position: Position) -> None:
        position.step += 1
        position.batch += 1
        if position.batch == len(self.batches):
            position.epoch, position.batch = position.epoch + 1, 0

    def _is_due(self, every: int | None, position: Position) -> bool:
        due = position.batch == 0 if every is None else position.step % every == 0
        return due or position.step == self.steps

    def _pairs(self, batch: Batch) -> int:
        """Pairs of a step; its triplets where there are no pairs."""
        return len(batch.keys or batch.graph.keys) * self.accelerator.num_processes

    def _validate(self, position: Position) -> Mapping[str, float]:
        """Measure on validation data, and keep the model if it is the best so far."""
        metrics: dict[str, float] = {}
        if self.accelerator.is_main_process:
            self.method.eval()
            with torch.no_grad():
                metrics = dict(self.validate(self.method.model))
            self.method.train()
            metrics["selection"] = select(metrics, self.selection)
            if position.best is None or metrics["selection"] > position.best:
                position.best, position.best_step = metrics["selection"], position.step
                self.checkpointer.save_best(self.method)
        self.accelerator.wait_for_everyone()
        return metrics

    def _save_last(self, position: Position) -> None:
        self.checkpointer.save_last(
            self.method,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            position=position,
            accelerator=self.accelerator,
        )

    def _resume(self) -> Position:
        return self.checkpointer.resume(
            self.method, optimizer=self.optimizer, scheduler=self.scheduler, accelerator=self.accelerator
        )


def select(metrics: Mapping[str, float], selection: tuple[str, ...]) -> float:
    """Mean of the selection metrics.

    Raises:
        ValueError: If one is missing or not finite.
    """
    for name in selection:
        if not math.isfinite(metrics.get(name, math.nan)):
            near = [] if name in metrics else get_close_matches(name, metrics, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"selection.metrics: {name!r} is {metrics.get(name, 'not measured')}; {hint}"
                f"validation gives {', '.join(sorted(metrics)) or 'nothing'}"
            )
    return sum(metrics[name] for name in selection) / len(selection)


def _non_finite(step: int, numbers: Mapping[str, float], batch: Batch) -> str:
    shown = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
    triplets = batch.graph.keys if batch.graph else ()
    keys = "; ".join(
        ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        for names in (batch.keys, triplets)
        if names
    )
    return (
        f"loss or gradient is not finite at step {step} ({shown}); batch: {keys}. This step was not taken. "
        "Look at these; else lower optimizer.lr, raise schedule.warmup or set train.precision=fp32, "
        "and start again, from the last checkpoint by model.name=RUN/last if you like"
    )
