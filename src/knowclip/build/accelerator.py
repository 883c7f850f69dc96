"""Section ``train`` -> what knows devices, processes and precision."""

from __future__ import annotations

import atexit
from datetime import timedelta

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs
from torch import distributed

from knowclip.recipe.train import TrainConfig


def build_accelerator(config: TrainConfig) -> Accelerator:
    """Build what knows devices, processes and precision.

    Accelerate keeps the first precision of a process and refuses another; a second training in the same
    Python session may have its own. Processes and devices stay those of the first. The group of processes
    that this begins ends with the interpreter, however the training ends; one that was there before does not.
    """
    AcceleratorState._reset_state()
    found = _in_group()
    accelerator = Accelerator(
        mixed_precision="no" if config.precision == "fp32" else config.precision,
        # the others wait while one process parses, fills caches or validates
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=12))],
    )
    if _in_group() and not found:
        atexit.register(_end_group)
    return accelerator


def _in_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _end_group() -> None:
    """End the group, whose threads else abort a process that takes its libraries down under them.

    No process waits here for the others: after an error they may never come.
    """
    if _in_group():
        distributed.destroy_process_group()
