"""Lines where there is no terminal, a bar where there is one, silence on other processes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest

from knowclip.training import monitor as module
from knowclip.training.monitor import Monitor


class Log:
    """A run's log that keeps what it is told."""

    def __init__(self, fails: bool = False) -> None:
        self.lines: list[tuple[str, int]] = []
        self.closed, self.fails = 0, fails

    def write(self, step: int, kind: str, numbers: Mapping[str, float]) -> None:
        self.lines.append((kind, step))

    def skipped(self, step: int, numbers: Mapping[str, float], examples: Mapping[str, Any]) -> None:
        self.lines.append(("skipped", step))

    def close(self) -> None:
        self.closed += 1
        if self.fails:
            raise OSError(28, "No space left on device")


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def trained(monitor: Monitor, *steps: int, clock: Clock, seconds: float = 1.0) -> None:
    for step in steps:
        clock.now += seconds
        monitor.train(step, {"loss": 1 / step}, pairs=4)


def test_lines_come_first_when_due_and_after_a_silence(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log()
    with Monitor(lambda step: log, steps=100, every=50).start(0) as monitor:
        trained(monitor, *range(1, 51), clock=clock)
        trained(monitor, 51, 52, clock=clock, seconds=40)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("step ")]
    # the first; a line whenever ten seconds were silent; 50 is due; then each of the slow ones
    assert [line.split("/")[0] for line in told] == [
        f"step {step}" for step in (1, 12, 23, 34, 45, 50, 51, 52)
    ]
    assert "loss 1.0000 · 4 pairs/s" in told[0]
    assert log.lines == [("train", 50)] and log.closed == 1


def test_the_last_step_has_a_line_of_the_log_whatever_every_is(clock: Clock) -> None:
    log = Log()
    with Monitor(lambda step: log, steps=3, every=50).start(0) as monitor:
        trained(monitor, 1, 2, 3, clock=clock)
    assert log.lines == [("train", 3)]


def test_validations_and_skipped_steps_are_told_and_logged(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log()
    with Monitor(lambda step: log, steps=3, every=1).start(0) as monitor:
        with monitor.validating(2):
            pass
        monitor.validation(2, {"image_to_text_R@1": 0.5, "selection": 0.25, "image_to_text_R@5": 0.75})
        monitor.skipped(3, {"loss": float("nan"), "grad_norm": 1.0}, {"images": ["a.jpg"]})
    told = capsys.readouterr().err
    assert "step 2/3: validating" in told
    assert "step 2: selection 0.2500\n  image_to_text_R@1 0.5000 · R@5 0.7500" in told
    assert "step 3 skipped: loss or gradient is not finite" in told and "a.jpg" in told
    assert log.lines == [("validation", 2), ("skipped", 3)]


def test_a_terminal_has_a_bar_and_no_lines(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "Screen", lambda stderr: _Terminal())
    log = Log()
    with Monitor(lambda step: log, steps=2, every=1).start(0) as monitor:
        trained(monitor, 1, clock=clock)
        with monitor.validating(1):
            pass
        monitor.say("a word")
    shown = _Terminal.shown.getvalue()
    assert "a word" in shown and "1/2" in shown.replace(" ", "")
    assert "step 1/2 ·" not in shown and "step 1/2: validating" not in shown


def test_the_bar_s_pace_and_time_left_are_of_one_moment_and_one_clock(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Screen", lambda stderr: _Terminal())
    with Monitor(lambda step: Log(), steps=10, every=100).start(0) as monitor:
        for step in (1, 2, 3):  # none is due in the log
            trained(monitor, step, clock=clock)
            (task,) = monitor._progress.tasks
            assert task.fields["left"] == monitor._left(step) and "pairs/s" in task.fields["status"]
        assert task.fields["left"].endswith(" left") and "-:--" not in _Terminal.shown.getvalue()


class _Terminal(module.Screen):
    """A console that takes itself for a terminal and keeps what it shows."""

    shown = io.StringIO()

    def __init__(self) -> None:
        super().__init__(file=self.shown, force_terminal=True, width=100)


def test_a_process_that_is_not_the_main_one_is_silent(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Monitor(None, steps=2, every=1).start(0) as monitor:
        trained(monitor, 1, 2, clock=clock)
        with monitor.validating(2):
            pass
        monitor.validation(2, {"selection": 0.5})
        monitor.skipped(2, {"loss": 1.0, "grad_norm": 1.0}, {})
        monitor.say("a word")
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""


def test_a_log_that_cannot_be_closed_is_told_once(clock: Clock) -> None:
    log = Log(fails=True)
    with pytest.raises(OSError, match="No space left"), Monitor(lambda step: log, steps=1, every=1).start(0):
        pass
    with pytest.raises(ValueError, match="the first"):  # what ended the run is what is told
        with Monitor(lambda step: log, steps=1, every=1).start(0):
            raise ValueError("the first")
    assert log.closed == 2
