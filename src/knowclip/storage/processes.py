"""Local processes for work that Python does on one core."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread


def process_pool(processes: int) -> ProcessPoolExecutor:
    """Processes that end with the one that started them, however it ends: a killed one cannot tell them."""
    # not forked: torch's threads do not survive a fork
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_follow)


def available_processors() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _follow() -> None:
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
