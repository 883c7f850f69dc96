"""Section ``output`` -> the log with its progress bar, and the checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from knowclip.data.captions.fingerprint import DataFingerprint
from knowclip.export.method import save_method
from knowclip.recipe.output import OutputConfig
from knowclip.training.checkpoint import Checkpointer
from knowclip.training.monitor import Monitor
from knowclip.training.runlog import RunLog


def build_monitor(
    config: OutputConfig, recipe: Mapping[str, Any], *, steps: int, log_every: int, silent: bool
) -> Monitor:
    """Build the progress bar and the log, which keeps the values of the whole ``recipe`` beside it."""
    open_log = partial(RunLog, config.folder, wandb_project=config.wandb, config=recipe)
    return Monitor(None if silent else open_log, steps=steps, every=log_every)


def build_checkpointer(config: OutputConfig, data: DataFingerprint, *, method: str) -> Checkpointer:
    """Build what keeps ``best`` and ``last``, with what tells whether the data are still the same."""
    save = partial(save_method, name=method)
    return Checkpointer(config.folder, save, data, keep_last=config.keep_last)
