"""Ctrl-C and SIGTERM in training: the first ends the step and saves it, the second ends the process."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

from knowclip.training.checkpoint import Position

_SETTLED = 2.0
"""Seconds within which a launcher of several processes passes on a signal that they have already."""


class TrainingStopped(KeyboardInterrupt):
    """A run was asked to stop; its last step is saved.

    Args:
        position: Where it stands.
        number: Of the signal.
    """

    def __init__(self, position: Position, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name} after step {position.step}")
        self.position = position
        self.number = number


class Interrupted(BaseException):
    """Work that can be done again was broken off by a request to stop.

    No Exception: what is interrupted must not take it for an error of its own and go on.
    """


class StopRequest:
    """Takes note of the first SIGINT or SIGTERM while it is entered; the second is a KeyboardInterrupt.

    Outside the main thread, where Python cannot handle signals, it takes note of nothing.

    Args:
        processes: That train together; a launcher sends them each signal twice.
    """

    def __init__(self, *, processes: int) -> None:
        self.number: int | None = None
        self._settled = _SETTLED if processes > 1 else 0.0
        self._since = 0.0
        self._interrupts = False
        self._before: dict[int, signal.Handlers] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Work that need not be finished: a request raises ``Interrupted`` in it, at once if there is one."""
        if self.number is not None:
            raise Interrupted
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            if time.monotonic() - self._since < self._settled:
                return
            raise KeyboardInterrupt
        self.number, self._since = number, time.monotonic()
        told = f"\n{signal.Signals(number).name}: ends this step and saves it; once more stops at once\n"
        os.write(2, told.encode())  # print is not for signal handlers
        if self._interrupts:
            raise Interrupted
