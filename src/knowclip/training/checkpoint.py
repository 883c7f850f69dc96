"""A run's checkpoints on disk, each written whole or not at all.

``RUN/best`` and ``RUN/last`` are drop-in model folders; ``training.json`` in each says of which step.
``RUN/last/trainer`` holds what ``--resume`` needs besides: ``method.safetensors`` and ``state.pt``. With a
moving average the drop-in folders hold the averaged weights, and ``trainer`` those of the step. Where
parameters are shared out over processes, and so kept, ``shards`` with a file of each process stands in place
of ``method.safetensors`` and of AdamW's moments.
``SHA256SUMS`` in each has the checksums of all its files. ``training.kept`` says which ``last`` are kept.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from knowclip.console.spelling import resuming
from knowclip.data.captions.fingerprint import DataFingerprint
from knowclip.storage.atomic import atomic_folder
from knowclip.storage.checksums import write_checksums
from knowclip.training.average import WeightAverage
from knowclip.training.kept import LAST, TRAINING, fall_back, place_of_former, recover_last, remove_old
from knowclip.training.rng import rng_state, set_rng_state

if TYPE_CHECKING:
    from knowclip.training.sharding import Shards

SHARDS = "shards"
_UNREADABLE = (OSError, RuntimeError, SafetensorError, pickle.UnpicklingError, EOFError, KeyError, TypeError)
"""What torch and safetensors raise on files that are cut short or other ones."""


@dataclass
class Position:
    """Where a run stands.

    ``step`` counts optimiser steps of ``steps`` planned; ``epoch`` and ``batch`` say which batch comes next;
    ``best`` is the highest selection number so far, reached at ``best_step``, ``since_best`` validations ago.
    ``to_validate``: the model of this step is still to be measured. ``unreadable``: images that could not be
    read so far, and why.
    ``nonfinite`` of the steps were skipped for a loss or gradient that is not finite, the last
    ``nonfinite_in_a_row`` without one between.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float | None = None
    best_step: int | None = None
    since_best: int = 0
    steps: int | None = None
    to_validate: bool = False
    unreadable: dict[str, str] = field(default_factory=dict)
    nonfinite: int = 0
    nonfinite_in_a_row: int = 0


