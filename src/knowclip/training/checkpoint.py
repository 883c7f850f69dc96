"""A run's checkpoints on disk, each written whole or not at all.

``RUN/best`` and ``RUN/last`` are drop-in model folders; ``RUN/last/trainer`` holds what ``--resume`` needs
besides: ``method.safetensors`` and ``state.pt``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from knowclip.atomic import atomic_folder, recover
from knowclip.training.rng import rng_state, set_rng_state


@dataclass
class Position:
    """Where a run stands.

    ``step`` counts optimiser steps; ``epoch`` and ``batch`` say which batch comes next; ``best`` is the
    highest selection number so far, reached at ``best_step``.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float | None = None
    best_step: int | None = None


@dataclass(frozen=True)
class Checkpointer:
    """Save and resume one run.

    Args:
        run: The run's folder.
        save: Writes a method as a drop-in folder: ``save(method, folder)``.
    """

    run: Path
    save: Callable[[nn.Module, Path], None]

    def save_best(self, method: nn.Module) -> None:
        """Replace ``RUN/best``; the main process alone calls it."""
        with _written_whole(self.run / "best") as folder:
            self.save(method, folder)

    def save_last(
        self,
        method: nn.Module,
        *,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        position: Position,
        accelerator: Accelerator,
    ) -> None:
        """Replace ``RUN/last``. Every process must call it: each has a random state of its own."""
        random = gather_object([rng_state()])
        if not accelerator.is_main_process:
            return
        state = {
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "position": asdict(position),
            "random": random,
        }
        with _written_whole(self.run / "last") as folder:
            self.save(method, folder)
            (folder / "trainer").mkdir()
            save_model(method, str(folder / "trainer" / "method.safetensors"))
            torch.save(state, folder / "trainer" / "state.pt")

    def resume(
        self,
        method: nn.Module,
        *,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        accelerator: Accelerator,
    ) -> Position:
        """Take up ``RUN/last``: weights, optimiser, schedule, random states, position.

        Raises:
            ValueError: If there is nothing to resume, or it was saved with another number of processes.
        """
        folder = self.run / "last"
        recover(folder)
        if not (folder / "trainer").is_dir():
            raise ValueError(
                f"nothing to resume in {self.run}: it has no last/trainer; train without --resume"
            )
        load_model(method, str(folder / "trainer" / "method.safetensors"))
        state: dict[str, Any] = torch.load(
            folder / "trainer" / "state.pt", map_location="cpu", weights_only=True
        )
        if len(state["random"]) != accelerator.num_processes:
            raise ValueError(
                f"{folder} was saved by {len(state['random'])} processes and {accelerator.num_processes} "
                f"run now: launch {len(state['random'])} to resume exactly"
            )
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        set_rng_state(state["random"][accelerator.process_index])
        return Position(**state["position"])


@contextmanager
def _written_whole(folder: Path) -> Iterator[Path]:
    """Give a folder that replaces ``folder`` if all goes well; torch raises no OSError on a full disk."""
    try:
        with atomic_folder(folder) as temporary:
            yield temporary
    except (OSError, SafetensorError, RuntimeError) as error:
        raise OSError(
            f"saving the checkpoint {folder} failed: {error}. What stood there before is whole: free space "
            "on its disk, then go on with --resume"
        ) from error
