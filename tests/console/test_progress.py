"""A sign of life: plain lines at intervals without a terminal, with the time left where it is known."""

from __future__ import annotations

import io
import sys
import time

import pytest
from rich.console import Console

from knowclip.console import progress
from knowclip.console.progress import Lines, counting, duration, fractions, stages, waiting


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines every few hundredths of a second."""
    monkeypatch.setattr(progress, "FIRST", 0.02)
    monkeypatch.setattr(progress, "EVERY", 0.02)


def until(written: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What was written to standard error, as soon as ``written`` is in it."""
    told, end = "", time.monotonic() + 5
    while written not in told and time.monotonic() < end:
        told += capsys.readouterr().err
        time.sleep(0.005)
    assert written in told
    return told


@pytest.mark.usefixtures("quick")
def test_lines_come_before_anything_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("parsing", total=40_000, unit="captions") as count:
        assert "parsing: 0 of 40,000 captions" in until("parsing:", capsys)
        count(1_200)
        until("parsing: 1,200 of 40,000 captions", capsys)
    assert "parsing: 1,200 of 40,000 captions in 0:00" in capsys.readouterr().err


def test_what_is_done_at_once_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("parsing", total=3) as count:
        count(3)
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("quick")
def test_a_total_that_is_known_late_and_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    with counting("words.bin", unit="bytes") as count:
        count(1_500_000)
        until("words.bin: 2 MB", capsys)
        count(3_000_000, 12_000_000)
        until("words.bin: 3 of 12 MB", capsys)


@pytest.mark.usefixtures("quick")
def test_stages_shares_and_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    with stages() as update:
        update("parsing captions", 5, 10)
        until("parsing captions: 5 of 10", capsys)
        update("reading images", 1, 4)
        until("reading images: 1 of 4", capsys)
    with fractions() as report:
        report("sorting", 0.37)
        until("sorting: 37%", capsys)
    assert "sorting: done in 0:00" in capsys.readouterr().err  # no share is told of its end
    with waiting("loading") as following:
        until("loading: 0:00 so far", capsys)
        following("measuring")
        until("loading: done in 0:00\nmeasuring: 0:00 so far", capsys)


def test_the_time_left_is_told_from_the_speed_since_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = Lines("captions")
    lines.update("parsing", 0, 1000)
    now[0] = 130.0  # the parser was loaded
    lines.update("parsing", 100, 1000)
    assert "left" not in lines._state()
    now[0] = 140.0
    lines.update("parsing", 200, 1000)  # 10 a second
    assert lines._state() == "200 of 1,000 captions, 1:20 left, 0:40 so far"
    lines.update("parsing", 50, 400)  # the next thing of this name
    assert lines._state() == "50 of 400 captions, 0:00 so far"


def test_a_handful_tells_no_time_left_until_half_a_minute_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = Lines("captions")
    lines.update("parsing", 10, 1000)
    now[0] = 110.0
    lines.update("parsing", 19, 1000)
    assert lines._state() == "19 of 1,000 captions, 0:10 so far"
    lines.update("parsing", 20, 1000)  # one of a hundred
    assert lines._state() == "20 of 1,000 captions, 16:20 left, 0:10 so far"
    now[0] = 131.0
    lines.update("parsing", 12, 1000)
    lines.update("parsing", 13, 1000)
    now[0] = 162.0
    assert lines._state() == "13 of 1,000 captions, 8:29:57 left, 0:31 so far"


def test_other_processes_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(Lines, "running", lambda self: pytest.fail("lines"))
    with counting("parsing", total=2) as count:
        count(1)


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(
        "rich.console.Console", lambda **_: Console(file=screen, force_terminal=True, width=80)
    )
    monkeypatch.delenv("TERM", raising=False)
    with counting("parsing", total=40_000, unit="captions") as count:
        count(10_000)
    told = screen.getvalue()
    assert "parsing" in told and "10,000 of 40,000 captions" in told and "left" in told
    with counting("words.bin", unit="bytes") as count:
        count(3_000_000, 12_000_000)
    assert "3.0/12.0 MB" in screen.getvalue()


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0.4, 7, 750, 3723)] == ["0:00", "0:07", "12:30", "1:02:03"]


def test_a_bar_without_an_end_says_nothing_of_time_left() -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80)
    for total, told in ((None, False), (40, True)):
        with progress._bars(terminal, "captions") as update:
            update("parsing", 3, total)
        assert ("--:--\x1b[0m left" in screen.getvalue()) == told  # behind its time: not "0:00:15 left 00:16"


def test_a_label_that_comes_back_is_shown_again() -> None:
    screen = io.StringIO()
    with progress._bars(Console(file=screen, force_terminal=True, width=80), "") as update:
        for label in ("images", "texts", "images"):
            update(label, 1, 2)
            time.sleep(0.3)
    assert screen.getvalue().rindex("images") > screen.getvalue().rindex("texts")
