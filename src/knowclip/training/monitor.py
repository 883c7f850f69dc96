"""What a person sees of a run while it lasts: a bar on a terminal, lines elsewhere, and the log."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from threading import Event, Thread
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
)

from knowclip.console.progress import EVERY, Lines, duration
from knowclip.console.screen import Screen
from knowclip.training.nonfinite import shown
from knowclip.training.runlog import RunLog

SELECTION = "selection"
"""The number by which a validation chooses the best checkpoint."""
_PART = re.compile(r"(?P<of>.+)_(?P<part>R@\d+|(?:text|image|group)(?P<average>_macro|))")
"""A metric that is told with its siblings: recalls of one direction, the three scores of two by two."""
_WIDTH = 78
"""Columns of a validation's line: it stands after two blanks."""
_SILENCE = EVERY
"""Seconds after which a line is written where there is no terminal, however long ``every`` steps take."""
_LONG = 3.0
"""Seconds from which on it is told how long a step takes: of many that are short, each look finds another."""
_BEAT = 1.0
"""Seconds between two looks at whether a step takes longer than that."""


class Monitor:
    """Progress and log of one process; silent on all but the main one.

    On a terminal standard error shows a bar. Elsewhere (a file, a pipe, a batch system) it gets a line at the
    first step, every ``every`` steps and after 10 seconds of silence, within a step too.

    Args:
        open_log: ``open_log(step=...)`` opens the log where the run takes up; None: a silent monitor.
        steps: Optimiser steps of the run.
        every: Steps between lines of the log.
    """

    def __init__(self, open_log: Callable[..., RunLog] | None, *, steps: int, every: int) -> None:
        self._open_log = open_log
        self._steps = steps
        self._every = every
        self._step: int | None = None
        console = Screen(stderr=True)
        self._lines = open_log is not None and (not console.is_terminal or console.is_dumb_terminal)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=open_log is None or self._lines,
        )

    def start(self, step: int) -> Self:
        """Begin at an optimiser step; use the result in a ``with`` statement."""
        self._log = self._open_log(step=step) if self._open_log else None
        self._task = self._progress.add_task("train", total=self._steps, completed=step, status="", left="")
        self._trained, self._seconds = 0, 0.0
        # so that the first step is told whatever the clock says
        self._told = -math.inf
        self._step, self._heard = step, time.perf_counter()
        self._restart_clock()
        return self

    def say(self, text: str) -> None:
        """Write a line above the bar, on the main process."""
        self._heard = time.perf_counter()
        if self._open_log is not None:
            self._progress.console.print(text)

    def train(self, step: int, numbers: Mapping[str, float], *, pairs: int) -> None:
        """Take note of one optimiser step over ``pairs`` image-caption pairs."""
        now = time.perf_counter()
        self._pairs += pairs
        self._trained, self._seconds, self._last = self._trained + 1, self._seconds + now - self._last, now
        self._step = step
        # the last step too, so that a short run has a line
        due = step % self._every == 0 or step == self._steps
        rate = self._pairs / (now - self._since)
        status = f"loss {numbers['loss']:.4f} · {rate:.0f} pairs/s"
        if self._lines and (due or now - self._told > _SILENCE):
            self.say(f"step {step:,}/{self._steps:,} · {status} · {self._left(step)}")
            self._told = now
        self._progress.update(self._task, completed=step, status=status, left=self._left(step))
        if not due:
            return
        if self._log:
            self._log.write(step, "train", {**numbers, "pairs_per_second": rate})
        self._restart_clock()

    def skipped(self, step: int, numbers: Mapping[str, float], examples: Mapping[str, list[str]]) -> None:
        """Say and log that a step was not taken, by its losses and the keys of its examples."""
        self.say(f"step {step:,} skipped: loss or gradient is not finite {shown(numbers, examples)}")
        if self._log:
            self._log.skipped(step, numbers, examples)
        self._progress.update(self._task, completed=step)
        self._last = time.perf_counter()

    @contextmanager
    def validating(self, step: int) -> Iterator[None]:
        """Say that a validation begins, goes on and, by what the bar shows then, is over."""
        self._progress.update(self._task, status="validating")
        self._step = None
        with ExitStack() as told:
            if self._lines:
                self.say(f"step {step:,}/{self._steps:,}: validating")
                lines = told.enter_context(Lines(every=_SILENCE, first=_SILENCE).running())
                lines(f"step {step:,}/{self._steps:,}: validating", 0, None)
            yield
        self._progress.update(self._task, status="")
        self._step, self._heard, self._last = step, time.perf_counter(), time.perf_counter()

    def validation(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take note of a validation; its time does not count as training time."""
        self.say(f"step {step}: " + "\n  ".join(validation_lines(numbers)))
        if self._log:
            self._log.write(step, "validation", numbers)
        self._restart_clock()

    def _left(self, step: int) -> str:
        """Time that the steps to come take, validations aside, at the pace so far."""
        return f"{duration((self._steps - step) * self._seconds / self._trained)} left"

    def _restart_clock(self) -> None:
        self._pairs = 0
        self._since = self._last = time.perf_counter()

    def _beat(self, stop: Event) -> None:
        """Say that a step goes on, where it takes long; a validation says so itself."""
        while not stop.wait(_BEAT):
            step, now = self._step, time.perf_counter()
            if step is not None and step < self._steps and now - self._heard > _SILENCE - _BEAT:
                since = f" for {duration(now - self._last)}" if now - self._last >= _LONG else ""
                self.say(f"step {step + 1:,}/{self._steps:,}: under way{since}")

    def __enter__(self) -> Self:
        self._progress.start()
        if self._lines:
            self._stop = Event()
            self._thread = Thread(target=self._beat, args=(self._stop,), daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lines:
            self._stop.set()
            self._thread.join()
        if not self._progress.disable:  # rich 13.0 ends a bar that was never shown with an empty line
            self._progress.stop()
        if self._log:
            with suppress(OSError) if error is not None else nullcontext():  # a full disk is told once
                self._log.close()


def validation_lines(numbers: Mapping[str, float]) -> list[str]:
    """What decides first, then a line for each benchmark: its metrics are named in full once.

    ``image_to_text_R@1 0.0867 · R@5 0.2800 · R@10 0.3867``, in shares of 1 as ``log.jsonl`` has them. The
    mean that a benchmark goes by (``swaps_macro``) is not told beside it once more.
    """
    lines: dict[str, list[str]] = {}
    for name in sorted(numbers, key=lambda name: name != SELECTION):
        benchmark, _, mean = name.rpartition("_")
        if mean in ("macro", "micro") and numbers.get(benchmark) == numbers[name]:
            continue
        part = _PART.fullmatch(name)
        family = f"{part['of']}{part['average']}" if part else name.partition("_")[0]
        of = lines.setdefault(family, [])
        of.append(f"{part['part'] if of and part else name} {numbers[name]:.4f}")
    return [line for of in lines.values() for line in _joined(of)]


def _joined(parts: Sequence[str]) -> list[str]:
    """Parts beside each other, in lines that fit a terminal of 80 columns after two blanks."""
    lines = [parts[0]]
    for part in parts[1:]:
        beside = f"{lines[-1]} · {part}"
        lines[-1:] = [beside] if len(beside) <= _WIDTH else [lines[-1], part]
    return lines