@dataclass(frozen=True)
class Checkpointer:
    """Save and resume one run.

    Args:
        run: The run's folder.
        save: Writes a method as a drop-in folder: ``save(method, folder)``.
        data: What the run is trained on; kept beside the weights, and compared on resuming.
        keep_last: Checkpoints to resume from that are kept: ``last``, and so many less one before it.
    """

    run: Path
    save: Callable[[nn.Module, Path], None]
    data: DataFingerprint | None = None
    keep_last: int = 1

    def save_best(self, method: nn.Module, position: Position) -> None:
        """Replace ``RUN/best``; the main process alone calls it."""
        with self._written_whole(self.run / "best") as folder:
            self.save(method, folder)
            _tell(folder, position)

    def save_last(
        self,
        method: nn.Module,
        *,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        position: Position,
        accelerator: Accelerator,
        average: WeightAverage | None = None,
        shards: Shards | None = None,
    ) -> None:
        """Replace ``RUN/last``. Every process must call it: each has a random state of its own.

        ``shards``: what the method and the optimiser are cut into, if they are; the method is up to date.
        """
        state = {
            "optimizer": optimizer.state_dict() if shards is None else shards.optimizer_state(),
            "scheduler": scheduler.state_dict(),
            "scaler": None if accelerator.scaler is None else accelerator.scaler.state_dict(),
            "position": asdict(position),
            # before the others return: every process takes part in the gathering
            "random": gather_object([rng_state()]),
            "average": None if average is None else average.state_dict(),
            "data": None if self.data is None else self.data.state,
        }
        apart = shards is not None and shards.checkpoints == "sharded"
        main = accelerator.is_main_process
        with self._last_written(position) if main else nullcontext() as folder:
            if main:
                with nullcontext() if average is None else average.applied():
                    self.save(method, folder)
                _tell(folder, position)
                (folder / "trainer").mkdir()
                torch.save(state, folder / "trainer" / "state.pt")
            if apart:
                shards.write(broadcast_object_list([folder])[0] / "trainer" / SHARDS)
            elif main:
                # save_model, not save_file, which refuses tensors that share memory
                save_model(method, str(folder / "trainer" / "method.safetensors"))

    def resume(
        self,
        method: nn.Module,
        *,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        accelerator: Accelerator,
        average: WeightAverage | None = None,
        shards: Shards | None = None,
    ) -> Position:
        """Take up ``RUN/last``: weights, their average, optimiser, schedule, random states, position.

        :meth:`fall_back` must have been called before. Every process must call it.

        Raises:
            ValueError: If there is nothing to resume, it cannot be read, or it was saved with another number
                of processes, on other data, or in shards that this run has not.
        """
        folder = self.run / LAST
        state = self._state()
        if len(state["random"]) != accelerator.num_processes:
            raise ValueError(
                f"{folder} was saved by {len(state['random'])} processes and {accelerator.num_processes} "
                f"run now: launch {len(state['random'])} to resume exactly"
            )
        told = [self._difference(state) if accelerator.is_main_process else None]
        if (difference := broadcast_object_list(told)[0]) is not None:
            raise ValueError(difference)
        apart = folder / "trainer" / SHARDS
        if apart.is_dir() and shards is None:
            raise ValueError(
                f"{folder} was saved in shards, by FSDP: launch with --use_fsdp --fsdp_version 2 to resume"
            )
        with self._read():
            if apart.is_dir():
                shards.read(apart, state["optimizer"])
            else:
                load_model(method, str(folder / "trainer" / "method.safetensors"))
                self._load_optimizer(optimizer, state["optimizer"], shards)
            scheduler.load_state_dict(state["scheduler"])
            if average is not None:
                average.load_state_dict(state["average"])
            if accelerator.scaler is not None and state.get("scaler") is not None:
                accelerator.scaler.load_state_dict(state["scaler"])
            position = Position(**state["position"])
        set_rng_state(state["random"][accelerator.process_index])
        return position

    def fall_back(self, accelerator: Accelerator) -> str | None:
        """Replace a damaged ``RUN/last`` by the one before it; every process must call it.

        Returns:
            What happened, for the user; None: nothing did.

        Raises:
            ValueError: There is no whole one.
        """
        told: list[str | ValueError | None] = [None]
        if accelerator.is_main_process:
            try:
                told = [fall_back(self.run)]
            except ValueError as error:
                told = [error]
        if isinstance(result := broadcast_object_list(told)[0], ValueError):
            raise result
        return result

    @staticmethod
    def _load_optimizer(optimizer: Optimizer, state: dict[str, Any], shards: Shards | None) -> None:
        """Fill the optimiser, and what is cut of the method, with what was saved whole."""
        if shards is None:
            optimizer.load_state_dict(state)
        else:
            shards.scatter()
            shards.load_optimizer(state)

    def refuse_other_data(self) -> bool:
        """Compare the data with those of ``RUN/last``; False: it is of a version that kept no fingerprint.

        Raises:
            ValueError: They differ, there is nothing to resume, or it cannot be read.
        """
        state = self._state()
        if (difference := self._difference(state)) is not None:
            raise ValueError(difference)
        return state.get("data") is not None

    def _difference(self, state: dict[str, Any]) -> str | None:
        saved = state.get("data")
        if saved is None or self.data is None or (difference := self.data.difference(saved)) is None:
            return None
        return (
            f"{resuming()} goes on with the same data, and those of {self.run} have changed: {difference}. "
            f"Put the old data back, or start a new run from these weights with model.name={self.run / LAST}"
        )

    def _state(self) -> dict[str, Any]:
        folder = self.run / LAST
        recover_last(self.run)
        if not (folder / "trainer").is_dir():
            raise ValueError(
                f"nothing to resume in {self.run}: it has no last/trainer; train without {resuming()}"
            )
        with self._read():
            return torch.load(folder / "trainer" / "state.pt", map_location="cpu", weights_only=True)

    @contextmanager
    def _read(self) -> Iterator[None]:
        """Tell in one line that the checkpoint cannot be read."""
        try:
            yield
        except _UNREADABLE as error:
            # torch tells of a cut-off file in paragraphs
            reason = " ".join(str(error).split()).split(". ")[0][:150] or type(error).__name__
            best = self.run / "best"
            way = f" from model.name={best}" if best.is_dir() else ""
            raise ValueError(
                f"{self.run / LAST / 'trainer'} cannot be read: {reason}. It is cut short or of another "
                f"model: copy it again if there is another copy, or start a new run{way} with another "
                "output.folder"
            ) from error

    @contextmanager
    def _last_written(self, position: Position) -> Iterator[Path]:
        """Give a folder that becomes ``RUN/last``; the one before is kept as far as is wanted."""
        former = place_of_former(self.run, step=position.step, keep=self.keep_last)
        with self._written_whole(self.run / LAST, former=former) as folder:
            yield folder
        remove_old(self.run, keep=self.keep_last)

    @contextmanager
    def _written_whole(self, folder: Path, *, former: Path | None = None) -> Iterator[Path]:
        """Give a folder that replaces ``folder`` if all goes well; torch's full disk is no OSError."""
        try:
            with atomic_folder(folder, former=former) as temporary:
                yield temporary
                write_checksums(temporary)
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OSError(f"saving {folder} failed: {reason}. {self._advice()}") from error

    def _advice(self) -> str:
        told = self.run / LAST / TRAINING
        if not (self.run / LAST / "trainer").is_dir():
            return (
                "Nothing of this run was saved before: free space on its disk and start it again, or choose "
                "another output.folder"
            )
        step = f" of step {json.loads(told.read_text(encoding='utf-8'))['step']}" if told.is_file() else ""
        return f"The checkpoint{step} before it is whole: free space on its disk and go on with {resuming()}"


def saved_data(run: Path) -> dict[str, Any] | None:
    """What ``RUN/last`` was trained on, as ``DataFingerprint.state``; None where that cannot be told."""
    try:
        state = torch.load(run / LAST / "trainer" / "state.pt", mmap=True, weights_only=True)
    except _UNREADABLE:
        return None
    return state.get("data")


def _tell(folder: Path, position: Position) -> None:
    """Write ``training.json``: of which step the weights are, and their selection number if it is known."""
    about = {"step": position.step, "steps": position.steps, "epoch": position.epoch}
    about |= {"best_step": position.best_step, "best": position.best, "to_validate": position.to_validate}
    (folder / TRAINING).write_text(json.dumps(about) + "\n", encoding="utf-8")
