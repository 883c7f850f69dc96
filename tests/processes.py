"""Processes beside the tests': two of one gloo group, and one that is to die."""

from __future__ import annotations

import gc
import multiprocessing
import os
import socket
from collections.abc import Callable

import torch
from torch import multiprocessing as mp

SLOW_TO_IMPORT = ["open_clip", "accelerate", "torch.distributed.fsdp", "peft", "spacy"]


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


def exit_code(work: Callable[..., None], *given: object) -> int | None:
    """Call ``work(*given)`` in a process with this environment; codes below 0 are the signals that end it."""
    multiprocessing.set_forkserver_preload(SLOW_TO_IMPORT)
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_alone, args=(dict(os.environ), work, given))
    process.start()
    process.join()
    return process.exitcode


def _alone(environment: dict[str, str], work: Callable[..., None], given: tuple[object, ...]) -> None:
    os.environ |= environment  # the fork server has that of when it was started
    torch.set_num_threads(1)
    work(*given)


def _joined(rank: int, port: int, work: Callable[..., None], given: tuple[object, ...]) -> None:
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
    }  # fmt: skip
    torch.set_num_threads(1)
    work(rank, *given)
    gc.collect()  # FSDP's parts hold each other; left to the end they outlive gloo, which then aborts
    torch.distributed.destroy_process_group()
