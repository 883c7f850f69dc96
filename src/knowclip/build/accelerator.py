"""Section ``train`` -> what knows devices, processes and precision."""

from __future__ import annotations

from datetime import timedelta

from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs

from knowclip.recipe.train import TrainConfig


def build_accelerator(config: TrainConfig) -> Accelerator:
    """Build what knows devices, processes and precision."""
    return Accelerator(
        mixed_precision="no" if config.precision == "fp32" else config.precision,
        # the others wait while one process parses, fills caches or validates
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=12))],
    )
