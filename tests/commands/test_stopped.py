"""A command that ends by Ctrl-C, or since another process of its training ended: a line, no traceback."""

from __future__ import annotations

import sys

import pytest

from knowclip import cli
from knowclip.commands import benchmarks


@pytest.mark.parametrize(("raised", "told"), [(KeyboardInterrupt(), True), (SystemExit(3), False)])
def test_a_stopped_command_says_so(
    raised: BaseException, told: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise raised

    monkeypatch.setattr(benchmarks, "command", command)
    monkeypatch.setattr(sys, "argv", ["knowclip", "benchmarks"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == (130 if told else 3)
    assert ("stopped: what was saved before" in capsys.readouterr().err) == told


@pytest.mark.parametrize(("processes", "told"), [("2", True), ("1", False)])
def test_a_process_that_another_one_left_says_so(
    processes: str, told: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = RuntimeError("[pair.cc:561] Connection closed by peer [127.0.0.1]:45470")

    def app() -> None:
        raise gone

    monkeypatch.setattr(cli, "build_app", lambda: app)
    monkeypatch.setenv("WORLD_SIZE", processes)
    with pytest.raises(SystemExit if told else RuntimeError):
        cli.main()
    assert capsys.readouterr().err.startswith("another process of this training has ended") == told
