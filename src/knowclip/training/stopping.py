"""Ctrl-C, SIGTERM, a terminal closed: the first ends the step and saves it, the second ends the process."""

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

HANGUP = getattr(signal, "SIGHUP", None)
"""What a terminal sends when it closes or its connection is lost; None where there is no such signal."""
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
    """Takes note of the first SIGINT, SIGTERM or SIGHUP inside; the second is a KeyboardInterrupt.

    SIGHUP is left alone where it is ignored, as under ``nohup``: such a run is to outlive its terminal.
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
        self._terminals: list[int] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._take)
            if HANGUP is not None and signal.getsignal(HANGUP) is not signal.SIG_IGN:
                self._before[HANGUP] = signal.signal(HANGUP, self._take)
            self._terminals = [number for number in (1, 2) if os.isatty(number)]
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
        if number == HANGUP:
            self._let_go_of_terminal()
        if self.number is not None:
            if number == HANGUP:  # the shell sends one and the terminal another
                return
            if time.monotonic() - self._since < self._settled:
                return
            raise KeyboardInterrupt
        self.number, self._since = number, time.monotonic()
        told = f"\n{signal.Signals(number).name}: ends this step and saves it; once more stops at once\n"
        os.write(2, told.encode())  # print is not for signal handlers
        if self._interrupts:
            raise Interrupted

    def _let_go_of_terminal(self) -> None:
        """Print to nowhere from now on: writes to a terminal that is gone fail, and lose the step."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for terminal in self._terminals:
            os.dup2(nowhere, terminal)
        os.close(nowhere)
