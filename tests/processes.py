"""Two processes of one gloo group."""

from __future__ import annotations

import gc
import multiprocessing
import os
import socket
from collections.abc import Callable

import torch
from torch import multiprocessing as mp

SLOW_TO_IMPORT = ["open_clip", "accelerate", "torch.distributed.fsdp"]


def in_two_processes(work: Callable[..., None], *given: object, method: str = "forkserver") -> None:
    """Call ``work(rank, *given)`` in two processes of one gloo group on this machine.

    Those of a fork server leave without Python's exit hooks; ``method="spawn"`` has them.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # of a server that has imported once what each would import for most of its time
    multiprocessing.set_forkserver_preload(SLOW_TO_IMPORT)
    mp.start_processes(_joined, args=(port, work, given), nprocs=2, start_method=method)


def _joined(rank: int, port: int, work: Callable[..., None], given: tuple[object, ...]) -> None:
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    torch.set_num_threads(1)
    work(rank, *given)
    gc.collect()  # FSDP's parts hold each other; left to the end they outlive gloo, which then aborts
    torch.distributed.destroy_process_group()
