"""A sign of life in whatever lasts, on standard error: a bar on a terminal, a line now and then elsewhere.

Of what is done within a second no line is written. Of several processes (``accelerate launch``) the first
speaks.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from rich.progress import TaskID

FIRST, EVERY = 1.0, 10.0
"""Seconds until the first plain line, and between those that follow."""
SOUND, LONG = 0.01, 30.0
"""The share from which on, or the seconds after which, what was done tells how long the rest takes."""


class Count(Protocol):
    """Takes how many are done so far, and the total where it became known only now."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """Take note of it; cheap enough to be called for each."""


Stages = Callable[[str, float, float | None], None]
"""Takes a label, how many are done of it and how many there are: None where nobody can know."""


@contextmanager
def counting(label: str, *, total: int | None = None, unit: str = "") -> Iterator[Count]:
    """Show how many are done, how fast and the time left; give the function that is told of it.

    Args:
        label: What is being done, as in ``parsing``.
        total: How many there are; None shows what is done without an end.
        unit: Of what is counted, as in ``captions``; ``bytes`` are shown as MB.
    """
    known = total
    with _shown(unit) as update:
        update(label, 0, known)

        def count(done: int, total: int | None = None) -> None:
            nonlocal known
            known = known if total is None else total
            update(label, done, known)

        yield count


@contextmanager
def stages() -> Iterator[Stages]:
    """Show one thing after the other, each with a label and a count of its own."""
    with _shown("") as update:
        yield update


@contextmanager
def fractions() -> Iterator[Callable[[str, float], None]]:
    """Show one thing after the other, each with a label and the share of it that is done."""
    with _shown("") as update:
        yield lambda label, share: update(label, share, 1.0)


@contextmanager
def waiting(label: str) -> Iterator[Callable[[str], None]]:
    """Show that something without a count goes on; what it gives takes the next thing's label."""
    with _shown("") as update:
        update(label, 0, None)
        yield lambda following: update(following, 0, None)


@contextmanager
def _shown(unit: str) -> Iterator[Stages]:
    """Choose bars, lines or, on all processes but the first, nothing."""
    from rich.console import Console

    console = Console(stderr=True)
    if os.environ.get("RANK", "0") != "0":
        yield lambda label, done, total: None
    elif console.is_terminal and not console.is_dumb_terminal:
        with _bars(console, unit) as update:
            yield update
    else:
        with Lines(unit, FIRST, EVERY).running() as update:
            yield update


@contextmanager
def _bars(console, unit: str) -> Iterator[Stages]:  # type: ignore[no-untyped-def]
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    shown, task = "", cast("TaskID | None", None)
    amount = DownloadColumn() if unit == "bytes" else TextColumn("{task.fields[amount]}")
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        amount,
    )
    times = (TimeElapsedColumn(), TimeRemainingColumn(compact=True), TextColumn("{task.fields[left]}"))
    with Progress(*columns, *times, console=console, transient=True) as bars:

        def update(label: str, done: float, total: float | None) -> None:
            nonlocal shown, task
            if label != shown or task is None:
                if task is not None:
                    bars.update(task, visible=False)
                shown, task = label, bars.add_task(label, total=total, amount="", left="")
            said = {"amount": _amount(done, total, unit), "left": "" if total is None else "left"}
            bars.update(task, completed=done, total=total, **said)

        yield update


@dataclass
class Lines:
    """Plain lines of what goes on, written by a thread: they come while a model is being loaded, too."""

    unit: str = ""
    first: float = FIRST
    every: float = EVERY
    _label: str = ""
    _done: float = 0
    _total: float | None = None
    _since: float = 0.0
    _start: tuple[float, float] = (0.0, 0.0)
    """Time and count at which the first of them was done: what came before was getting ready."""
    _told: str | None = None
    _lock: Lock = field(default_factory=Lock, repr=False)

    @contextmanager
    def running(self) -> Iterator[Stages]:
        """Write while the block lasts; what was written of is written of once more when it is done."""
        self._since, stop = time.monotonic(), Event()
        thread = Thread(target=self._write, args=(stop,), daemon=True)
        thread.start()
        try:
            yield self.update
        finally:
            stop.set()
            thread.join()
        self._finish()

    def update(self, label: str, done: float, total: float | None) -> None:
        """Take note of where things stand."""
        with self._lock:
            if label != self._label or done < self._done:
                self._finish()
                self._label, self._since = label, time.monotonic()
                self._start, self._told = (0.0, 0.0), None
            if done and not self._start[0]:
                self._start = (time.monotonic(), done)
            self._done, self._total = done, total

    def _write(self, stop: Event) -> None:
        pause = self.first
        while not stop.wait(pause):
            pause = self.every
            with self._lock:
                if self._label:
                    self._told = self._label
                    self._say(f"{self._label}: {self._state()}")

    def _finish(self) -> None:
        if self._told == self._label and self._label:
            share = isinstance(self._total, float)  # the last that was told of it, not where it ended
            amount = "" if share else _amount(self._done, self._total, self.unit)
            took = duration(time.monotonic() - self._since)
            self._say(f"{self._label}: {amount or 'done'} in {took}")

    def _state(self) -> str:
        now = time.monotonic()
        parts = [_amount(self._done, self._total, self.unit)]
        began, before = self._start
        few = self._total is not None and self._done - before < SOUND * self._total
        if self._done > before and now - began > (LONG if few else 1):
            rate = (self._done - before) / (now - began)
            if self._total is not None:
                parts.append(f"{duration((self._total - self._done) / rate)} left")
        return ", ".join(part for part in (*parts, f"{duration(now - self._since)} so far") if part)

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def _amount(done: float, total: float | None, unit: str) -> str:
    """``1,200 of 40,000 captions``; of a share (a total of 1.0) ``37%``; nothing where nothing is counted."""
    if isinstance(total, float):
        return f"{100 * done / total:.0f}%"
    if unit == "bytes":
        done, total, unit = done / 1e6, None if total is None else total / 1e6, "MB"
    number = f"{done:,.0f}" if total is None else f"{done:,.0f} of {total:,.0f}"
    return f"{number} {unit}".rstrip() if done or total else ""


def duration(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
