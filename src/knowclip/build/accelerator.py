"""Section ``train`` -> what knows devices, processes and precision."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
from datetime import timedelta
from typing import TYPE_CHECKING

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import FullyShardedDataParallelPlugin, InitProcessGroupKwargs, is_torch_version
from torch import distributed

from knowclip.recipe.train import TrainConfig

if TYPE_CHECKING:
    from knowclip.training.sharding import Checkpoints


def build_accelerator(config: TrainConfig) -> Accelerator:
    """Build what knows devices, processes and precision.

    Accelerate keeps the first precision of a process and refuses another; a second training in the same
    Python session may have its own. Processes and devices stay those of the first. The group of processes
    that this begins ends with the interpreter, however the training ends; one that was there before does not.

    Raises:
        ValueError: fp16 without a GPU, for which Accelerate would take fp32.
    """
    AcceleratorState._reset_state()
    if distributed.is_available():
        # before a group begins: its functions take that of their import for a default, and would keep it
        importlib.import_module("torch.distributed.nn.functional")
    found = _in_group()
    accelerator = Accelerator(
        mixed_precision="no" if config.precision == "fp32" else config.precision,
        # the others wait while one process parses, fills caches or validates
        kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=12))],
    )
    if _in_group() and not found:
        atexit.register(_end_group)
    if config.precision == "fp16" and accelerator.device.type == "cpu":
        raise ValueError(
            "train.precision=fp16 needs a GPU, and this machine trains on its processor: set "
            "train.precision=bf16 if it multiplies that (knowclip doctor says so), else fp32"
        )
    return accelerator


def build_sharding(config: TrainConfig) -> Checkpoints | None:
    """How parameters are shared out, as ``accelerate launch --use_fsdp`` asks for; None: not at all.

    Of Accelerate's options of FSDP those that say what is not done here are refused.

    Raises:
        ValueError: FSDP's first version, or an option that would have no effect.
    """
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return None
    from torch.distributed.fsdp import CPUOffloadPolicy
    from torch.distributed.fsdp.fully_sharded_data_parallel import StateDictType

    plugin = FullyShardedDataParallelPlugin()
    refused = {
        "--fsdp_version 1, while knowclip shards by FSDP2: add --fsdp_version 2": plugin.fsdp_version != 2,
        "--fsdp_offload_params: leave it out, and cut batches by train.accumulate": isinstance(
            plugin.cpu_offload, CPUOffloadPolicy
        ),
        "--fsdp_activation_checkpointing: set train.grad_checkpointing=true in its place": (
            plugin.activation_checkpointing
        ),
        "--fsdp_transformer_layer_cls_to_wrap, while a method is cut as one unit: leave it out": (
            plugin.transformer_cls_names_to_wrap
        ),
        "FSDP, for which knowclip needs torch 2.14: older ones do not see that Features need gradients": (
            not is_torch_version(">=", "2.14")
        ),
        "FSDP with train.precision=fp16: set train.precision=bf16": config.precision == "fp16",
        "FSDP, whose parts have no train.ema: set train.ema=null": config.ema is not None,
    }
    for told, holds in refused.items():
        if holds:
            raise ValueError(f"accelerate launch asks for {told}")
    return "sharded" if plugin.state_dict_type == StateDictType.SHARDED_STATE_DICT else "full"


def _in_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _end_group() -> None:
    """End the group and its threads: one that hands memory back to an interpreter that is gone aborts it.

    Those of gloo end with the last reference, so what is left of a training goes first. No process waits here
    for the others: after an error they may never come.
    """
    gc.collect()
    if _in_group():
        distributed.destroy_process_group()
