"""Section ``train`` -> what knows devices, processes and precision."""

from __future__ import annotations

from datetime import timedelta

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs

from knowclip.recipe.train import TrainConfig


def build_accelerator(config: TrainConfig) -> Accelerator:
    """Build what knows devices, processes and precision.

    Accelerate keeps the first precision of a process and refuses another; a second training in the same
    Python session may have its own. Processes and devices stay those of the first.
    """
    AcceleratorState._reset_state()
    return Accelerator(
        mixed_precision="no" if config.precision == "fp32" else config.precision,
        # the others wait while one process parses, fills caches or validates
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=12))],
    )
