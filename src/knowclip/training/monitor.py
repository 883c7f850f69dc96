"""What a person sees of a run while it lasts: a progress bar with throughput, and the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from knowclip.training.runlog import RunLog


class Monitor:
    """Progress bar and log of one process; silent on all but the main one.

    Args:
        open_log: ``open_log(step=...)`` opens the log where the run takes up; None: a silent monitor.
        steps: Optimiser steps of the run.
        every: Steps between lines of the log.
    """

    def __init__(self, open_log: Callable[..., RunLog] | None, *, steps: int, every: int) -> None:
        self._open_log = open_log
        self._steps = steps
        self._every = every
        self._progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=open_log is None,
        )

    def start(self, step: int) -> Self:
        """Begin at an optimiser step; use the result in a ``with`` statement."""
        self._log = self._open_log(step=step) if self._open_log else None
        self._task = self._progress.add_task("train", total=self._steps, completed=step, status="")
        self._restart_clock()
        return self

    def train(self, step: int, numbers: Mapping[str, float], *, pairs: int) -> None:
        """Take note of one optimiser step over ``pairs`` image-caption pairs."""
        self._pairs += pairs
        if step % self._every and step != self._steps:
            self._progress.update(self._task, completed=step)
            return
        rate = self._pairs / (time.perf_counter() - self._since)
        status = f"loss {numbers['loss']:.4f} · {rate:.0f} pairs/s"
        self._progress.update(self._task, completed=step, status=status)
        if self._log:
            self._log.write(step, "train", {**numbers, "pairs_per_second": rate})
        self._restart_clock()

    def validation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take note of a validation; its time does not count as training time."""
        if self._log:
            shown = " · ".join(f"{name} {value:.4f}" for name, value in numbers.items())
            self._progress.console.print(f"step {step}: {shown}", highlight=False, soft_wrap=True)
            self._log.write(step, "validation", numbers)
        self._restart_clock()

    def _restart_clock(self) -> None:
        self._pairs = 0
        self._since = time.perf_counter()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()
        if self._log:
            self._log.close()
