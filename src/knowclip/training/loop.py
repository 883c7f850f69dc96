"""The training loop: batches -> Features -> losses -> weights, with what a long run needs around it."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from knowclip.console.counts import counted, there_are
from knowclip.console.spelling import allowed, resuming
from knowclip.methods.method import Method
from knowclip.storage import collector
from knowclip.storage.locks import locked
from knowclip.training.average import WeightAverage
from knowclip.training.batches import Epochs, to_device
from knowclip.training.checkpoint import Checkpointer, Position
from knowclip.training.distributed import alone
from knowclip.training.monitor import Monitor
from knowclip.training.nonfinite import RunningStatistics, examples_of, is_finite, shown
from knowclip.training.optim import replan
from knowclip.training.selection import is_best, selection_score
from knowclip.training.step import backward
from knowclip.training.stopping import Interrupted, StopRequest, TrainingStopped
from knowclip.training.update import Update
from knowclip.types import Batch

if TYPE_CHECKING:
    from knowclip.training.sharding import Checkpoints, Shards


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
        validate_every: Steps between validations; None: at the end of each epoch. The model it ends with is
            always validated.
        validate_start: Whether the one it starts from is, too.
        save_every: Steps between writings of ``last``; None: at the end of each epoch.
        max_nonfinite: Steps in a row whose loss or gradient is not finite that end the run; each is skipped.
        ema: Decay of the moving average of the weights, which is then what is validated and kept; None: none.
        patience: Validations without a better one after which training ends; None: it goes on to the end.
        max_unreadable: Images that may prove unreadable in the run; the batches tell of them.
        sharding: Parameters, gradients and optimiser states are shared out over the processes, and ``last``
            keeps them so; None: each process has all.
        compile: Backend of torch.compile for the layers of the towers, or None.
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
    max_nonfinite: int
    validate_start: bool = True
    ema: float | None = None
    patience: int | None = None
    max_unreadable: int = 0
    sharding: Checkpoints | None = None
    compile: str | None = None
    _average: WeightAverage | None = field(default=None, init=False, repr=False)
    _saved: Position | None = field(default=None, init=False, repr=False)
    _shards: Shards | None = field(default=None, init=False, repr=False)

    def fit(self, *, resume: bool = False) -> Position:
        """Train to the last step, or while ``patience`` lasts; return where the run ended, best included.

        The run's folder is locked meanwhile. Ctrl-C, SIGTERM or SIGHUP ends the step and saves
        ``last``; a validation is broken off and made up for on resuming.

        Raises:
            ValueError: If loss or gradient is not finite ``max_nonfinite`` times in a row, there is nothing
                to train on or to resume, the folder is in use, too many images are unreadable, or validation
                does not give the selection metric.
            TrainingStopped: It was asked to stop.
        """
        if not len(self.batches):
            raise ValueError("no batch to train on: fewer pairs than train.batch_size; lower it or add data")
        main = self.accelerator.is_main_process
        lock = locked(self.checkpointer.run, doing="training") if main else nullcontext()
        with lock, collector.settled(), StopRequest(processes=self.accelerator.num_processes) as stop:
            wrapped = self._prepared()
            self._average = None if self.ema is None else WeightAverage(self.method, decay=self.ema)
            position = self._resume() if resume else self._start()
            planned, position.steps = position.steps, self.steps
            self._trained.train()
            with self.monitor.start(position.step):
                if resume:
                    self._tell_resumed(position, planned)
                self._train(wrapped, position, stop)
        return position

    def _start(self) -> Position:
        return Position(to_validate=self.validate is not None and self.validate_start)

    def _prepared(self) -> nn.Module:
        """What the loop calls: the method for several processes, or one; layers compiled where they run."""
        if self.sharding is None or alone():
            wrapped = self.accelerator.prepare(self.method)
        else:
            from knowclip.training.sharding import Shards  # a second of imports, for those who shard alone

            self._shards = Shards(
                self.method, self.optimizer, device=self.accelerator.device, checkpoints=self.sharding
            )
            wrapped = self._shards.module
        if self.compile is not None:
            self._trained.model.compile_layers(self.compile)
        self._update = Update(
            self._trained,
            self.optimizer,
            clip_grad=self.clip_grad,
            scaler=self.accelerator.scaler,
            shards=self._shards,
        )
        return wrapped

    @property
    def _trained(self) -> Method:
        """The method that learns: its shards where there are any, of which ``method`` is a whole copy."""
        return self.method if self._shards is None else self._shards.module

    def _train(self, wrapped: nn.Module, position: Position, stop: StopRequest) -> None:
        """Make the steps from ``position`` on; what is unreadable or asked to stop is the same everywhere."""
        self._validate(position, stop)  # where it starts from: a wrong metric's name shows at once
        self._heed(position, stop, {})
        if self._out_of_patience(position):
            return
        for batch in self._stream(position):
            numbers = self._step(wrapped, batch, position)
            self._advance(position)
            if numbers is not None:
                self.monitor.train(position.step, numbers, pairs=self._pairs(batch))
            position.to_validate = self.validate is not None and self._is_due(self.validate_every, position)
            self._validate(position, stop)
            self._heed(position, stop, _unreadable(batch))
            ended = self._out_of_patience(position)
            if ended or self._is_due(self.save_every, position):
                self._save_last(position)
            if ended:
                return

    def _out_of_patience(self, position: Position) -> bool:
        """Whether so many validations found nothing better; the same on every process."""
        if self.patience is None or position.since_best < self.patience:
            return False
        self.monitor.say(
            f"step {position.step:,}: {counted(position.since_best, 'validation')} without a better one than "
            f"at step {position.best_step:,}, so training ends (selection.patience)"
        )
        return True

    def _stream(self, position: Position) -> Iterator[Batch]:
        """Batches from ``position`` on, epoch after epoch, on the device; the loop moves ``position``.

        Raises:
            ValueError: An epoch gives none, or the data cannot be read; the steps so far are then saved.
        """
        while position.step < self.steps:
            before = position.step
            try:
                for batch in self.batches.epoch(position.epoch, skip=position.batch):
                    yield to_device(batch, self.accelerator.device)
                    if position.step == self.steps:
                        return
            except Exception:
                # save_last is for all processes, and the others may be waiting elsewhere
                if self.accelerator.num_processes == 1 and position.step > 0:
                    self._save_last(position)
                    self.monitor.say(f"step {position.step} is saved: {resuming()} goes on from it")
                raise
            if position.step == before:
                raise ValueError(
                    f"epoch {position.epoch} gives no batch after batch {position.batch} of "
                    f"{len(self.batches)}: these are not the data of the run that was saved"
                )

    def _heed(self, position: Position, stop: StopRequest, met: Mapping[str, str]) -> None:
        """Take note of unreadable images and of a request to stop, of any process, on all of them.

        Raises:
            ValueError: There are too many such images; ``last`` is saved.
            TrainingStopped: There is such a request, and something left to do; ``last`` is saved.
        """
        fresh = {image: reason for image, reason in met.items() if image not in position.unreadable}
        stopping, pending = stop.number is not None, position.to_validate
        # one process that left alone would keep the others waiting for its gradients
        if self.accelerator.num_processes > 1:
            flags = torch.tensor([stopping, pending, bool(fresh)], device=self.accelerator.device).float()
            stopping, pending, more = (self.accelerator.reduce(flags, "sum") > 0).tolist()
            fresh = dict(item for part in gather_object([fresh]) for item in part.items()) if more else {}
        for reason in fresh.values():
            self.monitor.say(f"skipped: {reason}; another stands in its place")
        position.unreadable = {**position.unreadable, **fresh}
        too_many = len(position.unreadable) > self.max_unreadable
        stopping = stopping and (pending or position.step < self.steps)
        if (fresh and too_many) or stopping:
            self._save_last(position)
        if fresh and too_many:
            raise ValueError(
                f"{there_are(len(position.unreadable), 'image')} unreadable, and data.max_unreadable allows "
                f"{self.max_unreadable:,} of these data: {next(iter(fresh.values()))}. Repair the files, or "
                f"raise data.max_unreadable; step {position.step} is saved, {resuming()} goes on from it"
            )
        if stopping:
            # without a number of its own it was another process that was asked
            raise TrainingStopped(position, stop.number or signal.SIGTERM)

    def _step(self, wrapped: nn.Module, batch: Batch, position: Position) -> dict[str, float] | None:
        """Make one optimiser step and return the numbers for the log; None: it was skipped."""
        statistics = RunningStatistics(self._trained)
        losses, report = backward(wrapped, batch, accelerator=self.accelerator, accumulate=self.accumulate)
        norm = self._update.clip()
        numbers = {name: loss.item() for name, loss in losses.items()}
        numbers = {"loss": sum(numbers.values()), **numbers, **report, "grad_norm": norm}
        numbers["lr"] = max(self.scheduler.get_last_lr())
        if (scaler := self.accelerator.scaler) is not None:
            numbers["grad_scale"] = scaler.get_scale()
        if not is_finite(numbers, accelerator=self.accelerator):
            self._update.skip()
            statistics.restore()
            self._skip(batch, position, numbers)
            return None
        position.nonfinite_in_a_row = 0
        self._update.step()
        self.scheduler.step()
        if self._average is not None:
            self._average.update()
        return numbers

    def _skip(self, batch: Batch, position: Position, numbers: Mapping[str, float]) -> None:
        """Count a step that was not taken, which moves neither weights nor schedule, and say so.

        Raises:
            ValueError: There were ``max_nonfinite`` in a row. ``last`` stays as it is: a run that diverges is
                better taken up from before.
        """
        examples = examples_of(batch)
        position.nonfinite += 1
        position.nonfinite_in_a_row += 1
        step, row = position.step + 1, position.nonfinite_in_a_row
        self.monitor.skipped(step, numbers, examples)
        if row == self.max_nonfinite:
            raise ValueError(
                f"loss or gradient is not finite in {counted(row, 'step')} in a row (train.max_nonfinite), "
                f"at last in step {step} {shown(numbers, examples)}. None of them was taken. Look at these "
                "examples (log.jsonl names all); else lower optimizer.lr, raise schedule.warmup or set "
                "train.precision=fp32, and start again, from the last checkpoint by model.name=RUN/last if "
                "you like"
            )

    def _advance(self, position: Position) -> None:
        position.step += 1
        position.batch += 1
        if position.batch == len(self.batches):
            position.epoch, position.batch = position.epoch + 1, 0

    def _is_due(self, every: int | None, position: Position) -> bool:
        # after its last batch, position stands at batch 0 of the next epoch
        due = position.batch == 0 if every is None else position.step % every == 0
        return due or position.step == self.steps

    def _pairs(self, batch: Batch) -> int:
        """Pairs of a step; its triplets where there are no pairs."""
        return len(batch.keys or batch.graph.keys) * self.accelerator.num_processes

    def _validate(self, position: Position, stop: StopRequest) -> None:
        """Measure on validation data if that is to be done, and keep the model if it is the best so far."""
        if not position.to_validate:
            return
        if self._shards is not None:
            self._shards.gather()
        if self.accelerator.is_main_process:
            try:
                with self.monitor.validating(position.step):
                    metrics = self._measured(stop)
            except Interrupted:
                metrics = None
            if metrics is not None:
                self.monitor.validation(position.step, metrics)
                self._keep_best(metrics["selection"], position)
                position.to_validate = False
        else:
            position.to_validate = False
        self.accelerator.wait_for_everyone()
        found = [position.best, position.best_step, position.since_best]
        position.best, position.best_step, position.since_best = broadcast_object_list(found)

    def _keep_best(self, score: float, position: Position) -> None:
        if not is_best(score, position.best):
            position.since_best += 1
            return
        position.best, position.best_step, position.since_best = score, position.step, 0
        with self._kept_weights():
            self.checkpointer.save_best(self.method, position)

    def _kept_weights(self) -> AbstractContextManager[None]:
        """Those that are validated and saved: the averaged ones where there is an average."""
        return nullcontext() if self._average is None else self._average.applied()

    def _measured(self, stop: StopRequest) -> dict[str, float]:
        self.method.eval()
        try:
            with torch.no_grad(), self._kept_weights(), stop.interrupting():
                metrics = dict(self.validate(self.method.model))
        finally:
            self.method.train()
        return metrics | {"selection": selection_score(metrics, self.selection)}

    def _save_last(self, position: Position) -> None:
        if self._saved == position:
            return
        self._saved = dataclasses.replace(position)
        if self._shards is not None:
            self._shards.gather()
        self.checkpointer.save_last(
            self.method,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            position=position,
            accelerator=self.accelerator,
            average=self._average,
            shards=self._shards,
        )

    def _resume(self) -> Position:
        if told := self.checkpointer.fall_back(self.accelerator):
            self.monitor.say(told)
        position = self.checkpointer.resume(
            self.method,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            accelerator=self.accelerator,
            average=self._average,
            shards=self._shards,
        )
        if self.steps < (position.steps or position.step):
            raise ValueError(
                f"the run was planned for {position.steps or position.step} steps and stands at step "
                f"{position.step}: on {resuming()} train.steps and train.epochs may grow, not shrink to "
                f"{self.steps} steps"
            )
        return position

    def _tell_resumed(self, position: Position, planned: int | None) -> None:
        """Say where the run goes on, and by which learning rate if it became longer."""
        # of a demo or a study, which have no such flag, a training that is done is passed by
        longer = ": raise train.steps or train.epochs to go on" if allowed("resume") else ""
        self.monitor.say(
            f"goes on after step {position.step:,} of {self.steps:,}"
            if position.step < self.steps
            else f"all {self.steps:,} steps are done{longer}"
        )
        before, now = replan(self.optimizer, self.scheduler)
        if planned is not None and planned != self.steps:
            self.monitor.say(
                f"planned for {planned:,} steps before: the schedule is drawn anew over {self.steps:,}, the "
                f"learning rate here is {now:.3g} (it was {before:.3g})"
            )


def _unreadable(batch: Batch) -> dict[str, str]:
    return {**batch.unreadable, **(batch.graph.unreadable if batch.graph else {})}
